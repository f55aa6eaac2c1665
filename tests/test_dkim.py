"""Signatures, verified by dkimpy: what they vouch for, what breaks them, and what they are the same for."""

from __future__ import annotations

import dataclasses
import functools
import pickle
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from digest.errors import ConfigError
from digest.render.message import Letterhead, Mailbox, assemble
from digest.send.dkim import AS_THEY_ARE, ONCE, DkimKey, private_key, sign
from digest.settings import load
from tests.dkim_keys import ed25519_key, oversized_rsa, pem, records, rsa, rsa_key, verdicts
from tests.lists import DAY_ONE, write_list
from tests.render_samples import LIST
from tests.test_cli import run
from tests.test_message import HOSTILE, NOON

HEAD = (
    b"From: Lab <digest@example.org>\r\n"
    b"Reply-To: Ada <ada@example.org>\r\n"
    b"To: =?utf-8?q?J=C3=B6rg?= <reader@example.net>\r\n"
    b"Subject: Seven papers, one of them with a title so long\r\n that it is folded\r\n"
    b"Date: Wed, 10 Jun 2026 14:00:00 +0200\r\n"
    b"Message-ID: <id@example.org>\r\n"
    b"List-Id: Lab <lab.example.org>\r\n"
    b"List-Unsubscribe: <https://example.org/u>,\r\n <mailto:ada@example.org?subject=unsubscribe%20lab>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"List-Archive: <https://digest.example.org/archive/lab>\r\n"
    b"List-Help: <mailto:ada@example.org?subject=help>\r\n"
    b"Feedback-ID: 42.lab:lab:digest:sender\r\n"
    b"Auto-Submitted: auto-generated\r\n"
    b"Precedence: bulk\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: text/plain;\r\n charset="utf-8"\r\n'
)
BODY = b"First\r\n\r\n.dot at the start\r\n  spaces  \r\nlast\r\n"
KEYS = pytest.mark.parametrize("key", [rsa_key(), ed25519_key()], ids=lambda key: key.algorithm)


TABLES = """
[[dkim]]
selector = "rsa"
key_file = "rsa.pem"

[[dkim]]
selector = "ed"
key_file = "ed.pem"
"""


def dns() -> dict[str, str]:
    return records(rsa_key(), ed25519_key())


def signed(*keys: DkimKey, head: bytes = HEAD, body: bytes = BODY) -> bytes:
    return sign(keys, head, body) + head + b"\r\n" + body


@KEYS
def test_a_signature_verifies(key: DkimKey) -> None:
    """RSA and Ed25519, over every field that is to be signed."""
    message = signed(key)
    assert verdicts(message, dns()) == [True]
    listed = re.search(rb"\bh=([^;]+)", message)
    assert listed
    names = re.sub(rb"\s", b"", listed[1]).decode().split(":")
    assert names == [name for name in ONCE for _ in range(2)] + list(AS_THEY_ARE)


def test_each_key_signs() -> None:
    """With two keys a message has two signatures, in the order of the keys, and each stands without the other."""
    both = signed(rsa_key(), ed25519_key())
    assert re.findall(rb"a=([\w-]+);", both) == [b"rsa-sha256", b"ed25519-sha256"]
    assert verdicts(both, dns()) == [True, True]
    assert verdicts(both, records(rsa_key())) == [True, False]


def test_the_same_message_is_the_same_bytes() -> None:
    """A second try is not another message: no clock and no chance is in a signature."""
    assert signed(rsa_key(), ed25519_key()) == signed(rsa_key(), ed25519_key())
    assert not re.search(rb"[;\s][tx]=", sign([rsa_key(), ed25519_key()], HEAD, BODY))


def test_no_line_is_longer_than_it_should_be() -> None:
    """Whatever the length of a selector, lines have 78 bytes at most, and the signature verifies."""
    for length in range(1, 64):
        key = dataclasses.replace(ed25519_key(), selector="s" * length)
        message = signed(key)
        assert max(map(len, message.partition(b"\r\nFrom:")[0].split(b"\r\n"))) <= 78
        assert verdicts(message, records(key)) == [True]


