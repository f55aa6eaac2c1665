"""What is said on an SMTP connection: replies as they are read, and a message as it leaves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.send.outcome import Failure
from digest.send.wire import LONGEST_REPLY, Reply, ReplyReader, WireError, dot_stuffed


def read(*chunks: bytes) -> list[Reply]:
    reader = ReplyReader()
    return [reply for chunk in chunks for reply in reader.feed(chunk)]


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"250 2.1.0 Ok\r\n", [Reply(250, "2.1.0 Ok")]),
        (b"250\r\n", [Reply(250, "")]),
        (b"250 \r\n", [Reply(250, "")]),
        (b"250-first\r\n250-\r\n250 last\r\n", [Reply(250, "first\n\nlast")]),
        (b"250-first\r\n250\r\n", [Reply(250, "first\n")]),
        (b"250 a\r\n550-b\r\n550 c\r\n354 d\r\n", [Reply(250, "a"), Reply(550, "b\nc"), Reply(354, "d")]),
        ("554 B\u00fccher".encode() + b"\xff\r\n", [Reply(554, "B\u00fccher\ufffd")]),
        (b"250 not at its end", []),
        (b"250-not at its end\r\n", []),
        (b"250 no line feed\r", []),
    ],
)
def test_replies_are_read(received: bytes, expected: list[Reply]) -> None:
    """One line or several, alone or together; what is not at its end is none yet."""
    assert read(received) == expected


LINES = st.lists(
    st.sampled_from([b"250 OK\r\n", b"354 Go ahead\r\n", b"550-5.1.1 No\r\n550 5.1.1 user\r\n", b"421\r\n"])
)


@given(LINES.map(b"".join), st.lists(st.integers(0, 200)))
def test_it_does_not_matter_in_what_pieces_a_reply_comes(received: bytes, cuts: list[int]) -> None:
    """However the bytes are cut, the replies are the same."""
    places = sorted({0, len(received), *(min(cut, len(received)) for cut in cuts)})
    assert read(*[received[a:b] for a, b in itertools.pairwise(places)]) == read(received)


@pytest.mark.parametrize(
    "received",
    [
        b"\r\n",
        b"hello\r\n",
        b"25 OK\r\n",
        b"2500 OK\r\n",
        b"250OK\r\n",
        b"250_OK\r\n",
        b"150 OK\r\n",
        b"650 OK\r\n",
        b" 250 OK\r\n",
        b"250 OK\n",
        b"250 OK\r\r\n",
        b"250 O\rK\r\n",
        b"250-OK\r\n251 OK\r\n",
        b"250-OK\r\nOK\r\n",
        "\u0662\u0665\u0660 OK\r\n".encode(),
    ],
)
def test_what_is_not_smtp_is_malformed(received: bytes) -> None:
    """A line without a code, with another than the one before, or with another end than CRLF is none of a reply's."""
    with pytest.raises(WireError) as caught:
        read(received)
    assert caught.value.failure is Failure.MALFORMED


@pytest.mark.parametrize("received", [b"250 " + b"x" * LONGEST_REPLY, b"250-x\r\n" * LONGEST_REPLY])
@pytest.mark.parametrize("end", [b"", b"\r\n250 x\r\n"])
def test_an_endless_reply_is_malformed(received: bytes, end: bytes) -> None:
    """However long a server talks, and in however many pieces, no more than a bounded part of it is kept."""
    whole = received + end
    with pytest.raises(WireError, match="longer than"):
        read(whole)
    with pytest.raises(WireError, match="longer than"):
        read(*[whole[n : n + 1000] for n in range(0, len(whole), 1000)])


def test_a_reply_is_read_although_what_follows_is_malformed() -> None:
    """The verdict on a message counts, whatever the server says after it."""
    reader = ReplyReader().feed(b"250 2.0.0 Queued\r\nhello\r\n")
    assert next(reader) == Reply(250, "2.0.0 Queued")
    with pytest.raises(WireError):
        next(reader)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\n.\nb\r.\rc", b"a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n"),
        (b"a\r\r\nb\n\r", b"a\r\n\r\nb\r\n\r\n.\r\n"),
        (b"\n\r\n", b"\r\n\r\n.\r\n"),
        (b"\na\r\r\n", b"\r\na\r\n\r\n.\r\n"),
        (b"a\n\r\r\n", b"a\r\n\r\n\r\n.\r\n"),
    ],
)
def test_dots_are_stuffed(body: bytes, expected: bytes) -> None:
    """A line that begins with a dot gets another, and only the last line is a lone dot."""
    assert dot_stuffed(body) == expected


@given(st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\r\n.\r\n"])).map(b"".join))
def test_no_message_ends_before_its_end(body: bytes) -> None:
    """However a message is made, it has CRLF line ends alone, and the lone dot comes last and once."""
    sent = dot_stuffed(body)
    lines = sent.split(b"\r\n")
    assert not [line for line in lines if b"\r" in line or b"\n" in line]
    assert [n for n, line in enumerate(lines) if line == b"."] == [len(lines) - 2]
