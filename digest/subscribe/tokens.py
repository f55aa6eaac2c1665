"""Tokens: what an address carries to say, provably, for which reader and for what it was made.

A token is `ID.SIGNATURE`: the subscriber's id, and an HMAC-SHA256 of it (RFC 2104) cut to 144 bits, under a key that is
derived from the list's secret, the purpose and the list's id. So one made for unsubscribing does not vote, and one of a
list means nothing to another. It holds no time: an old email's link to unsubscribe works as long as the key is known.
One that confirms is `ID.TIME.SIGNATURE`, and holds for 72 hours.

Bounce tags do the same for a delivery, in the local part of an envelope sender, which servers may fold to one case and
which has room for 64 octets (RFC 5321 sections 2.4 and 4.5.3.1.1).

Pure. Holds secrets: nothing here prints, and no `repr` shows them. `links.py` and `app.py` sign; whoever reads what
comes back (pages, the mailbox) verifies, and learns nothing about why something does not hold.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from digest.model import DeliveryId, ListId, SubscriberId

SIGNATURE_BYTES = 18
"""144 bits: a multiple of three bytes leaves no spare bits in base64, of which several texts would be one signature."""
TAG_SIGNATURE_BYTES = 16
"""128 bits, in hexadecimal: base32 would save six characters and cost as much time as the HMAC itself."""
TAG_LENGTH = 11 + 2 * TAG_SIGNATURE_BYTES
"""The longest tag of the first 17 million million deliveries, whose ids take eleven hexadecimal digits."""
_TOKEN = re.compile(r"(0|[1-9][0-9]{0,18})\.[A-Za-z0-9_-]{24}")
_TIMED = re.compile(r"(0|[1-9][0-9]{0,18})\.([1-9][0-9]{0,10})\.[A-Za-z0-9_-]{24}")
CONFIRMED_WITHIN = timedelta(hours=72)
MINUTE = 60.0
"""Seconds by which two hosts' clocks may differ."""
_TAG = re.compile(r"(0|[1-9a-f][0-9a-f]{0,15})[0-9a-f]{32}")


class Purpose(StrEnum):
    """What a reader's token is good for."""

    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    VOTE = "vote"
    CONFIRM = "confirm"
    """That the address is hers, and that she wants the list. Alone in holding for a time only."""


_BOUNCE = "bounce"


class Tokens:
    """Signs and verifies for one list."""

    __slots__ = ("_bounces", "_signers")

    def __init__(self, keys: Sequence[bytes], list_id: ListId):
        """The first of the keys signs, each verifies: a new one goes in front. Raises ValueError without any."""
        if not keys or not all(keys):
            raise ValueError("a list's tokens need a key, and none that is empty")
        self._signers = {purpose: [_mac(_derived(key, purpose, list_id)) for key in keys] for purpose in Purpose}
        self._bounces = [_mac(_derived(key, _BOUNCE, list_id)) for key in keys]

    def sign(self, purpose: Purpose, subscriber_id: SubscriberId) -> str:
        """The reader's token: at most 44 characters, none of which an address has to encode."""
        return _signed(self._signers[purpose][0], str(subscriber_id))

    def verify(self, purpose: Purpose, token: str) -> SubscriberId | None:
        """Whose token it is; None for anything that `sign` would not have given for this purpose and list."""
        found = _TOKEN.fullmatch(token)
        if not found:
            return None
        # Signed again and compared whole: decoding would take several texts for the same signature.
        matches = [hmac.compare_digest(_signed(mac, found[1]), token) for mac in self._signers[purpose]]
        return SubscriberId(int(found[1])) if any(matches) else None

    def sign_confirmation(self, subscriber_id: SubscriberId, now: datetime) -> str:
        """The token that confirms an address, if it comes back within 72 hours."""
        return _signed(self._signers[Purpose.CONFIRM][0], f"{subscriber_id}.{int(now.timestamp())}")

    def confirmed(self, token: str, now: datetime) -> SubscriberId | None:
        """Whose address a token confirms; None for one that is not ours, or too old."""
        found = _TIMED.fullmatch(token)
        if not found:
            return None
        value, macs = f"{found[1]}.{found[2]}", self._signers[Purpose.CONFIRM]
        matches = [hmac.compare_digest(_signed(mac, value), token) for mac in macs]
        age = now.timestamp() - int(found[2])
        in_time = -MINUTE <= age <= CONFIRMED_WITHIN.total_seconds()
        return SubscriberId(int(found[1])) if any(matches) and in_time else None

    def bounce_tag(self, delivery_id: DeliveryId) -> str:
        """The delivery's tag: lower-case letters and digits."""
        return _tag(self._bounces[0], f"{delivery_id:x}")

    def delivery_of(self, tag: str) -> DeliveryId | None:
        """The delivery that a tag was made for, whatever its case; None for anything that is no tag of this list."""
        given = tag.lower()
        found = _TAG.fullmatch(given)
        if not found:
            return None
        matches = [hmac.compare_digest(_tag(mac, found[1]), given) for mac in self._bounces]
        return DeliveryId(int(found[1], 16)) if any(matches) else None


def signed_at(confirmation: str) -> datetime:
    """When a token that confirms was made; it must have been verified."""
    return datetime.fromtimestamp(int(confirmation.split(".")[1]), UTC)


def _mac(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA256 under the key, of at most a block's 64 bytes (RFC 2104 section 2).

    `hmac` makes the key ready for every value anew, which takes five times as long as what is done here for each.
    """
    block = key.ljust(64, b"\0")
    inner, outer = sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(value: bytes) -> bytes:
        within, around = inner.copy(), outer.copy()
        within.update(value)
        around.update(within.digest())
        return around.digest()

    return mac


def _derived(key: bytes, purpose: str, list_id: str) -> bytes:
    """A key of its own for each purpose and list. No purpose holds a NUL, so no two pairs are written alike."""
    return hmac.digest(key, b"digest\0%b\0%b" % (purpose.encode(), list_id.encode()), "sha256")


def _signed(mac: Callable[[bytes], bytes], value: str) -> str:
    """The value and its signature, cut as RFC 2104 section 5 allows."""
    return f"{value}.{urlsafe_b64encode(mac(value.encode())[:SIGNATURE_BYTES]).decode()}"


def _tag(mac: Callable[[bytes], bytes], number: str) -> str:
    """The number and its signature, whose length is fixed: it is clear where the one ends."""
    return number + mac(number.encode())[:TAG_SIGNATURE_BYTES].hex()
