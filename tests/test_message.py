"""Headers, MIME and Message-ID, read back by Python's own parser."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import quopri
import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from digest.errors import ConfigError
from digest.model import Address, EditionId, ListId, SubscriberId
from digest.render.fragments import html_wires, quoted_printable, size, text_wires
from digest.render.message import Letterhead, Mailbox, a_labels, assemble, mailbox, mailto, message_id, wire_address
from digest.render.text import clip, plain, wrap
from tests.render_samples import EDITION, LIST, read

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOSTILE = st.text() | st.text(alphabet='ab ü漢\r\n\t\0\x0b\x85\u2028\ud800\u202e<>@",:;=?_.()\\[]', max_size=120)


PAGE = "https://digest.example.org/unsubscribe/offprint/3.AbCdEfGhIjKlMnOpQrStUvWx"
ARCHIVE = "https://digest.example.org/archive/offprint"


def message(
    subject: str = "Hello",
    name: str = "Ada",
    address: str = "ada@example.net",
    unsubscribe: str = "",
    archive: str = "",
    **list_: str,
) -> bytes:
    """A message with these in its header."""
    letterhead = Letterhead(dataclasses.replace(LIST, **list_), 12, archive)  # type: ignore[arg-type]
    head = letterhead.head(Mailbox(name, wire_address(address)), subject, NOON, "<id@example.org>", unsubscribe)
    return assemble(head, "<id@example.org>", [b"text\r\n"], [b"<p>html</p>\r\n"])


def test_the_header_says_who_when_and_what() -> None:
    """Every field that a list's message needs is there, once, and reads back without a defect."""
    read_back = read(message("Seven papers", reply_to="Editors <ed@example.org>"))
    assert {name: str(value) for name, value in read_back.items()} == {
        "From": "The Morning Offprint <digest@example.org>",
        "Reply-To": "Editors <ed@example.org>",
        "To": "Ada <ada@example.net>",
        "Subject": "Seven papers",
        "Date": "Wed, 10 Jun 2026 14:00:00 +0200",
        "Message-ID": "<id@example.org>",
        "List-Id": "The Morning Offprint <offprint.example.org>",
        "List-Unsubscribe": "<mailto:ed@example.org?subject=unsubscribe%20offprint>",
        "List-Help": "<mailto:ed@example.org?subject=help%20offprint>",
        "Feedback-ID": "12.offprint:offprint:digest:x6v4g5bsswfq",
        "Auto-Submitted": "auto-generated",
        "Precedence": "bulk",
        "MIME-Version": "1.0",
        "Content-Type": str(read_back["Content-Type"]),
    }
    assert len(read_back.keys()) == len(set(read_back.keys()))
    assert [part.get_content_type() for part in read_back.iter_parts()] == ["text/plain", "text/html"]
    assert not read_back.defects
    assert not any(value.defects for value in read_back.values())


@pytest.mark.parametrize(
    "subject",
    [
        "Plain",
        "Über Strömungen · und mehr",
        "注意力机制在长视频生成中的应用：一个全面的综述与基准测试，包含了所有已知的方法" * 3,
        "مولد الفيديو",
        "Видео",
        "a" * 200,
        "word " * 45 + "end",
        "=?utf-8?q?not_an_encoded_word?=",
        "emoji 🎞️ and 👩‍🔬",
        "0",
    ],
)
def test_a_subject_in_any_script_reads_back_as_it_was(subject: str) -> None:
    """Encoded words are whole characters in lines of at most 78; the parser joins them to the same text."""
    composed = message(subject)
    assert read(composed)["Subject"] == subject
    assert all(len(line) <= 78 for line in composed.split(b"\r\n"))


