"""A list with several invented days behind it: sent for real to a Maildir, with votes cast in between."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from digest.app import App
from digest.members import Ballot
from digest.model import Address, PaperId
from digest.settings import load
from tests.test_cli import run

FIRST = date(2026, 6, 1)
DAYS = tuple(FIRST + timedelta(days=n) for n in range(5))
CONFIG = """\
[list]
id = "lab"
name = "Lab"
from = "Lab <digest@example.org>"
papers = 3
min_relevance = 0.0
explore = false
semantic = false

[[sources]]
kind = "feed"
name = "journal"
url = "feeds"

[topics.video]
text = "video diffusion"

[topics.proteins]
text = "protein folding"
"""
READER = '\n[[subscribers]]\nemail = "{name}@example.org"\ntopics = {topics}\n'
ABOUT = tuple(f"{topic} {theme}" for topic in ("video diffusion", "protein folding") for theme in
              ("slow cameras", "flowing rivers", "dancing robots", "frozen lakes"))  # fmt: skip


def _invented(seed: str, count: int) -> str:
    """Words that no other paper has: else one day's papers would be near-duplicates of the next day's."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("bdfgklmnprst", k=1) + draw.choices("aeiou", k=1) +
                            draw.choices("bdfgklmnprstz", k=3)) for _ in range(count))  # fmt: skip


def morning(day: date, hour: int = 6) -> datetime:
    """A time of that day, UTC."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def doi(day: date, number: int) -> PaperId:
    """The paper of that number of the day."""
    return PaperId(f"doi:10.5555/{day:%m%d}.{number}")


def write_past(folder: Path, readers: Sequence[tuple[str, str]], extra: str = "") -> Path:
    """The config of a list with these readers, (name, topics as TOML), and its feeds, one file a day."""
    (folder / "feeds").mkdir(parents=True)
    for day in DAYS:
        items = "".join(
            f"<item><title>{_invented(f'{day} {n}', 3)}: {text}</title><link>https://example.org/{day}/{n}</link>"
            f"<description>On {text}: {_invented(f'{day} {n} more', 12)}.</description>"
            f"<dc:identifier>doi:10.5555/{day:%m%d}.{n}</dc:identifier>"
            f"<pubDate>{morning(day, 1):%a, %d %b %Y %H:%M:%S} +0000</pubDate></item>"
            for n, text in enumerate(ABOUT)
        )
        (folder / "feeds" / f"{day}.xml").write_text(
            '<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>'
            f"<title>Journal</title><link>https://example.org</link><description>Invented</description>{items}"
            "</channel></rss>"
        )
    config = folder / "config.toml"
    config.write_text(CONFIG + "".join(READER.format(name=n, topics=t) for n, t in readers) + extra)
    return config


def send(config: Path, day: date) -> None:
    """The edition of that day, at six o'clock."""
    answer = run("send", "--config", str(config), "--now", morning(day).isoformat())
    assert answer.returncode == 0, answer


def vote(config: Path, name: str, paper: PaperId, ballot: Ballot, at: datetime) -> None:
    """One reader's word on a paper."""
    with App(load([config], {}).lists[0], lambda: at) as app:
        member = app.membership.members.find(Address(f"{name}@example.org"))
        assert member is not None
        assert app.membership.vote(member, paper, ballot)
