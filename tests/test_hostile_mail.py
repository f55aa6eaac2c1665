"""Mail that was written to hold up the mailbox: reading it takes time that grows with its length, and no faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

import pytest

from digest.ids import find_doi
from digest.mime import TEXT_LENGTH, parsed, text_of
from digest.model import Address, ListId
from digest.send import bounces
from digest.subscribe import commands
from digest.subscribe.authentication import is_authentic
from digest.subscribe.libraries import papers_of

HEAD = b"From: Ada <ada@example.net>\r\nTo: lab+help@example.org\r\n"
MAILER = b"From: mailer-daemon@example.net\r\nReturn-Path: <>\r\n"
PAGE = HEAD + b"Content-Type: text/html\r\n\r\n"


def linear(work: Callable[[int], object], length: int) -> None:
    """Four times as long takes about four times as long: the square of it would be sixteen."""

    def seconds(long: int) -> float:
        start = time.process_time()
        work(long)
        return time.process_time() - start

    assert seconds(4 * length) < 7 * seconds(length) + 1


def understood(raw: bytes) -> None:
    """As a mailbox reads each message."""
    bounces.read(raw)
    found = commands.read(raw, [Address("lab@example.org")], [], [ListId("lab")], date(2026, 6, 10))
    commands.token_alone(raw)
    if found:
        is_authentic(found[0], "mx.example.org", "example.net")


@pytest.mark.parametrize("unit", [b"<a ", b"<a b='", b"<a", b"<!--", b"\nmessage-id: <a", b"<br", b"<p>", b"&", b"</"])
def test_no_page_costs_more_than_its_length(unit: bytes) -> None:
    """Tags that do not end: 64 KB of `<a ` would be half a minute for the standard library's reader."""
    linear(lambda length: understood(PAGE + (unit * length)[:length]), 16_000)


@pytest.mark.parametrize("unit", [b";", b"; a=", b";a*0=b", b'"', b"(", b"=?utf-8?q?a?= ", b"a\r\n ;", b"<a@b>,"])
@pytest.mark.parametrize(
    "field",
    [
        *(b"Content-Type: text/plain", b"Content-Type: multipart/mixed", b"Content-Disposition: attachment"),
        *(b"To: a@b,", b"Subject: ", b"Authentication-Results: mx.example.org", b"Received: by "),
    ],
)
def test_no_field_costs_more_than_its_length(field: bytes, unit: bytes) -> None:
    """Of a message and of a part: a megabyte of semicolons would be minutes for the standard library."""

    def work(length: int) -> None:
        line = field + (unit * length)[:length] + b"\r\n"
        understood(line + HEAD + b"\r\nhelp\r\n")
        understood(MAILER + b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n" + line + b"\r\nx\r\n--b--\r\n")

    linear(work, 250_000)


@pytest.mark.parametrize(
    "unit", [b",", b"a,", b"<", b"a@", b":", b"(", b" ", b"<a@b> ", b"\n", b"550 ", b"5.1.1 ", b"--b\n"]
)
def test_no_report_costs_more_than_its_length(unit: bytes) -> None:
    """Nor what a mail system says in a form of its own, which flufl.bounce's expressions look at."""
    linear(lambda length: understood(MAILER + b"\r\n" + (unit * length)[:length]), 16_000)


def test_many_fields_and_parts_cost_no_more_than_their_number() -> None:
    """A header of a hundred thousand fields, a message of ten thousand parts."""
    linear(lambda number: understood(HEAD + b"X: y\r\n" * number + b"\r\nhelp\r\n"), 25_000)
    parts = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    linear(lambda number: understood(parts + b"--b\r\n\r\nx\r\n" * number), 2_500)


def test_parts_within_parts_cost_no_more_than_their_number() -> None:
    """A quarter of a megabyte, half of it parts that begin in each other, would be a minute for the library."""

    def work(length: int) -> None:
        depth = length // 150
        part = b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n"
        understood(MAILER + b"".join(part % (n, n) for n in range(depth)) + b"\r\nx\r\n" + b"\n" * (length // 2))

    linear(work, 16_000)


def test_what_unpacks_to_more_is_read_at_its_beginning() -> None:
    """Two octets stand for forty-two: two megabytes would be forty, and half a minute."""
    raw = MAILER + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 6 x\n" + b"J\n" * 10_000 + b"end\n"
    assert text_of(parsed(raw)) == "\0" * TEXT_LENGTH


@pytest.mark.parametrize("charset", [b"undefined", b"idna", b"no-such", b"a\0b", b""])
def test_a_charset_that_is_none_hides_nothing(charset: bytes) -> None:
    """What was written is read as UTF-8: the command is there."""
    raw = HEAD + b"Content-Type: text/plain; charset=" + charset + b"\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    assert text_of(parsed(raw)).strip() == "Grüße"


@pytest.mark.parametrize("charset", [b"punycode", b"Punycode!"])
def test_names_of_hosts_are_no_text(charset: bytes) -> None:
    """A megabyte of this one would be minutes, and thirty parts of 64 KB half of one: it is never asked for."""
    assert text_of(parsed(HEAD + b"Content-Type: text/plain; charset=" + charset + b"\r\n\r\nhelp")) == "help"


def test_a_report_within_parts_is_read() -> None:
    """As deep as a message can be that somebody has sent on and a gateway has signed."""
    report = b"Content-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    part = b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n"
    found = bounces.read(MAILER + b"".join(part % (n, n) for n in range(15)) + report)
    assert (found.sort, found.enhanced_code) == (bounces.Sort.BOUNCE, "5.1.1")


def test_a_long_field_is_read_at_its_beginning() -> None:
    """What is cut off is not what matters: the command, the sender and the answer's address are there."""
    raw = b"X: " + b"y" * 100_000 + b"\r\nContent-Type: text/plain" + b";" * 100_000 + b"\r\n" + HEAD + b"\r\nhelp\r\n"
    found = commands.read(raw, [Address("lab@example.org")], [], [ListId("lab")], date(2026, 6, 10))
    assert found
    assert (found[1].sender, found[1].request) == ("ada@example.net", commands.Request(commands.Command.HELP))


@pytest.mark.parametrize("unit", [".", ")", ".)", "/pdf", "a.", "10.1234/", "(", ";"])
def test_no_doi_costs_more_than_its_length(unit: str) -> None:
    """Nor is what goes on for ever a DOI: its end would be looked for at every place."""
    linear(lambda length: find_doi("10.1234/" + (unit * length)[:length] + "a b"), 100_000)
    assert find_doi(f"see 10.1234/{'a' * 390}.pdf). And") == "10.1234/" + "a" * 390


@pytest.mark.parametrize("unit", ["<i", "<i ", "</p", "&amp;", "{", "arxiv:", "10.1234/."])
def test_no_reference_costs_more_than_its_length(unit: str) -> None:
    """What Zotero answers, in every field."""

    def work(length: int) -> None:
        text = (unit * length)[:length]
        fields = dict.fromkeys(("title", "abstract", "note", "DOI", "URL", "container-title"), text)
        papers_of([{**fields, "author": [{"literal": text}]}])

    linear(work, 25_000)