@settings(deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_from_outside_adds_a_line_to_the_header(subject: str, name: str, list_name: str) -> None:
    """Whatever subject, name and list are called, the fields are the same and the texts read back."""
    composed = message_of(subject, name, list_name)
    read_back = read(composed)
    assert read_back.keys() == read(message()).keys()
    assert str(read_back["Subject"]) == clip(plain(subject), 250)
    recipient = read_back["To"].addresses[0]
    assert recipient.addr_spec == "ada@example.net"
    # Python's parser leaves a space between two encoded words of a name; RFC 2047 section 6.2 does not.
    assert recipient.display_name.replace(" ", "") == clip(plain(name), 100).replace(" ", "")
    assert str(read_back["List-Id"]).endswith("<offprint.example.org>")
    assert all(len(line) <= 998 for line in composed.split(b"\r\n"))
    assert b"\n" not in composed.replace(b"\r\n", b"")
    assert b"\r" not in composed.replace(b"\r\n", b"")


def message_of(subject: str, name: str, list_name: str) -> bytes:
    """A message of a list of that name."""
    letterhead = Letterhead(dataclasses.replace(LIST, name=list_name))
    head = letterhead.head(Mailbox(name, "ada@example.net"), subject, NOON, "<id@example.org>")
    return assemble(head, "<id@example.org>", [b"text\r\n"], [b"<p>html</p>\r\n"])


ADDRESSES = HOSTILE | st.tuples(st.sampled_from(["https://", "http://", "mailto:"]), HOSTILE).map("".join)


@settings(deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, ADDRESSES, ADDRESSES)
def test_no_address_adds_a_line_to_the_header(
    address: str, list_id: str, identity: str, unsubscribe: str, archive: str
) -> None:
    """Not even what claims to be an address, a list's id or a Message-ID brings CR or LF into a header."""
    letterhead = Letterhead(dataclasses.replace(LIST, id=ListId(list_id)), 12, archive)
    head = letterhead.head(Mailbox("Ada", wire_address(address)), "Hello", NOON, identity, unsubscribe)
    names = [line.split(b":")[0].decode() for line in head.split(b"\r\n") if line and not line.startswith(b" ")]
    plain_names = ["From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Help"]
    plain_names += ["Feedback-ID", "Auto-Submitted", "Precedence", "MIME-Version"]
    assert [name for name in names if name not in ("List-Unsubscribe-Post", "List-Archive")] == plain_names
    assert ("List-Unsubscribe-Post" in names) == unsubscribe.startswith("https://")
    assert ("List-Archive" in names) == archive.startswith(("https://", "http://"))
    assert len(names) == len(set(names))
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    unsubscribing = head.partition(b"List-Unsubscribe: ")[2].partition(b"\r\nList-")[0]
    assert re.fullmatch(rb"(<https?:[!-;=?-~]+>,\r\n )?<mailto:[!-;=?-~]+>", unsubscribing)
    assert not {b"\r", b"\n"} & {bytes([c]) for c in head.replace(b"\r\n", b"")}


def test_a_long_list_unsubscribe_is_never_an_encoded_word() -> None:
    """At 200 characters and more the address stands in one piece, as clients need it."""
    long = "unsubscribe-" + "x" * 190
    composed = message(reply_to=f"{long}@example.org")
    raw = next(line for line in composed.split(b"\r\n") if line.startswith(b"List-Unsubscribe"))
    assert raw == f"List-Unsubscribe: <mailto:{long}@example.org?subject=unsubscribe%20offprint>".encode()
    assert read(composed)["List-Unsubscribe"] == raw.decode().split(": ")[1]


def test_an_https_page_comes_first_and_takes_one_click() -> None:
    """RFC 8058: the page, then the mailto, in one field; the other field in the RFC's exact words."""
    composed = message(unsubscribe=PAGE, archive=ARCHIVE)
    read_back = read(composed)
    assert read_back["List-Unsubscribe"] == f"<{PAGE}>, <mailto:digest@example.org?subject=unsubscribe%20offprint>"
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in composed
    assert read_back["List-Archive"] == f"<{ARCHIVE}>"
    assert list(read_back.keys()) == [
        *("From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"),
        *("List-Archive", "List-Help", "Feedback-ID", "Auto-Submitted", "Precedence", "MIME-Version", "Content-Type"),
    ]
    assert not read_back.defects
    assert not any(value.defects for value in read_back.values())


@pytest.mark.parametrize("address", ["", "mailto:ed@example.org?subject=unsubscribe", "javascript:alert(1)", "/x"])
def test_without_a_page_nothing_promises_one(address: str) -> None:
    """What is no page stays out: the mailto alone, and no word of one click or an archive."""
    read_back = read(message(unsubscribe=address, archive=address))
    assert read_back["List-Unsubscribe"] == "<mailto:digest@example.org?subject=unsubscribe%20offprint>"
    assert "List-Unsubscribe-Post" not in read_back
    assert "List-Archive" not in read_back


def test_one_click_is_promised_of_https_alone() -> None:
    """A page on http is for people: RFC 8058 section 3.1 wants an HTTPS address for the other field."""
    read_back = read(message(unsubscribe=PAGE.replace("https:", "http:")))
    assert read_back["List-Unsubscribe"].startswith("<http://digest.example.org/unsubscribe/")
    assert "List-Unsubscribe-Post" not in read_back


def test_a_page_of_200_characters_stands_in_one_piece() -> None:
    """One field, folded between the addresses and never within one."""
    page = "https://digest.example.org/" + "x" * 173
    assert len(page) == 200
    composed = message(unsubscribe=page, archive=page)
    lines = composed.split(b"\r\n")
    at = lines.index(f"List-Unsubscribe: <{page}>,".encode())
    assert lines[at + 1] == b" <mailto:digest@example.org?subject=unsubscribe%20offprint>"
    assert f"List-Archive: <{page}>".encode() in lines
    read_back = read(composed)
    assert read_back.get_all("List-Unsubscribe") == [
        f"<{page}>, <mailto:digest@example.org?subject=unsubscribe%20offprint>"
    ]


def test_a_page_that_no_line_can_hold_is_left_out() -> None:
    """Rather than a line that servers cut (RFC 5322 section 2.1.1): the mailto is still there."""
    read_back = read(message(unsubscribe="https://example.org/" + "x" * 981))
    assert read_back["List-Unsubscribe"] == "<mailto:digest@example.org?subject=unsubscribe%20offprint>"
    assert "List-Unsubscribe-Post" not in read_back


@pytest.mark.parametrize(
    ("list_id", "expected"),
    [("offprint", ["12.offprint", "offprint", "digest"]), ("digest", ["12.digest", "digest", ""])],
)
def test_complaints_are_counted_by_edition_and_list(list_id: str, expected: list[str]) -> None:
    """Gmail's form: three parts of our own, none of them twice, and a sender of 5 to 15 characters for the domain."""
    *own, sender = read(message(id=list_id))["Feedback-ID"].split(":")
    assert own == expected
    assert re.fullmatch(r"[a-z2-7]{12}", sender)
    assert read(message(id="other"))["Feedback-ID"].endswith(f":{sender}")
    assert not read(message(from_="lab@example.net"))["Feedback-ID"].endswith(f":{sender}")


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ("Lab <a@example.org>", "Lab", "a@example.org"),
        ("a@example.org", "", "a@example.org"),
        ('"Lab, The" <a@example.org>', "Lab, The", "a@example.org"),
        ("Gäste <a@müller.example>", "Gäste", "a@xn--mller-kva.example"),
        ("a@Straße.example", "", "a@xn--strae-oqa.example"),
    ],
)
def test_mailboxes_are_read(written: str, name: str, address: str) -> None:
    """Name and address of the list's own mailboxes, with the domain in A-labels."""
    assert mailbox(written) == (name, address)


