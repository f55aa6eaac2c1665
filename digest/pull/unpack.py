"""Packed bytes to plain ones, never more than a limit: a small body must not become a large memory.

Pure. Called by `http.py`, for packed transfers (RFC 9110 section 8.4.1: gzip; RFC 7932: br) and for bodies that are
gzip themselves (`feed.xml.gz`). Raises `UnpackError`; `TooLongError` at the limit.
"""

from __future__ import annotations

import zlib
from typing import Protocol

ENCODINGS = "gzip, br"
"""What we ask servers for, and no more: each of these can be unpacked in bounded steps."""


class UnpackError(Exception):
    """Bytes that are not what they say they are."""


class TooLongError(UnpackError):
    """More bytes than the limit."""


class Unpacker(Protocol):
    """Takes a transfer piece by piece."""

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        ...

    def finish(self) -> bytes:
        """Return all of it, unpacked."""
        ...


def unpacker(encoding: str, limit: int) -> Unpacker:
    """Return what unpacks a transfer with this Content-Encoding to at most `limit` bytes."""
    match encoding.strip().lower():
        case "" | "identity":
            return _Plain(limit)
        case "gzip" | "x-gzip":
            return _Gzip(limit)
        case "br":
            return _Brotli(limit)
        case other:
            raise UnpackError(f"is packed in a way that was not asked for ({other[:40]})")


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack gzip of one member or several."""
    gzip = _Gzip(limit)
    gzip.feed(body)
    return gzip.finish()


class _Plain:
    def __init__(self, limit: int):
        self._limit = limit
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) > self._limit:
            raise TooLongError

    def finish(self) -> bytes:
        return bytes(self._body)


class _Gzip(_Plain):
    def __init__(self, limit: int):
        super().__init__(limit)
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    def feed(self, piece: bytes) -> None:
        while piece:
            if self._stream.eof:
                if not piece.startswith(b"\x1f"):
                    return  # padding after the end
                self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)  # members may follow one another
            try:
                unpacked = self._stream.decompress(piece, self._limit + 1 - len(self._body))
            except zlib.error as error:
                raise UnpackError(f"is broken gzip: {error}") from error
            self._begun = True
            super().feed(unpacked)
            piece = self._stream.unconsumed_tail or self._stream.unused_data

    def finish(self) -> bytes:
        if self._begun and not self._stream.eof:
            raise UnpackError("is gzip that breaks off")
        return super().finish()


class _Brotli(_Plain):
    def __init__(self, limit: int):
        import brotli

        super().__init__(limit)
        self._error = brotli.error
        self._stream = brotli.Decompressor()

    def feed(self, piece: bytes) -> None:
        try:
            room = self._limit + 1 - len(self._body)
            super().feed(self._stream.process(piece, output_buffer_limit=room))
            while not self._stream.can_accept_more_data():
                super().feed(self._stream.process(b"", output_buffer_limit=self._limit + 1 - len(self._body)))
        except self._error as error:
            raise UnpackError(f"is broken brotli: {error}") from error

    def finish(self) -> bytes:
        if not self._stream.is_finished():
            raise UnpackError("is brotli that breaks off")
        return super().finish()