@KEYS
@settings(deadline=None, max_examples=40)
@given(subject=HOSTILE, name=HOSTILE, list_name=HOSTILE, text=st.text(max_size=200))
def test_whatever_is_in_a_message_its_signature_verifies(
    key: DkimKey, subject: str, name: str, list_name: str, text: str
) -> None:
    """Any subject, any names, any text: as the letterhead writes them, so they are signed."""
    letterhead = Letterhead(dataclasses.replace(LIST, name=list_name))
    head = letterhead.head(Mailbox(name, "ada@example.net"), subject, NOON, "<id@example.org>")
    body = text.encode(errors="replace").replace(b"\r", b"").replace(b"\n", b"\r\n")
    message = assemble(head, "<id@example.org>", [body], [b"<p>html</p>\r\n"], sign=functools.partial(sign, [key]))
    assert verdicts(message, dns()) == [True]
    fields = message.partition(b"\r\nFrom:")[0]
    assert all(len(line) <= 78 for line in fields.split(b"\r\n"))


LINES = st.lists(st.binary(max_size=90).map(lambda line: re.sub(rb"[\r\n]", b".", line)), max_size=6)
BLANKS = st.lists(st.sampled_from([b"", b"", b" ", b"."]), max_size=4)


@settings(deadline=None, max_examples=200)
@given(lines=LINES, blanks=BLANKS, ends=st.booleans())
def test_any_body_is_hashed_as_receivers_hash_it(lines: list[bytes], blanks: list[bytes], ends: bool) -> None:
    """Empty, with blank lines or dots at its end, with any bytes, and without a last line end."""
    body = b"\r\n".join([*lines, *blanks]) + (b"\r\n" if ends else b"")
    assert verdicts(signed(ed25519_key(), body=body), dns()) == [True]


VALUES = st.lists(
    st.sampled_from([b"a", b"b ", b"  ", b"\t", b":", b";", b"\r\n x", b"\r\n\ty", b"=?utf-8?q?x?=", b"\xc3\xbc", b'"'])
).map(b"".join)


@settings(deadline=None, max_examples=200)
@given(subject=VALUES, more=VALUES)
def test_any_field_is_signed_as_receivers_read_it(subject: bytes, more: bytes) -> None:
    """However a field is folded and spaced, and also where there are two of a name."""
    head = b"SUBJECT:" + subject + b"\r\n" + HEAD + b"list-id:" + more + b"\r\n"
    assert verdicts(signed(ed25519_key(), head=head), dns()) == [True]


def test_relays_may_fold_anew_and_add_their_own() -> None:
    """A trace field, other folding, other case of names and blank lines at the end leave a signature whole."""
    message = signed(rsa_key())
    travelled = b"Received: from a by b; Wed, 10 Jun 2026 14:00:01 +0200\r\n" + message + b"\r\n\r\n"
    travelled = travelled.replace(b"so long\r\n that it", b"so\r\n\tlong that   it").replace(b"\r\nTo:", b"\r\nTO: ")
    assert travelled.count(b"so\r\n\tlong") == travelled.count(b"\r\nTO: ") == 1
    assert verdicts(travelled, dns()) == [True]


@KEYS
@pytest.mark.parametrize("name", ONCE + AS_THEY_ARE)
def test_another_value_of_a_signed_field_breaks_it(key: DkimKey, name: str) -> None:
    """Not one of the signed fields can be altered, or taken away."""
    message = signed(key)
    field = re.search(rb"(?<=\r\n)%b:(?: .*\r\n)+" % name.encode(), b"\r\n" + message)
    assert field
    assert verdicts(message.replace(field[0], field[0].removesuffix(b"\r\n") + b"x\r\n"), dns()) == [False]
    assert verdicts(message.replace(field[0], b""), dns()) == [False]


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("there", [True, False])
def test_a_second_field_breaks_it(name: str, there: bool) -> None:
    """Of a field that a message has once nobody can add another, nor a first one where there was none."""
    head = HEAD if there else re.sub(rb"(?<=\n)%b:(?: .*\r\n)+" % name.encode(), b"", b"\n" + HEAD)[1:]
    assert (head == HEAD) == there
    forged = name.encode() + b": forged@example.net\r\n"
    signature = sign([ed25519_key()], head, BODY)
    assert verdicts(signature + head + b"\r\n" + BODY, dns()) == [True]
    for forgery in (forged + signature + head, signature + head + forged):
        assert verdicts(forgery + b"\r\n" + BODY, dns()) == [False]


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_a_list_that_forwards_may_add_its_own_fields(name: str) -> None:
    """A group's address can subscribe: what it adds above a message leaves the signature whole."""
    assert verdicts(name.encode() + b": <other.example.net>\r\n" + signed(ed25519_key()), dns()) == [True]


