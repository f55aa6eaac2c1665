"""`digest check --fix`: does what is safe, before anything is checked. Never overwrites, never changes a config.

What is made: folders that the config names; a key file that [dkim] names and that is not there, with mode 600, as
`secret_file` likewise; the database in its newest schema. What is narrowed: secret files that everybody may read. A
password cannot be made, and is not.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from digest.check.findings import Finding, failed, ok
from digest.errors import DigestError
from digest.settings.files import is_public
from digest.settings.named import Holds, Named, named_files
from digest.store import open_database
from digest.store.inspection import inspect

OURS_ALONE = 0o600


def fix(path: Path, environ: Mapping[str, str]) -> list[Finding]:
    """Mends what one config names; a finding for each thing that was done, or could not be. Raises ConfigError."""
    found: list[Finding] = []
    for named in named_files(path, environ):
        try:
            found += _mended(named)
        except OSError as error:
            where = f"{named.path}: {error.strerror}"
            found.append(failed(f"fix {named.holds.value}", where, f"see who may write there ({named.key})"))
        except DigestError as error:
            found.append(failed(f"fix {named.holds.value}", str(error), f"see {named.key}"))
    return found


def _mended(named: Named) -> list[Finding]:
    subject, path = f"fixed {named.holds.value}", named.path
    match named.holds:
        case Holds.TEMPLATES if not path.exists():
            path.mkdir(parents=True)
            return [ok(subject, f"made the folder {path}")]
        case Holds.DATABASE:
            return _database(subject, path)
        case Holds.DKIM_KEY if not path.exists():
            _write_alone(path, new_dkim_key(named.selector))
            return [ok(subject, f"made a key in {path}: what to publish is below")]
        case Holds.LINK_SECRET if not path.exists():
            _write_alone(path, secrets.token_hex(32).encode() + b"\n")
            return [ok(subject, f"made a key in {path}")]
    if named.holds is not Holds.TEMPLATES and is_public(path):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~stat.S_IRWXO)
        return [ok(subject, f"{path} may be read by its owner and group alone")]
    return []


def _database(subject: str, path: Path) -> list[Finding]:
    found = []
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        found.append(ok(subject, f"made the folder {path.parent}"))
    before = inspect(path)
    if before.exists and not before.foreign and not before.fault and before.version < before.newest:
        open_database(f"sqlite:///{path}").close()
        found.append(ok(subject, f"migrated from schema {before.version} to {before.newest}"))
    return found


def new_dkim_key(selector: str) -> bytes:
    """A new private key in PEM: Ed25519 where the selector says so, else RSA of 2048 bits, which everybody knows."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate() if "ed25519" in selector.lower() else generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_alone(path: Path, data: bytes) -> None:
    """Writes a new file that is its owner's alone from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OURS_ALONE), "wb") as file:
        file.write(data)
