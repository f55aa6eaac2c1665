"""Tokens: what an address carries to say, provably, for which reader and for what it was made.

A token is `ID.SIGNATURE`: the subscriber's id, and an HMAC-SHA256 of it (RFC 2104) cut to 144 bits, under a key that is
derived from the list's secret, the purpose and the list's id. So one made for unsubscribing does not vote, and one of a
list means nothing to another. It holds no time: an old email's link to unsubscribe works as long as the key is known.
One that confirms is `ID.TIME.SIGNATURE`, and holds for 72 hours.

Bounce tags do the same for a delivery, in the local part of an envelope sender, which servers may fold to one case and
which has room for 64 octets (RFC 5321 sections 2.4 and 4.5.3.1.1).

Pure. Holds secrets: nothing here prints, and no `repr` shows them. `links.py` and `making.py` sign; whoever reads what
comes back (pages, the mailbox) verifies, and learns nothing about why something does not hold.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from itsdangerous import Signer
from itsdangerous.signer import SigningAlgorithm

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

    __slots__ = ("_bounce_keys", "_signers")

    def __init__(self, keys: Sequence[bytes], list_id: ListId):
        """The first of the keys signs, each verifies: a new one goes in front. Raises ValueError without any."""
        if not keys or not all(keys):
            raise ValueError("a list's tokens need a key, and none that is empty")
        # Derived here, once: itsdangerous would do it again for every signature.
        self._signers = {
            purpose: [
                Signer(_derived(key, purpose, list_id), key_derivation="none", algorithm=_HmacSha256()) for key in keys
            ]
            for purpose in Purpose
        }
        self._bounce_keys = [_derived(key, _BOUNCE, list_id) for key in keys]

    def sign(self, purpose: Purpose, subscriber_id: SubscriberId) -> str:
        """The reader's token: at most 44 characters, none of which an address has to encode."""
        return self._signers[purpose][0].sign(b"%d" % subscriber_id).decode()

    def verify(self, purpose: Purpose, token: str) -> SubscriberId | None:
        """Whose token it is; None for anything that `sign` would not have given for this purpose and list."""
        found = _TOKEN.fullmatch(token)
        if not found:
            return None
        # Signed again and compared whole: decoding would take several texts for the same signature.
        value, given = found[1].encode(), token.encode()
        matches = [hmac.compare_digest(signer.sign(value), given) for signer in self._signers[purpose]]
        return SubscriberId(int(value)) if any(matches) else None

    def sign_confirmation(self, subscriber_id: SubscriberId, now: datetime) -> str:
        """The token that confirms an address, if it comes back within 72 hours."""
        value = b"%d.%d" % (subscriber_id, int(now.timestamp()))
        return self._signers[Purpose.CONFIRM][0].sign(value).decode()

    def confirmed(self, token: str, now: datetime) -> SubscriberId | None:
        """Whose address a token confirms; None for one that is not ours, or too old."""
        found = _TIMED.fullmatch(token)
        if not found:
            return None
        value, given = f"{found[1]}.{found[2]}".encode(), token.encode()
        matches = [hmac.compare_digest(signer.sign(value), given) for signer in self._signers[Purpose.CONFIRM]]
        age = now.timestamp() - int(found[2])
        in_time = -MINUTE <= age <= CONFIRMED_WITHIN.total_seconds()
        return SubscriberId(int(found[1])) if any(matches) and in_time else None

    def bounce_tag(self, delivery_id: DeliveryId) -> str:
        """The delivery's tag: lower-case letters and digits."""
        return _tag(self._bounce_keys[0], f"{delivery_id:x}")

    def delivery_of(self, tag: str) -> DeliveryId | None:
        """The delivery that a tag was made for, whatever its case; None for anything that is no tag of this list."""
        given = tag.lower()
        found = _TAG.fullmatch(given)
        if not found:
            return None
        matches = [hmac.compare_digest(_tag(key, found[1]), given) for key in self._bounce_keys]
        return DeliveryId(int(found[1], 16)) if any(matches) else None


def signed_at(confirmation: str) -> datetime:
    """When a token that confirms was made; it must have been verified."""
    return datetime.fromtimestamp(int(confirmation.split(".")[1]), UTC)


class _HmacSha256(SigningAlgorithm):
    """HMAC-SHA256, cut as RFC 2104 section 5 allows; in one call, which takes half the time of `hmac.new`."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha256")[:SIGNATURE_BYTES]


def _derived(key: bytes, purpose: str, list_id: str) -> bytes:
    """A key of its own for each purpose and list. No purpose holds a NUL, so no two pairs are written alike."""
    return hmac.digest(key, b"digest\0%b\0%b" % (purpose.encode(), list_id.encode()), "sha256")


def _tag(key: bytes, number: str) -> str:
    """The number and its signature, whose length is fixed: it is clear where the one ends."""
    return number + hmac.digest(key, number.encode(), "sha256")[:TAG_SIGNATURE_BYTES].hex()