@settings(deadline=None)
@given(st.integers(0, len(BODY) - 1), st.binary(min_size=1, max_size=1))
def test_another_byte_in_the_body_breaks_it(at: int, byte: bytes) -> None:
    """Not one byte of the body can be altered."""
    assume(BODY[at : at + 1] != byte)
    # Receivers' own line ends: a lone LF is the same line end to some of them.
    assume(not (BODY[at : at + 1] == b"\r" or b"\r" in byte or b"\n" in byte))
    altered = BODY[:at] + byte + BODY[at + 1 :]
    head_and_signature = signed(ed25519_key()).removesuffix(BODY)
    assert verdicts(head_and_signature + altered, dns()) == [False]


@pytest.mark.parametrize(("key", "bits"), [(rsa(1024), 1024), (oversized_rsa(), 4484)], ids=["small", "large"])
def test_an_rsa_key_that_receivers_ignore_is_refused(key: RSAPrivateKey, bits: int) -> None:
    """Under 2048 bits it must not be used, over 4096 nobody has to verify it (RFC 8301)."""
    with pytest.raises(ConfigError, match=f"is an RSA key of {bits} bits: it must have 2048 to 4096"):
        DkimKey("example.org", "x", key)


def test_a_key_of_another_kind_is_refused() -> None:
    """What DKIM has no algorithm for cannot become a key."""
    with pytest.raises(ConfigError, match="must be RSA or Ed25519"):
        DkimKey("example.org", "x", ec.generate_private_key(ec.SECP256R1()))  # type: ignore[arg-type]


def test_a_key_shows_nothing_of_itself() -> None:
    """Printed, a key is a domain and a selector."""
    assert repr(rsa_key()) == "DkimKey(domain='example.org', selector='rsa')"


def test_a_key_is_read_as_it_was_written() -> None:
    """The key from a file makes the signatures of the key in memory."""
    for key in (rsa_key(), ed25519_key()):
        again = DkimKey(key.domain, key.selector, private_key(pem(key.key)))
        assert sign([again], HEAD, BODY) == sign([key], HEAD, BODY)
        assert (again, hash(again)) == (key, hash(key))
        assert again != dataclasses.replace(key, selector="other")
    assert rsa_key() != ed25519_key()


@KEYS
def test_a_key_goes_to_another_process(key: DkimKey) -> None:
    """It arrives as it was: a large edition is sent from several."""
    again = pickle.loads(pickle.dumps(key))
    assert again == key
    assert sign([again], HEAD, BODY) == sign([key], HEAD, BODY)


def test_a_config_with_keys_that_is_read_again_is_the_same(tmp_path: Path) -> None:
    """Else whoever watches it would begin anew each time."""
    (tmp_path / "rsa.pem").write_bytes(pem(rsa_key().key))
    (tmp_path / "ed.pem").write_bytes(pem(ed25519_key().key))
    config = write_list(tmp_path, extra=TABLES)
    assert load([config], {}).lists == load([config], {}).lists


def test_a_preview_shows_what_is_sent(tmp_path: Path) -> None:
    """The message in the outbox is the preview's .eml, signed by both keys of the config."""
    config = write_list(tmp_path, extra=TABLES)
    (tmp_path / "rsa.pem").write_bytes(pem(rsa_key().key))
    (tmp_path / "ed.pem").write_bytes(pem(ed25519_key().key))
    out = tmp_path / "preview"
    assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
    assert run("preview", "--config", str(config), "--now", DAY_ONE, "--out", str(out)).returncode == 0
    shown = {path.read_bytes() for path in (out / "lab").glob("*.eml")}
    sent = {path.read_bytes().replace(b"\n", b"\r\n") for path in (tmp_path / "outbox" / "new").iterdir()}
    assert len(sent) == 2
    assert sent == shown
    assert [verdicts(message, dns()) for message in sent] == [[True, True]] * 2