@pytest.mark.parametrize("written", ["", "Lab", "Lab <>", "<digest>"])
def test_what_is_no_mailbox_is_refused(written: str) -> None:
    """A `from` without an address is a mistake in the config."""
    with pytest.raises(ConfigError, match="is not a mailbox"):
        mailbox(written)


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("jörg@example.org", "jörg@example.org"),
        ("a b@example.org", '"a b"@example.org'),
        ('"a b"@example.org', '"a b"@example.org'),
        ("a<b>@例え.テスト", '"a<b>"@xn--r8jz45g.xn--zckzah'),
        ("ada@EXAMPLE.org", "ada@example.org"),
    ],
)
def test_addresses_are_written_for_the_wire(address: str, wire: str) -> None:
    """Domains become A-labels, odd local parts are quoted, and letters beyond ASCII stay (RFC 6532)."""
    assert wire_address(address) == wire
    assert f" <{wire}>\r\n".encode() in message(address=address)


def test_sharp_s_is_not_folded() -> None:
    """`ß` and `ss` are two domains: the name that was meant is the one that is written."""
    assert a_labels("faß.example") == "xn--fa-hia.example"


def test_a_message_id_is_the_same_on_every_try_and_tells_nothing() -> None:
    """It differs by list, edition and subscriber, and lies on the From domain."""
    identity = message_id(LIST, EDITION, SubscriberId(3))
    assert identity == message_id(LIST, EDITION, SubscriberId(3))
    assert identity.startswith("<")
    assert identity.endswith("@example.org>")
    others = {
        message_id(LIST, EDITION, SubscriberId(33)),
        message_id(dataclasses.replace(LIST, id=ListId("other")), EDITION, SubscriberId(3)),
        message_id(LIST, dataclasses.replace(EDITION, id=EditionId(8)), SubscriberId(3)),
        message_id(LIST, dataclasses.replace(EDITION, due_on=date(2026, 6, 11)), SubscriberId(3)),
    }
    assert len(others | {identity}) == 5
    assert "ada" not in identity.partition("@")[0]


