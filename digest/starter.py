"""`digest init`: a short, commented config that works as it is. `config.example.toml` has everything."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from digest.errors import ConfigError

STARTER = """\
# One mailing list. `digest preview --open` shows its next edition, `digest send` sends it,
# `digest run` sends it by the schedule. Every key there is: see config.example.toml.

[list]
id = {id}              # stable: the ledger and the List-Id header hang on it
name = {name}
from = {from_}
schedule = "0 7 * * mon-fri"      # cron: seven o'clock, Monday to Friday …
timezone = "UTC"                  # … here; write your own, e.g. "Europe/Berlin"
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

# Without this table, messages go to the Maildir ./outbox, which mutt and Thunderbird open.
# [smtp]
# host = "smtp.example.org"
# port = 587
# security = "starttls"           # starttls | tls | none
# username = "digest"
# password_file = "smtp-password.txt"
"""


def write_starter(path: Path, *, name: str, email: str, categories: Sequence[str], topic: str) -> None:
    """Writes the config, having checked that it loads. Raises ConfigError, and leaves no file behind then."""
    from digest.settings import load

    text = STARTER.format(
        id=_toml(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "papers"),
        name=_toml(name),
        from_=_toml(f"{_display_name(name)} <{email}>"),
        categories="[" + ", ".join(_toml(c.strip()) for c in categories if c.strip()) + "]",
        topic=_toml(topic),
        email=_toml(email),
    )
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise ConfigError("the name, address or topic holds bytes that are no text: write them in UTF-8") from None
    try:
        with path.open("xb") as file:
            file.write(encoded)
    except FileExistsError:
        raise ConfigError(f"{path} exists already: name another file, or move that one away") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: name a file in a folder that you can write to") from error
    try:
        load([path])
    except ConfigError:
        path.unlink()
        raise


def _display_name(name: str) -> str:
    """A name as RFC 5322's display-name: quoted where it holds more than words."""
    return name if re.fullmatch(r"[\w '-]+", name) else '"' + re.sub(r'["\\]', "'", name) + '"'


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)
