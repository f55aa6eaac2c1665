"""Tokens and bounce tags: what was signed comes back, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from digest.model import DeliveryId, ListId, SubscriberId
from digest.subscribe.tokens import TAG_LENGTH, Purpose, Tokens, _signed

KEY = b"an invented key, 32 bytes of it."
LAB = ListId("lab")
TOKENS = Tokens([KEY], LAB)

IDS = st.integers(0, 2**63 - 1)
LIST_IDS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", fullmatch=True) | st.text()
KEYS = st.binary(min_size=1, max_size=200)
PURPOSES = st.sampled_from(Purpose)
URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


@given(IDS, LIST_IDS, KEYS, PURPOSES)
def test_a_token_gives_its_reader_back(reader: int, list_id: str, key: bytes, purpose: Purpose) -> None:
    """Whatever the ids and the key are; the token is short, and an address takes it as it is."""
    tokens = Tokens([key], ListId(list_id))
    token = tokens.sign(purpose, SubscriberId(reader))
    assert tokens.verify(purpose, token) == reader
    assert len(token) <= 44
    assert set(token) <= set(URL_SAFE)


@given(IDS, PURPOSES, st.data())
def test_a_token_with_one_character_changed_is_nobodys(reader: int, purpose: Purpose, data: st.DataObject) -> None:
    """Replaced, left out or added, anywhere: no second text is taken for the same signature."""
    token = TOKENS.sign(purpose, SubscriberId(reader))
    place = data.draw(st.integers(0, len(token)))
    character = data.draw(st.sampled_from(URL_SAFE + "=+/ \n\0é٣") | st.characters())
    head, tail = token[:place], token[place:]
    for changed in (head + character + tail[1:], head + tail[1:], head + character + tail):
        if changed != token:
            assert TOKENS.verify(purpose, changed) is None


def test_the_last_character_has_no_spare_bits() -> None:
    """In base64 a text can end in bits that decode to nothing: of 64 last characters only one is the signature's."""
    token = TOKENS.sign(Purpose.VOTE, SubscriberId(7))
    assert [c for c in URL_SAFE if TOKENS.verify(Purpose.VOTE, token[:-1] + c) == 7] == [token[-1]]


@settings(max_examples=300)
@given(st.text() | st.text(alphabet=URL_SAFE + "\n=é"), PURPOSES)
def test_anything_else_is_nobodys(token: str, purpose: Purpose) -> None:
    """Any text at all gets the same answer, and never an error."""
    assert TOKENS.verify(purpose, token) is None
    assert TOKENS.delivery_of(token) is None


@pytest.mark.parametrize("number", ["07", "+7", " 7", "7_0", "-7", "٧", "7" * 20, "7" * 5000, ""])
def test_a_number_is_written_in_one_way(number: str) -> None:
    """Also with a good signature, the id must stand there as `sign` writes it."""
    assert TOKENS.verify(Purpose.VOTE, _signed(TOKENS._signers[Purpose.VOTE][0], number)) is None


@given(IDS, PURPOSES, PURPOSES)
def test_a_token_is_good_for_one_purpose(reader: int, purpose: Purpose, other: Purpose) -> None:
    """What was sent to unsubscribe neither votes nor shows preferences."""
    assume(purpose != other)
    assert TOKENS.verify(other, TOKENS.sign(purpose, SubscriberId(reader))) is None


@given(IDS, LIST_IDS, LIST_IDS, KEYS)
def test_a_token_is_good_for_one_list(number: int, list_id: str, other: str, key: bytes) -> None:
    """Two lists may share a key: a reader of one has the id of another reader of the other."""
    assume(list_id != other)
    ours, theirs = Tokens([key], ListId(list_id)), Tokens([key], ListId(other))
    for purpose in Purpose:
        assert theirs.verify(purpose, ours.sign(purpose, SubscriberId(number))) is None
    assert theirs.delivery_of(ours.bounce_tag(DeliveryId(number))) is None


