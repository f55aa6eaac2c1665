"""Signs messages for their domain: DKIM (RFC 6376) with RSA and, beside it, Ed25519 (RFC 8463).

Pure: a message's header and body in, DKIM-Signature fields out. No clock, no file, no DNS; `settings/signing.py` reads
the keys, `making.py` hands `sign` to the renderer. Importing this imports `cryptography`: do it only where there is
a key.

What is decided here, and why:

- `c=relaxed/simple`. Relays fold and unfold header fields, so these are signed relaxed; a body in quoted-printable is
  changed by none of them, so it is hashed as it is, which takes a tenth of the time that RSA does.
- The fields in `ONCE` are listed in `h=` once more than they occur ("oversigned", RFC 6376 section 8.15): a message
  may have one of each, and whoever resends a signed message must not bring in a second From or Subject, nor a Reply-To
  where there is none. List-* and Auto-Submitted are listed as often as they occur: a mailing list that subscribes to
  ours and forwards it as it is adds fields of its own by these names, and should not break the signature.
- No `t=` and no `x=`. The same delivery must be the same bytes on every try, so a signature cannot tell when it was
  made; Date, which is signed, says all that `t=` could. A signature that expires would fail in somebody's queue.
- RSA keys have 2048 bits or more (RFC 8301 section 3.2), and at most 4096: more than that no receiver has to verify.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from digest.errors import ConfigError

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

ONCE = ("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type")
"""Signed, and signed as having no other field of that name."""
AS_THEY_ARE = (
    *("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Archive", "List-Help"),
    *("Feedback-ID", "Auto-Submitted"),
)
"""Signed where they occur."""
RSA_BITS = range(2048, 4096 + 1)
LINE = 78
_ADVICE = "`openssl genrsa -out dkim.pem 2048` makes a key"
_LISTED = tuple((name, name.lower().encode()) for name in ONCE + AS_THEY_ARE)
_BLANKS = re.compile(rb"[ \t]{2,}|\t")


@dataclass(frozen=True, slots=True, eq=False)
class DkimKey:
    """A private key and where its public half is published: in the DNS, at `SELECTOR._domainkey.DOMAIN`.

    `domain` is in A-labels. Raises ConfigError, in words that continue "the key …", for a key that must not be used.
    """

    domain: str
    selector: str
    key: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        usable(self.key)

    @property
    def algorithm(self) -> str:
        """The `a=` of its signatures."""
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    def signature(self, signed: bytes) -> bytes:
        """The signature's bytes, the same for the same input (RFC 8017 section 8.2, RFC 8463 section 3)."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(signed, PKCS1v15(), hashes.SHA256())
        return self.key.sign(hashlib.sha256(signed).digest())

    def __eq__(self, other: object) -> bool:
        """Whether it signs the same: a config that is read again is the same config. The library's keys compare not."""
        return isinstance(other, DkimKey) and self._known_by() == other._known_by()

    def __hash__(self) -> int:
        return hash(self._known_by())

    def _known_by(self) -> tuple[str, str, bytes]:
        return self.domain, self.selector, published(self.key)

    def __reduce__(self) -> tuple[object, ...]:
        """For another process of ours (`dispatch/draining.py`): the library's keys cannot be pickled."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return _brought, (self.domain, self.selector, pem)


def _brought(domain: str, selector: str, pem: bytes) -> DkimKey:
    return DkimKey(domain, selector, private_key(pem))


def private_key(pem: bytes) -> PrivateKey:
    """The key in a PEM file, in PKCS #8 or PKCS #1. Raises ConfigError in words that continue the file's name."""
    try:
        return usable(load_pem_private_key(pem, password=None))
    except TypeError:
        advice = "remove its password with `openssl pkey -in FILE -out dkim.pem`"
        raise ConfigError(f"is encrypted, and nobody is there to decrypt it; {advice}") from None
    except (ValueError, UnsupportedAlgorithm):
        # What the parser says is left out: it can quote the file.
        raise ConfigError(f"is not a private key in PEM; {_ADVICE}") from None


def usable(key: object) -> PrivateKey:
    """The key, if receivers will verify what it signs. Raises ConfigError."""
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(f"is of a kind that DKIM has not: it must be RSA or Ed25519; {_ADVICE}")
    if key.key_size not in RSA_BITS:
        bounds = f"it must have {RSA_BITS[0]} to {RSA_BITS[-1]}"
        raise ConfigError(f"is an RSA key of {key.key_size} bits: {bounds}, or receivers ignore it; {_ADVICE}")
    return key


def published(key: PrivateKey) -> bytes:
    """The public half as the DNS has it in `p=`, before base64 (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
    public = key.public_key()
    if isinstance(public, RSAPublicKey):
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(keys: Sequence[DkimKey], head: bytes, body: bytes) -> bytes:
    """The DKIM-Signature fields of a message, one for each key: to stand before `head`.

    `head` holds whole header fields, each ending in CRLF, without the empty line after them; `body` is all that follows
    that line. Both are in wire form (CRLF), before any dot-stuffing. The fields end in CRLF too, and are folded at 78
    bytes wherever the domain lets them.
    """
    names, signed = _signed_fields(head)
    listed = [f"{name}:" for name in names[:-1]] + [f"{names[-1]};"]
    listed[0] = f" h={listed[0]}"
    body_hash = _text(_body_hash(body))
    fields = []
    for key in keys:
        start = f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/simple;"
        unsigned = _folded([start, f" d={key.domain};", f" s={key.selector};", *listed, f" bh={body_hash};", " b="])
        own = _relaxed(unsigned.encode()).replace(b"DKIM-Signature: ", b"dkim-signature:", 1)
        value = _text(key.signature(signed + own))
        fields += [unsigned, *(f"\r\n {value[at : at + LINE - 1]}" for at in range(0, len(value), LINE - 1)), "\r\n"]
    return "".join(fields).encode()


def _signed_fields(head: bytes) -> tuple[list[str], bytes]:
    """The names in `h=`, and what is signed of the fields: of those of one name the last one first (5.4.2)."""
    found: dict[bytes, list[bytes]] = {}
    for line in _relaxed(head).split(b"\r\n"):
        name, _, value = line.partition(b":")
        found.setdefault(name.rstrip(b" ").lower(), []).append(value.strip(b" "))
    names: list[str] = []
    signed: list[bytes] = []
    for listed, name in _LISTED:
        there = found.get(name, ())
        names += [listed] * (len(there) + (listed in ONCE))
        signed += [b"%b:%b\r\n" % (name, value) for value in reversed(there)]
    return names, b"".join(signed)


def _relaxed(fields: bytes) -> bytes:
    """Header fields unfolded and with single spaces: most of the relaxed form (RFC 6376 section 3.4.2)."""
    return _BLANKS.sub(b" ", fields.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" "))


def _body_hash(body: bytes) -> bytes:
    """SHA-256 of the body in the simple form (RFC 6376 section 3.4.3): one CRLF at its end, however many it has."""
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    hashed = hashlib.sha256(memoryview(body)[:end])
    hashed.update(b"\r\n")
    return hashed.digest()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _folded(parts: Sequence[str]) -> str:
    """The parts in a row, folded before those that would pass the line."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) <= LINE:
            lines[-1] += part
        else:
            lines.append(f" {part.lstrip()}")
    return "\r\n".join(lines)
