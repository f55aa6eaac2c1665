"""Packed bytes: whatever they claim to hold, memory stays near the limit."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable

import brotli
import pytest

from digest.pull.unpack import TooLongError, Unpacker, UnpackError, gunzip, unpacker

PACKINGS: list[tuple[str, Callable[[bytes], bytes]]] = [("gzip", gzip.compress), ("br", brotli.compress)]


def feed_all(transfer: Unpacker, packed: bytes, size: int) -> None:
    for at in range(0, len(packed), size):
        transfer.feed(packed[at : at + size])


@pytest.mark.parametrize(("encoding", "pack"), PACKINGS)
def test_a_bomb_costs_no_more_than_the_limit(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    """A hundred megabytes in one small piece are not unpacked to see that they are too many."""
    bomb = pack(b"\0" * 100_000_000)
    transfer = unpacker(encoding, 1_000_000)
    tracemalloc.start()
    with pytest.raises(TooLongError):
        transfer.feed(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize(("encoding", "pack"), PACKINGS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_pieces_of_any_size(encoding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    """However a transfer is cut into pieces, it comes out whole; up to the limit and not a byte more."""
    body = bytes(range(256)) * 40
    packed = pack(body)
    for limit in (len(body), len(body) + 1):
        transfer = unpacker(encoding, limit)
        feed_all(transfer, packed, size)
        assert transfer.finish() == body
    with pytest.raises(TooLongError):
        feed_all(unpacker(encoding, len(body) - 1), packed, size)


def test_gzip_members_and_padding() -> None:
    """Members follow one another; what is no member after the end is padding."""
    assert gunzip(gzip.compress(b"one") + gzip.compress(b"two") + b"\0\0\0", 100) == b"onetwo"
    with pytest.raises(UnpackError, match="is gzip that breaks off"):
        gunzip(gzip.compress(b"one") + gzip.compress(b"two")[:-4], 100)