@given(st.text())
def test_boundaries_are_in_the_standard_s_base32(message_id: str) -> None:
    """Lower-case, and without the padding that 160 bits do not need (RFC 4648 section 6)."""
    expected = base64.b32encode(hashlib.sha256(message_id.encode()).digest()[:20]).decode().lower()
    assert f'boundary="=_{expected}"'.encode() in assemble(b"", message_id, [], [])


def test_unsubscribing_goes_to_those_who_answer() -> None:
    """The mailto goes to Reply-To where there is one, and its subject names the list."""
    assert mailto(LIST, "unsubscribe") == "mailto:digest@example.org?subject=unsubscribe%20offprint"
    plus = dataclasses.replace(LIST, reply_to="a&b+c@example.org")
    assert mailto(plus, "unsubscribe").startswith("mailto:a%26b%2Bc@example.org?")


LINES = st.text(max_size=200) | st.text(alphabet=". From=éx<“漢", max_size=200)


@settings(deadline=None)
@given(st.lists(LINES.map(plain).filter(bool)))
def test_values_encoded_together_are_what_each_is_alone(texts: list[str]) -> None:
    """Of any lines, of whatever length and script; and those that are kept stay as they are."""
    alone = [quoted_printable(escape(text)) for text in texts]
    assert html_wires.made(texts) == alone
    assert html_wires.kept(texts) == html_wires.kept(texts[::-1])[::-1] == alone
    assert text_wires.made([(text, 9) for text in texts]) == [quoted_printable(wrap(text, 9)) for text in texts]


@settings(deadline=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r"))))
def test_quoted_printable_pieces_join(texts: list[str]) -> None:
    """Pieces encoded apart and joined decode to the joined text, in lines of at most 76 characters."""
    wire = b"".join(quoted_printable(text) for text in texts)
    assert quopri.decodestring(wire.replace(b"\r\n", b"\n")).decode() == "".join(texts)
    lines = wire.split(b"\r\n")
    assert all(len(line) <= 76 and not line.endswith(b" ") for line in lines)
    assert not any(line.startswith((b".", b"From ")) for line in lines)


@settings(deadline=None)
@given(st.text(alphabet=". From=é\n", max_size=400))
def test_long_lines_break_well(text: str) -> None:
    """Also where dots, equal signs and `From ` meet the end of a line."""
    wire = quoted_printable(text)
    assert size(wire) == len(text.encode())
    assert quopri.decodestring(wire.replace(b"\r\n", b"\n")).decode() == text
    lines = wire.split(b"\r\n")
    assert all(len(line) <= 76 and not line.startswith((b".", b"From ")) for line in lines)
    assert not any(line.endswith(b" ") for line in lines)


def test_an_address_of_a_recipient_is_not_lost_in_its_name() -> None:
    """A name that looks like an address stays a name."""
    read_back = read(message(name="root@example.com, Eve <eve@example.com>"))
    assert [a.addr_spec for a in read_back["To"].addresses] == [Address("ada@example.net")]


def test_a_name_that_looks_encoded_is_not_decoded() -> None:
    """A name written like an encoded word reads back as those characters, not as what they would stand for."""
    read_back = read(message_of("Hello", "=?utf-8?q?Eve?=", "Lab"))
    assert read_back["To"].addresses[0].display_name == "=?utf-8?q?Eve?="