@given(IDS, KEYS, KEYS)
def test_a_token_is_good_under_one_key(number: int, key: bytes, other: bytes) -> None:
    """Who has another key makes tokens that are nobody's."""
    assume(key.ljust(64, b"\0") != other.ljust(64, b"\0"))  # HMAC itself fills keys up with zeros (RFC 2104)
    assume(len(key) <= 64 >= len(other))
    ours, theirs = Tokens([key], LAB), Tokens([other], LAB)
    assert theirs.verify(Purpose.VOTE, ours.sign(Purpose.VOTE, SubscriberId(number))) is None
    assert theirs.delivery_of(ours.bounce_tag(DeliveryId(number))) is None


@given(IDS)
def test_after_a_new_key_the_old_links_work(number: int) -> None:
    """The first key signs, all verify; a key that was taken away verifies nothing."""
    old, rotated, new = Tokens([b"old"], LAB), Tokens([b"new", b"old"], LAB), Tokens([b"new"], LAB)
    token, tag = old.sign(Purpose.UNSUBSCRIBE, SubscriberId(number)), old.bounce_tag(DeliveryId(number))
    assert rotated.verify(Purpose.UNSUBSCRIBE, token) == number
    assert rotated.delivery_of(tag) == number
    assert new.verify(Purpose.UNSUBSCRIBE, token) is None
    assert new.delivery_of(tag) is None
    assert rotated.sign(Purpose.VOTE, SubscriberId(number)) == new.sign(Purpose.VOTE, SubscriberId(number))
    assert rotated.bounce_tag(DeliveryId(number)) == new.bounce_tag(DeliveryId(number))


@given(IDS, st.data())
def test_a_tag_survives_servers_that_fold_case(delivery: int, data: st.DataObject) -> None:
    """In capitals, in small letters or mixed, it is the same delivery's."""
    tag = TOKENS.bounce_tag(DeliveryId(delivery))
    assert re.fullmatch(r"[a-z0-9]+", tag)
    assert delivery >= 16**11 or len(tag) <= TAG_LENGTH
    upper = data.draw(st.lists(st.booleans(), min_size=len(tag), max_size=len(tag)))
    mixed = "".join(c.upper() if up else c for c, up in zip(tag, upper, strict=True))
    for form in (tag, tag.upper(), mixed):
        assert TOKENS.delivery_of(form) == delivery


@given(IDS, st.data())
def test_a_tag_with_one_character_changed_is_no_deliverys(delivery: int, data: st.DataObject) -> None:
    """Replaced, left out or added, anywhere; `K` (Kelvin) and `ſ` fold to letters, and are none."""
    tag = TOKENS.bounce_tag(DeliveryId(delivery))
    place = data.draw(st.integers(0, len(tag)))
    character = data.draw(st.sampled_from("0123456789abcdefz=+ \n\u212aſ٣"))
    head, tail = tag[:place], tag[place:]
    for changed in (head + character + tail[1:], head + tail[1:], head + character + tail):
        if changed != tag:
            assert TOKENS.delivery_of(changed) is None


def test_the_signature_is_hmac_sha256_of_144_bits() -> None:
    """Computed here a second time, by hand: links in emails of years ago depend on it."""
    token = TOKENS.sign(Purpose.UNSUBSCRIBE, SubscriberId(12345))
    key = hmac.new(KEY, b"digest\0unsubscribe\0lab", hashlib.sha256).digest()
    assert token.startswith("12345.")
    assert urlsafe_b64decode(token.partition(".")[2]) == hmac.new(key, b"12345", hashlib.sha256).digest()[:18]
    bounce = hmac.new(KEY, b"digest\0bounce\0lab", hashlib.sha256).digest()
    assert TOKENS.bounce_tag(DeliveryId(12345)) == "3039" + hmac.new(bounce, b"3039", hashlib.sha256).hexdigest()[:32]


@pytest.mark.parametrize("keys", [[], [b""], [KEY, b""]])
def test_there_is_no_signing_without_a_key(keys: list[bytes]) -> None:
    """An empty key would be everybody's."""
    with pytest.raises(ValueError, match="need a key"):
        Tokens(keys, LAB)


def test_no_key_is_shown() -> None:
    """Neither the key nor one derived from it is in a `repr`."""
    assert "invented" not in repr(TOKENS)
    assert "signers" not in repr(TOKENS)
