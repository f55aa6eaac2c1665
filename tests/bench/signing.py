"""What a signature costs: this program's and dkimpy's, in microseconds of CPU time, medians of five in one run.

Run it with `python tests/bench/signing.py`. The message is as long as a full edition; the RSA key has 2048 bits.

    body    SHA-256 of the body alone
    key     the private key's operation alone
    ours    `digest.send.dkim.sign`, all in all
    dkimpy  `dkim.sign` with the same canonicalisation and fields; its RSA is Python, its Ed25519 libsodium
"""

from __future__ import annotations

import base64
import hashlib
import statistics
import time
from collections.abc import Callable

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from digest.send.dkim import ONCE, DkimKey, sign

HEAD = "".join(f"{name}: something that is as long as usual <digest@example.org>\r\n" for name in ONCE).encode()
BODY = (b"x" * 74 + b"=\r\n") * (107_000 // 77)


def microseconds(work: Callable[[], object], times: int) -> float:
    """The median of five runs, each of so many calls."""
    found = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - start) / times * 1e6)
    return statistics.median(found)


def theirs(key: DkimKey) -> Callable[[], object]:
    """The way to the same signature through dkimpy, which wants RSA in PEM and of Ed25519 the bare bytes in base64."""
    if isinstance(key.key, RSAPrivateKey):
        private = key.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    else:
        private = base64.b64encode(key.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    return lambda: dkim.sign(
        HEAD + b"\r\n" + BODY,
        key.selector.encode(),
        key.domain.encode(),
        private,
        canonicalize=(b"relaxed", b"simple"),
        signature_algorithm=key.algorithm.encode(),
        include_headers=[name.lower().encode() for name in ONCE for _ in range(2)],
    )


def main() -> None:
    """Prints a line for each kind of key, and one for both together."""
    keys = [
        DkimKey("example.org", "rsa", generate_private_key(65537, 2048)),
        DkimKey("example.org", "ed", Ed25519PrivateKey.generate()),
    ]
    print(f"a message of {len(HEAD) + len(BODY):,} bytes; µs a signature")
    print(f"{'':16}{'body':>8}{'key':>8}{'ours':>8}{'dkimpy':>10}")
    body = microseconds(lambda: hashlib.sha256(BODY).digest(), 500)
    for key in keys:
        alone = microseconds(lambda key=key: key.signature(b"x" * 1000), 300)  # type: ignore[misc]
        ours = microseconds(lambda key=key: sign([key], HEAD, BODY), 300)  # type: ignore[misc]
        their = microseconds(theirs(key), 5)
        print(f"{key.algorithm:16}{body:8.0f}{alone:8.0f}{ours:8.0f}{their:10.0f}")
    both = microseconds(lambda: sign(keys, HEAD, BODY), 300)
    print(f"{'both':16}{body:8.0f}{'':8}{both:8.0f}")


if __name__ == "__main__":
    main()
