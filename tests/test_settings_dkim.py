"""`[dkim]`: the keys that a config gives, and every mistake with them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from digest.settings import ListConfig
from tests.configs import BASE, loaded, problems
from tests.dkim_keys import ed25519_key, pem, rsa, rsa_key

KEYS = {
    "rsa.pem": pem(rsa_key().key),
    "pkcs1.pem": pem(rsa_key().key, PrivateFormat.TraditionalOpenSSL),
    "ed.pem": pem(ed25519_key().key),
    "small.pem": pem(rsa(1024)),
    "locked.pem": pem(rsa_key().key, password=b"hunter2"),
    "locked1.pem": pem(rsa_key().key, PrivateFormat.TraditionalOpenSSL, password=b"hunter2"),
    "curve.pem": pem(generate_private_key(SECP256R1())),
    "public.pem": rsa_key().key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "cut.pem": pem(rsa_key().key)[:900] + b"\n-----END PRIVATE KEY-----\n",
    "words.pem": b"hunter2\n",
    "empty.pem": b"",
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test writes its config, with the keys beside it; it is called from elsewhere."""
    (tmp_path / "lists").mkdir()
    for name, content in KEYS.items():
        (tmp_path / "lists" / name).write_bytes(content)
        (tmp_path / "lists" / name).chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return Path("lists/config.toml")


def table(key_file: str = "rsa.pem", selector: str = "digest", *more: str, header: str = "[dkim]") -> str:
    return "\n".join([header, f'selector = "{selector}"', f'key_file = "{key_file}"', *more]) + "\n"


def keys(config: ListConfig) -> list[tuple[str, str, str]]:
    return [(key.domain, key.selector, key.algorithm) for key in config.signing]


RSA = ("example.org", "digest", "rsa-sha256")


def test_without_the_table_nothing_is_signed(config: Path) -> None:
    """Signing is the relay's, unless a key is named."""
    assert loaded(config, BASE).signing == ()


@pytest.mark.parametrize("key_file", ["rsa.pem", "pkcs1.pem", "../lists/rsa.pem"])
def test_one_table_is_one_key(config: Path, key_file: str) -> None:
    """Its file lies beside the config, and it signs for the domain of `from`."""
    found = loaded(config, BASE + table(key_file))
    assert keys(found) == [RSA]
    assert found.warnings == ()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX rights")
def test_a_key_that_everybody_may_read_is_warned_of(config: Path) -> None:
    """Whoever can read it can sign as we do: file, line, key, and the command that mends it."""
    (config.parent / "rsa.pem").chmod(0o644)
    (warning,) = loaded(config, BASE + table()).warnings
    assert warning.startswith("lists/config.toml:16: `key_file` of [dkim]: everybody on this machine may read it")
    assert f"`chmod 600 {config.parent.resolve()}/rsa.pem`, or `digest check --fix`" in warning
    (config.parent / "rsa.pem").chmod(0o640)
    assert loaded(config, BASE + table()).warnings == ()


def test_a_table_each_for_several_keys(config: Path) -> None:
    """RSA and Ed25519 sign in the order of their tables."""
    text = BASE + table(header="[[dkim]]") + table("ed.pem", "new", header="[[dkim]]")
    assert keys(loaded(config, text)) == [RSA, ("example.org", "new", "ed25519-sha256")]


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("lab@example.org", "example.org"),
        ("lab@example.org", "EXAMPLE.org."),
        ("lab@news.example.org", "example.org"),
        ("lab@example.org", "mail.example.org"),
        ("lab@Müller.example", "xn--mller-kva.example"),
    ],
)
def test_a_domain_that_belongs_to_the_sender(config: Path, sender: str, domain: str) -> None:
    """The sender's, or one above or below: receivers align them (RFC 7489 section 3.1.1)."""
    text = BASE.replace("lab@example.org", sender) + table("rsa.pem", "digest", f'domain = "{domain}"')
    assert keys(loaded(config, text)) == [(domain.lower().rstrip("."), "digest", "rsa-sha256")]


def test_a_sender_beyond_ascii_signs_for_its_a_labels(config: Path) -> None:
    """The signature's domain is written as the From of the message writes it."""
    text = BASE.replace("lab@example.org", "lab@Müller.example") + table()
    assert keys(loaded(config, text)) == [("xn--mller-kva.example", "digest", "rsa-sha256")]


def test_the_environment_names_keys_too(config: Path) -> None:
    """Key by key for one table, as JSON for several."""
    assert keys(loaded(config, BASE, DIGEST_DKIM__SELECTOR="digest", DIGEST_DKIM__KEY_FILE="rsa.pem")) == [RSA]
    assert keys(loaded(config, BASE + table("none.pem"), DIGEST_DKIM__KEY_FILE="rsa.pem")) == [RSA]
    several = json.dumps([{"selector": "digest", "key_file": "rsa.pem"}])
    assert keys(loaded(config, BASE, DIGEST_DKIM=several)) == [RSA]


def test_a_key_is_not_in_the_config_s_repr(config: Path) -> None:
    """What is printed of a config by accident holds no key."""
    shown = repr(loaded(config, BASE + table()))
    assert "DkimKey(domain='example.org', selector='digest')" in shown
    assert "RSAPrivateKey" not in shown


