"""Keys that sign in tests, the DNS that knows them, and dkimpy, which verifies with it."""

from __future__ import annotations

import base64
import functools
import math

import dkim
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from digest.send.dkim import DkimKey, PrivateKey

DOMAIN = "example.org"


@functools.cache
def rsa(bits: int = 2048) -> RSAPrivateKey:
    """One key for the whole run: making it takes longer than most tests."""
    return generate_private_key(65537, bits)


@functools.cache
def rsa_key() -> DkimKey:
    return DkimKey(DOMAIN, "rsa", rsa())


@functools.cache
def ed25519_key() -> DkimKey:
    return DkimKey(DOMAIN, "ed", Ed25519PrivateKey.generate())


def oversized_rsa() -> RSAPrivateKey:
    """A key of 4484 bits out of two primes that everybody knows: to look for some would take seconds."""
    p, q, e = 2**2281 - 1, 2**2203 - 1, 65537
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    numbers = RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), RSAPublicNumbers(e, p * q))
    return numbers.private_key()


def pem(
    key: PrivateKey | EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    password: bytes | None = None,
) -> bytes:
    """The private key as a file."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption)


def records(*keys: DkimKey) -> dict[str, str]:
    """What the DNS has of the keys: names and TXT records (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
    found = {}
    for key in keys:
        public = key.key.public_key()
        if isinstance(key.key, RSAPrivateKey):
            kind, published = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            kind, published = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        text = f"v=DKIM1; k={kind}; p={base64.b64encode(published).decode()}"
        found[f"{key.selector}._domainkey.{key.domain}"] = text
    return found


def verdicts(message: bytes, dns: dict[str, str]) -> list[bool]:
    """What dkimpy says of each signature of a message, the first one first."""

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        text = dns.get(name.decode().rstrip("."))
        return text.encode() if text else None

    found = []
    for number in range(message.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")):
        try:
            found.append(bool(dkim.DKIM(message).verify(idx=number, dnsfunc=look_up)))
        except dkim.DKIMException:
            found.append(False)
    return found
