"""`digest init`: a short, commented config that works as it is. `config.example.toml` has everything.

Answers in, files out: the config, and beside it the relay's password in a file of its own, each new and neither ever
overwritten. `cli/starting.py` asks the questions.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from digest.errors import ConfigError
from digest.hosts import is_loopback
from digest.model import Security
from digest.providers import Provider, provider_of_address, provider_of_relay

STARTER = """\
# One mailing list. `digest check` says whether all is well, `digest preview --open` shows its next edition,
# `digest send` sends it, `digest run` sends it by the schedule. Every key there is: see config.example.toml.

[list]
id = {id:<28} # stable: the ledger and the List-Id header hang on it
name = {name}
from = {from_}
schedule = "0 7 * * mon-fri"      # cron: seven o'clock, Monday to Friday …
timezone = {timezone:<22} # … here, by a name such as "Europe/Berlin"
papers = 12                       # at most, per email
min_relevance = 0.2               # higher: fewer, closer papers
trend_weight = 0.3                # 0: relevance alone; 1: popularity alone

[[sources]]
kind = "arxiv"                    # what arXiv announces in these categories
categories = {categories}

[[sources]]
kind = "huggingface"              # Daily Papers, with upvotes

# [[sources]]
# kind = "feed"                   # any RSS or Atom
# url = "https://www.nature.com/nature.rss"

[topics.first]
text = {topic}
keywords = []                     # phrases that count more than single words
exclude = []                      # a paper with one of these phrases is left out

[[subscribers]]
email = {email}
topics = ["first"]