MISTAKES: list[tuple[str, int, str, str]] = [
    (table("none.pem"), 16, "key_file", '`key_file` of [dkim] "none.pem" is not there: …/lists/none.pem'),
    (table("."), 16, "key_file", '`key_file` of [dkim] "." cannot be read: Is a directory'),
    (table("words.pem"), 16, "key_file", '`key_file` of [dkim] "words.pem" is not a private key in PEM; `openssl…`…'),
    (table("empty.pem"), 16, "key_file", '`key_file` of [dkim] "empty.pem" is not a private key in PEM;…'),
    (table("public.pem"), 16, "key_file", '`key_file` of [dkim] "public.pem" is not a private key in PEM;…'),
    (table("cut.pem"), 16, "key_file", '`key_file` of [dkim] "cut.pem" is not a private key in PEM;…'),
    (table("locked.pem"), 16, "key_file", '`key_file` of [dkim] "locked.pem" is encrypted,…; …`openssl pkey…'),
    (table("locked1.pem"), 16, "key_file", '`key_file` of [dkim] "locked1.pem" is encrypted,…; …`openssl pkey…'),
    (table("curve.pem"), 16, "key_file", '`key_file` of [dkim] "curve.pem" is of a kind that DKIM has not:…'),
    (
        table("small.pem"), 16, "key_file",
        ('`key_file` of [dkim] "small.pem" is an RSA key of 1024 bits: it must have 2048 to 4096, or receivers ignore '
        "it; `openssl genrsa -out dkim.pem 2048` makes a key"),
    ),
    (table(selector="a b"), 15, "selector", "`selector` of [dkim] must be a name such as `digest`,…"),
    (table(selector="x" * 64), 15, "selector", "`selector` of [dkim] must be a name such as `digest`,…"),
    (table(selector="; d=example.net"), 15, "selector", "`selector` of [dkim] must be a name such as `digest`,…"),
    ("[dkim]\nkey_file = 'rsa.pem'\n", 14, "", '`selector` of [dkim] is missing: write e.g. `selector = "digest"`'),
    ("[dkim]\nselector = 'x'\n", 14, "", '`key_file` of [dkim] is missing: write e.g. `key_file = "dkim.pem"`'),
    (
        table("rsa.pem", "x", "domain = 'example.net'"), 17, "domain",
        ('`domain` of [dkim] must be example.org, as in `from`, or a domain above or below it, not "example.net": '
        "receivers would not take the signature for the sender's (DMARC)"),
    ),
    (table("rsa.pem", "x", "domain = 'ample.org'"), 17, "domain", "`domain` of [dkim] must be example.org,…"),
    (table("rsa.pem", "x", "domain = 'anexample.org'"), 17, "domain", "`domain` of [dkim] must be example.org,…"),
    (table("rsa.pem", "x", "domain = 'org'"), 17, "domain", "`domain` of [dkim] must be a domain such as…"),
    (table("rsa.pem", "x", "domain = 'müller.de'"), 17, "domain", "…not \"müller.de\"; letters beyond ASCII…"),
    (table("rsa.pem", "x", "domain = 3"), 17, "domain", "`domain` of [dkim] must be text in quotation marks, not 3"),
    (
        table("rsa.pem", "x", "file = 'x'"), 17, "file",
        "`file` is not a key of [dkim]; did you mean `key_file`?",
    ),
    ("[[dkim]]\nselector = 'x'\nkey_file = 3\n", 16, "[0].key_file", "`key_file` of [[dkim]] must be text…, not 3"),
    (
        table(header="[[dkim]]") + table("none.pem", "b", header="[[dkim]]"), 19, "[1].key_file",
        '`key_file` of [[dkim]] "none.pem" is not there: …',
    ),
    (
        table(header="[[dkim]]") + table("ed.pem", "Digest", header="[[dkim]]"), 18, "[1].selector",
        ('`selector` of [[dkim]] "Digest" is taken by lists/config.toml:15: the DNS has one key at '
        "Digest._domainkey.example.org"),
    ),
    (table(header="[[dkim]]") + "[[dkim]]\nkey_file = 'ed.pem'\n", 17, "[1]", "`selector` of [[dkim]] is missing:…"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "key", "message"), MISTAKES, ids=[f"{n}-{m[2]}" for n, m in enumerate(MISTAKES)]
)
def test_a_mistake_with_a_key_is_told(config: Path, text: str, line: int, key: str, message: str) -> None:
    """Each is named once, where it stands, in words, with advice; nothing of a key's file is repeated."""
    (found,) = problems(config, BASE + text)
    path = f"dkim{key}" if key.startswith("[") else f"dkim.{key}".rstrip(".")
    assert (found.file, found.line, found.key) == (config, line, path), str(found)
    pattern = ".*".join(re.escape(part) for part in message.split("…"))
    assert re.fullmatch(pattern, found.message), found.message
    assert "hunter2" not in str(found)


def test_what_is_no_table_is_told(config: Path) -> None:
    """Anything else under that name is not passed over."""
    (found,) = problems(config, "dkim = 'rsa.pem'\n" + BASE)
    assert found.message == "[dkim] must be a table, written [dkim], or [[dkim]] once for each of several"
    assert found.line == 1


def test_a_mistake_of_the_environment_is_the_environment_s(config: Path) -> None:
    """A variable that names no key is told by its name."""
    (found,) = problems(config, BASE + table(), DIGEST_DKIM__KEY_FILE="none.pem")
    assert str(found).startswith('environment: DIGEST_DKIM__KEY_FILE: `key_file` of [dkim] "none.pem" is not there')
