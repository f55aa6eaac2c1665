"""`config.example.toml` is valid, complete and in step with the settings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from digest.model import Inbox, OnUnknown, Rate, Security, WarmUp
from digest.settings import load
from digest.settings.checks import age
from digest.settings.models import TABLES, keys_of
from tests.dkim_keys import ed25519_key, pem, rsa_key

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"
OPTIONAL = re.compile(r"# (?=\[+[\w.-]+\]+\s|\w+ = )")


def uncommented() -> str:
    """The example with every optional key and table taken in."""
    return "".join(
        OPTIONAL.sub("", line, count=1) for line in EXAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    )


def table_kind(header: str) -> str:
    return "topics" if header.startswith("topics.") else header


def keys_in(text: str) -> Iterator[tuple[str, str]]:
    """(table, key) of every line that sets a key, inline tables left out."""
    table = ""
    for line in text.splitlines():
        if header := re.match(r"\[+([\w.-]+)\]+", line):
            table = table_kind(header[1])
        elif key := re.match(r"(\w+) = ", line):
            yield table, key[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything that the example's optional keys name."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "ada.bib").write_text("@article{a, title={Invented}, author={Ada Example}}")
    (tmp_path / "members.csv").write_text("email,topics\nbob@example.org,video-generation\n")
    (tmp_path / "list-secret.txt").write_text(
        "a new invented key of 32 characters\nan old invented key of 32 characters\n"
    )
    (tmp_path / "smtp-password.txt").write_text("out of the file\n")
    (tmp_path / "postgres-password.txt").write_text("another\n")
    (tmp_path / "imap-password.txt").write_text("out of another file\n")
    (tmp_path / "status-password.txt").write_text("invented for operators\n")
    (tmp_path / "lab-ca.pem").write_text("")
    (tmp_path / "dkim.pem").write_bytes(pem(rsa_key().key))
    (tmp_path / "dkim-ed25519.pem").write_bytes(pem(ed25519_key().key))
    for name in ("dkim.pem", "dkim-ed25519.pem"):
        (tmp_path / name).chmod(0o600)
    return tmp_path


def test_the_example_loads_as_it_stands() -> None:
    """The example is a valid config with nothing to remark on."""
    (config,) = load([EXAMPLE], {}).lists
    assert config.mailing_list.id == "video-lab"
    assert [s.kind for s in config.sources] == ["arxiv", "huggingface"]
    assert [str(s.address) for s in config.subscribers] == ["ada@example.org"]
    assert config.relays == ()
    assert config.warnings == ()


def test_the_example_is_copied_anywhere_and_loads(folder: Path) -> None:
    """The example needs no file beside it."""
    copy = folder / "sub" / "config.toml"
    copy.parent.mkdir()
    copy.write_bytes(EXAMPLE.read_bytes())
    assert load([copy], {}).lists[0].store_url == f"sqlite:///{folder}/sub/digest.db"


def test_every_optional_key_can_be_taken_in(folder: Path) -> None:
    """With all comment signs before keys and tables gone, the example is a valid config in which each key counts."""
    (folder / "config.toml").write_text(uncommented(), encoding="utf-8")
    (config,) = load([folder / "config.toml"], {}).lists
    (relay,) = config.relays
    assert (relay.password, relay.rate, relay.on_unknown) == ("out of the file", Rate(600, 60), OnUnknown.HOLD)
    assert (relay.name, relay.weight, relay.per_day) == ("first", 1, 2000)
    assert relay.warm_up == WarmUp(date(2026, 11, 1), 50, 1.3)
    assert config.mailing_list.send_window == "mon-fri 07:00-21:00"
    assert config.inbox == Inbox(
        "imap.example.org", 993, Security.TLS, "digest", "out of another file", folder / "lab-ca.pem"
    )
    assert [(key.domain, key.selector, key.algorithm) for key in config.signing] == [
        ("example.org", "digest", "rsa-sha256"), ("example.org", "digest-ed25519", "ed25519-sha256"),
    ]  # fmt: skip
    assert config.mailing_list.templates == folder / "templates"
    assert [s.name for s in config.sources] == [
        "arxiv", "huggingface", "nature.com", "semanticscholar", "crossref", "biorxiv", "openreview",
    ]  # fmt: skip
    ada, bob = config.subscribers
    assert [t.name for t in ada.profile.topics] == ["video-generation", "audio"]
    assert [p.title for p in ada.library] == ["Invented"]
    assert bob.address == "bob@example.org"
    assert [len(key) for key in config.keys] == [35, 36]
    assert (config.mailing_list.bounces, config.mailbox) == ("bounces@example.org", "digest@example.org")
    assert config.authserv_id == "mx.example.org"
    assert config.warnings == ()


def test_each_optional_key_can_be_taken_in_alone(folder: Path) -> None:
    """An optional line outside of an optional table may be taken in without its neighbours."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    table_is_optional = False
    tried = 0
    for number, line in enumerate(lines):
        if re.match(r"(# )?\[", line):
            table_is_optional = line.startswith("#")
        if table_is_optional or not OPTIONAL.match(line):
            continue
        changed = [*lines[:number], OPTIONAL.sub("", line), *lines[number + 1 :]]
        (folder / "config.toml").write_text("".join(changed), encoding="utf-8")
        assert load([folder / "config.toml"], {}).lists, line
        tried += 1
    assert tried >= 20


@pytest.mark.parametrize("table", [t for t in TABLES if t])
def test_every_key_of_the_settings_is_in_the_example(table: str) -> None:
    """Whoever reads the example has seen every key that there is."""
    if table == "subscribers.topics":
        topics = tomllib.loads(uncommented())["subscribers"][0]["topics"]
        shown = {*topics[1], *(key for t, key in keys_in(uncommented()) if t == "topics")}
    else:
        shown = {key for t, key in keys_in(uncommented()) if t == table}
    assert shown == set(keys_of(table))


def test_every_table_of_the_settings_is_in_the_example() -> None:
    """Whoever reads the example has seen every table that there is, and no other."""
    assert set(tomllib.loads(uncommented())) == set(keys_of(""))


def test_an_optional_key_shows_its_default() -> None:
    """A key that is commented out stands there with the value that it has then."""
    data = tomllib.loads(uncommented())
    optional = {
        (table, key)
        for table, key in keys_in(uncommented())
        if (table, key) not in set(keys_in(EXAMPLE.read_text(encoding="utf-8")))
    }
    compared = 0
    for table, key in sorted(optional):
        field = next(f for n, f in TABLES[table].model_fields.items() if (f.alias or n) == key)
        if field.default in (None, PydanticUndefined, ()):
            continue
        shown = _first(data, table, key)
        if isinstance(field.default, timedelta):
            shown = age(shown)
        assert shown == _plain(field.default), (table, key)
        compared += 1
    assert compared >= 10


def _first(data: dict[str, Any], table: str, key: str) -> Any:
    found = data[table]
    tables = found if isinstance(found, list) else list(found.values()) if table == "topics" else [found]
    return next(t[key] for t in tables if key in t)


def _plain(default: Any) -> Any:
    return [str(item) for item in default] if isinstance(default, tuple) else default