{smtp}"""
PASSWORD_FILE = "smtp-password.txt"  # noqa: S105 - a file's name
PASSWORD_VARIABLE = "DIGEST_SMTP__PASSWORD"  # noqa: S105 - a variable's name
ALONE, USUAL = 0o600, 0o666


@dataclass(frozen=True, slots=True)
class RelayAnswer:
    """Which server is to take the mail, and how one logs in there. At most one of the passwords' places is given."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    """To be written: into a file of its own, or with `in_config` into the config."""
    password_file: Path | None = None
    """Where it is already."""
    from_environment: bool = False
    """It is in `$DIGEST_SMTP__PASSWORD`, now and whenever the config is used."""
    in_config: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing to log in."""
        return not self.username or bool(self.password or self.password_file or self.from_environment)


def relay_answer(written: str) -> RelayAnswer:
    """A relay as a person writes it: `smtp.example.org`, `smtp.example.org:465`, `[::1]:25`. Raises ConfigError.

    A provider's own port is known. Port 465 speaks TLS at once; on this machine nothing needs to be encrypted; else
    STARTTLS.
    """
    found = re.fullmatch(r"\s*(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\s*", written)
    port = int(found[2]) if found and found[2] else 0
    if not found or port > 65535:
        raise ConfigError(f"{written}: not a relay; write its host, as in smtp.example.org or smtp.example.org:465")
    host = found[1].strip("[]").lower()
    if (provider := provider_of_relay(host)) and port in (0, provider.port):
        return RelayAnswer(host, provider.port, provider.security)
    if is_loopback(host) and port not in (465, 587):
        return RelayAnswer(host, port or 25, Security.NONE)
    return RelayAnswer(host, port or 587, Security.TLS if port == 465 else Security.STARTTLS)


def relay_of_address(address: str) -> RelayAnswer | None:
    """The relay that goes with an address, by its provider; None where that cannot be seen in it."""
    provider = provider_of_address(address)
    return RelayAnswer(provider.host, provider.port, provider.security, address) if provider else None


def system_timezone() -> str:
    """The time zone that this machine is set to, by its IANA name; UTC where it has none."""
    from digest.subscribe.values import WrongValue, time_zone

    written = os.environ.get("TZ", "").removeprefix(":")
    try:
        linked = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
        return time_zone(written or linked or "UTC")
    except (OSError, WrongValue):
        return "UTC"


def write_starter(
    path: Path,
    *,
    name: str,
    email: str,
    categories: Sequence[str],
    topic: str,
    from_: str | None = None,
    relay: RelayAnswer | None = None,
    timezone: str = "UTC",
) -> Path | None:
    """Writes the config, having checked that it loads; the file of its password, where one was written.

    `from_` is an address, by default `email`. Raises ConfigError, and leaves no file behind then.
    """
    from digest.settings import load

    refuse_existing(path)
    secret = None
    if relay and relay.password and not relay.in_config:
        secret = _free_name(path)
        relay = replace(relay, password_file=Path(secret.name))
    text = STARTER.format(
        id=_toml(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "papers"),
        name=_toml(name),
        from_=_toml(f"{_display_name(name)} <{from_ or email}>"),
        timezone=_toml(timezone),
        categories="[" + ", ".join(_toml(c.strip()) for c in categories if c.strip()) + "]",
        topic=_toml(topic),
        email=_toml(email),
        smtp=_smtp(relay),
    )
    written: list[Path] = []
    try:
        if secret and relay:
            _write_new(secret, f"{relay.password}\n", ALONE)
            written.append(secret)
        _write_new(path, text, ALONE if relay and relay.in_config else USUAL)
        written.append(path)
        load([path])
    except ConfigError:
        for each in written:
            each.unlink()
        raise
    return secret


def refuse_existing(path: Path) -> None:
    """Raises ConfigError where there is such a file: before questions are asked, and again before it is written."""
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path} exists already: name another file, or move that one away")


def _free_name(config: Path) -> Path:
    """Where the password goes: beside the config, under a name that nobody has yet."""
    names = (PASSWORD_FILE, f"{config.stem}-{PASSWORD_FILE}")
    for name in names:
        if not (path := config.with_name(name)).exists():
            return path
    raise ConfigError(f"{config.with_name(names[-1])} exists already: say --password-file to use it, or move it away")


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise ConfigError("the name, address or topic holds bytes that are no text: write them in UTF-8") from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(encoded)
    except FileExistsError:
        raise ConfigError(f"{path} exists already: name another file, or move that one away") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: name a file in a folder that you can write to") from error


def _smtp(relay: RelayAnswer | None) -> str:
    """The table, with every line a comment where something is missing: the config then works with a Maildir."""
    if relay is None:
        relay = RelayAnswer("smtp.example.org", 587, Security.STARTTLS, "digest")
        head = ["# Without this table, messages go to the Maildir ./outbox, which mutt and Thunderbird open."]
        return "\n".join([*head, *(f"# {line}" for line in _table(relay))]) + "\n"
    lines = _table(relay)
    provider = provider_of_relay(relay.host)
    hint = [f"# {_hint(provider)}"] if provider and provider.hint and relay.username else []
    if relay.is_complete:
        return "\n".join([*hint, *lines]) + "\n"
    head = [
        f"# Put the password of {relay.host} into {PASSWORD_FILE}, beside this file, and take the # away below.",
        "# Until then, messages go to the Maildir ./outbox, which mutt and Thunderbird open.",
    ]
    return "\n".join([*head, *hint, *(f"# {line}" for line in lines)]) + "\n"


def _hint(provider: Provider) -> str:
    return f"{provider.name}: {provider.hint}"


def _table(relay: RelayAnswer) -> list[str]:
    lines = [
        "[smtp]",
        f"host = {_toml(relay.host)}",
        f"port = {relay.port}",
        f'security = "{relay.security}"           # starttls | tls | none',
    ]
    if not relay.username:
        return lines
    lines.append(f"username = {_toml(relay.username)}")
    if relay.in_config and relay.password:
        lines.append(f"password = {_toml(relay.password)}")
    elif relay.from_environment:
        lines.append(f"# the password is in the environment: {PASSWORD_VARIABLE}")
    else:
        lines.append(f"password_file = {_toml(str(relay.password_file or PASSWORD_FILE))}")
    return lines


def _display_name(name: str) -> str:
    """A name as RFC 5322's display-name: quoted where it holds more than words."""
    return name if re.fullmatch(r"[\w '-]+", name) else '"' + re.sub(r'["\\]', "'", name) + '"'


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)
