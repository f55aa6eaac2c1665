"""Names that strangers choose, where a path or a header is made of them: none leads out of its place."""

from __future__ import annotations

import dataclasses
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.commands.preview import file_stem
from digest.model import Address
from digest.render.language import language_of
from digest.subscribe import letters
from digest.subscribe.commands import read
from tests.asking import PAPER, Pages
from tests.configs import instead, problems
from tests.render_samples import EDITION, LIST
from tests.test_message import HOSTILE

UP = (
    "..",
    "../..",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "....//....//etc/passwd",
    "..\\..\\etc\\passwd",
    "%2e%2e",
)
SOUND = HOSTILE.map(lambda text: text.encode("utf-8", "ignore").decode())
"""Without surrogates, which no form, message or config hands on."""
PLACES = (
    *("/{}", "/lab/{}", "/archive/{}", "/archive/lab/{}", "/paper/lab/{}", "/feed/lab/{}", "/subscribe/{}"),
    *("/static/{}", "/static/x/{}", "/unsubscribe/lab/{}", "/preferences/lab/{}", "/vote/lab/{}", "/confirm/lab/{}"),
)


@pytest.mark.parametrize("place", PLACES)
def test_no_path_of_the_pages_leads_to_a_file(shared: Pages, place: str) -> None:
    """As it stands, escaped once or twice, or ended by a NUL: there is nothing, and what there is stays unsaid."""
    secret = shared.site.app.config.path.parent / "secret.txt"
    secret.write_text("root:x:0:0")
    for up in (*UP, f"../{secret.name}", str(secret), f"{PAPER}/../../..{secret}", "\0", "style.css\0.html"):
        for written in (up, quote(up, safe=""), quote(quote(up, safe=""), safe=""), f"{up}/style.css"):
            answer = shared.get(place.format(written))
            assert answer.status in (303, 307, 308, 400, 404, 405), written
            assert "root:" not in answer.text
            assert str(secret.parent) not in answer.text


@pytest.mark.parametrize("written", [*UP, "a/b", "a\\b", ".", "a\nb", "a\0", "-", "a" * 65, "ä", "lab.", ""])
def test_a_list_s_id_is_no_path(tmp_path: Path, written: str) -> None:
    """It names a folder of previews, a mailbox's folder, and a part of addresses: letters, digits and three signs."""
    text = "".join(f"\\u{ord(character):04x}" for character in written)
    (problem,) = problems(tmp_path / "config.toml", instead(2, f'id = "{text}"'))
    assert problem.key == "list.id"


@given(HOSTILE | st.sampled_from(UP) | st.emails())
def test_a_preview_stays_in_its_folder(address: str) -> None:
    """Whatever an address is, it is one part of a path, and never that of the folder itself."""
    try:
        stem = file_stem(address)
    except UnicodeEncodeError:  # a surrogate: no address has one
        return
    assert not set(stem) & set('/\\\0:*?"<>|\n')
    assert Path("out", f"{stem}.html").resolve().parent == Path("out").resolve()


@settings(deadline=None)
@given(HOSTILE, SOUND, SOUND, SOUND)
def test_nothing_from_outside_adds_a_line_to_a_letter(name: str, list_name: str, topic: str, token: str) -> None:
    """Names of people, lists and topics in the header and text of a letter: its fields are the same, and once each."""
    mailing_list = dataclasses.replace(LIST, name=list_name)
    headers = letters.Headers(Address("ada@example.net"), name, "<1@example.org>", EDITION.cutoff)
    text = letters.confirmation(language_of("en"), mailing_list, "", token, [topic], by_reply=True)
    wire = letters.wire_form(mailing_list, headers, text)
    head, _, _ = wire.partition(b"\r\n\r\n")
    plain = letters.wire_form(LIST, dataclasses.replace(headers, name="Ada"), letters.Text("Hello", ("Hello",)))
    assert message_from_bytes(wire, policy=SMTP).keys() == message_from_bytes(plain, policy=SMTP).keys()
    assert message_from_bytes(wire, policy=SMTP)["To"].addresses[0].addr_spec == "ada@example.net"
    assert all(len(line) <= 998 for line in wire.split(b"\r\n"))
    assert not {b"\r", b"\n"} & {bytes([octet]) for octet in wire.replace(b"\r\n", b"")}
    assert b"\0" not in head


@pytest.mark.parametrize(
    "written",
    [
        "<a@b>\r\n Bcc: eve@example.com",
        "<a@b> <c@d>",
        "<a b@c>",
        "<a@b\0>",
        "<" + "a" * 300 + "@b>",
        "a@b",
        "<ä@b>",
        "<a<b>>",
    ],
)
def test_only_a_plain_message_id_is_answered(written: str) -> None:
    """What stands in a letter's In-Reply-To is a stranger's: anything but one identifier of ASCII is left out."""
    raw = f"From: ada@example.net\r\nTo: lab+help@example.org\r\nMessage-ID: {written}\r\n\r\nhelp\r\n".encode()
    found = read(raw, [Address("lab@example.org")], [], [LIST.id], EDITION.due_on)
    assert found
    assert found[1].message_id in ("", "<a@b>")
    if found[1].message_id:
        assert written.startswith("<a@b>\r\n")
