"""Thirty days of a list, through the scheduler's code: the right editions, to the right readers, at the right times.

Seven o'clock in Berlin, Monday to Friday, from Monday 16 March to Tuesday 14 April 2026: clocks go forward in Berlin on
29 March; arXiv has a holiday on Good Friday, 3 April, and announces nothing on weekends. The machine sleeps over two
weekends, once until Monday noon and once until Wednesday, and the program is restarted on a day between. Readers in
Berlin, New York (which changed its clocks before) and Tokyo want it daily, weekly and monthly; one changes her mind,
twice. The clock stands still and is turned from minute to minute that matters, and to the one before; everything else
is real: the config, the sources' files, the store, the Maildir.
"""

from __future__ import annotations

import asyncio
import email
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.message import Message
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from digest.app import App
from digest.console import Terminal
from digest.model import DeliveryStatus
from digest.settings import load
from digest.tending import ListRunner

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, DAYS = date(2026, 3, 16), 30
HOLIDAY = date(2026, 4, 3)
MINUTES = ("04:59", "05:00", "05:59", "06:00", "10:59", "11:00", "11:59", "12:00", "12:59", "13:00", "21:59", "22:00")
"""The times of a day, in UTC, at which anything may be due, and the minutes before them."""
ASLEEP = (
    # From Friday noon over the weekend to Monday noon: Monday's run is made late, and what Tokyo waits for too.
    (datetime(2026, 3, 20, 12, tzinfo=BERLIN), datetime(2026, 3, 23, 12, 15, tzinfo=BERLIN)),
    # From the Saturday before Easter to the Wednesday after it: three runs become one.
    (datetime(2026, 4, 4, 9, tzinfo=BERLIN), datetime(2026, 4, 8, 10, 45, tzinfo=BERLIN)),
)
RESTART = datetime(2026, 3, 26, 7, 30, tzinfo=BERLIN)
WEEKLY_FROM, DAILY_FROM = datetime(2026, 3, 18, 12, 30, tzinfo=BERLIN), datetime(2026, 4, 8, 12, 30, tzinfo=BERLIN)
"""When the reader who changes her mind does."""

CONFIG = """\
[list]
id = "lab"
name = "Lab"
from = "Lab <digest@example.org>"
timezone = "Europe/Berlin"
papers = 100
min_relevance = 0.0
semantic = false
explore = false

[topics.video]
text = "diffusion models that generate video"

[[sources]]
kind = "arxiv"
categories = ["cs.CV"]
url = "feeds"
"""
READERS = {
    "dora": "",
    "berlin": 'timezone = "Europe/Berlin"\n',
    "york": 'timezone = "America/New_York"\n',
    "tokyo": 'timezone = "Asia/Tokyo"\nhour = 21\n',
    "weekly": 'timezone = "Europe/Berlin"\nfrequency = "weekly"\n',
    "weekly-york": 'timezone = "America/New_York"\nhour = 8\nfrequency = "weekly"\n',
    "monthly": 'timezone = "Asia/Tokyo"\nfrequency = "monthly"\n',
    "fickle": 'frequency = "daily"\n',
}
ITEM = """\
<item><title>Diffusion models that generate video of {subject}</title>
<link>https://arxiv.org/abs/{number}</link>
<description>arXiv:{number}v1 Announce Type: new
Abstract: We generate video of {subject} with diffusion models, {number} times.</description>
<guid isPermaLink="false">oai:arXiv.org:{number}v1</guid><category>cs.CV</category>
<arxiv:announce_type>new</arxiv:announce_type><dc:creator>Ada {subject}</dc:creator></item>
"""
FEED = """\
<?xml version="1.0" encoding="UTF-8"?>
<rss xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0"><channel>
<title>cs.CV</title><pubDate>{day:%a, %d %b %Y} 00:00:00 -0400</pubDate>
{items}</channel></rss>
"""
SUBJECTS = (
    "walruses", "teapots", "glaciers", "violins", "bakeries", "locomotives", "jellyfish", "orchards", "umbrellas",
    "cathedrals", "hedgehogs", "lighthouses", "pancakes", "volcanoes", "typewriters", "flamingos", "carousels",
    "mushrooms", "windmills", "submarines", "accordions",
)  # fmt: skip


def announcement_days() -> list[date]:
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    return [day for day in days if day.weekday() < 5 and day != HOLIDAY]


def number(day: date) -> str:
    return f"2603.{day:%m%d}0"


def write_world(folder: Path) -> Path:
    """A list with its readers, and a paper on every day on which arXiv announces."""
    (folder / "feeds").mkdir()
    for day, subject in zip(announcement_days(), SUBJECTS, strict=True):
        items = ITEM.format(number=number(day), subject=subject)
        (folder / "feeds" / f"{day}.xml").write_text(FEED.format(day=day, items=items))
    people = "".join(f'[[subscribers]]\nemail = "{who}@example.org"\n{more}' for who, more in READERS.items())
    path = folder / "config.toml"
    path.write_text(CONFIG + people)
    return path


class Simulation:
    """A clock that is turned, the runner of the one list, and what came into the Maildir when."""

    def __init__(self, config: Path):
        self.config = config
        self.now = datetime(2026, 3, 16, 6, tzinfo=BERLIN).astimezone(UTC)
        self.loop = asyncio.Runner()
        self.seen: set[str] = set()
        self.came: list[tuple[str, str, list[str]]] = []
        self.ids: Counter[str] = Counter()
        self.dates: list[timedelta] = []
        self.start()

    def start(self) -> None:
        """The program, as it is at its start."""
        listing = load([self.config], {}).lists[0]
        self.runner = ListRunner(listing, lambda: self.now, asyncio.Event(), Terminal())
        self.loop.run(self.runner.catch_up())
        self.look()

    def tick(self) -> None:
        """What happens every minute, at a minute at which something may be due."""
        self.loop.run(self.runner.tend())
        self.look()

    def look(self) -> None:
        """Takes down what has come: (when, in Berlin; to whom; the days of its papers)."""
        for path in sorted((self.config.parent / "outbox" / "new").glob("*")):
            if path.name not in self.seen:
                self.seen.add(path.name)
                self.note(email.message_from_bytes(path.read_bytes()))

    def note(self, message: Message) -> None:
        parts = {part.get_content_type(): part for part in message.walk()}
        body = parts["text/plain"].get_payload(decode=True)
        assert isinstance(body, bytes)
        papers = sorted({f"{m[0:2]}-{m[2:4]}" for m in re.findall(r"arxiv.org/abs/2603\.(\d{4})0", body.decode())})
        when = self.now.astimezone(BERLIN)
        self.came.append((f"{when:%m-%d %H:%M}", str(message["To"]).partition("@")[0], papers))
        self.ids[str(message["Message-ID"])] += 1
        self.dates.append(self.now - datetime.strptime(str(message["Date"]), "%a, %d %b %Y %H:%M:%S %z"))

    def run(self) -> None:
        """The thirty days."""
        for moment in moments():
            self.now = moment
            if moment == RESTART:
                self.start()
            for change, before, after in ((WEEKLY_FROM, "daily", "weekly"), (DAILY_FROM, "weekly", "daily")):
                if moment == change:
                    text = self.config.read_text()
                    head, fickle, mind = text.rpartition('"fickle@example.org"')
                    self.config.write_text(head + fickle + mind.replace(before, after))
            self.tick()


def moments() -> list[datetime]:
    """When the program looks, in order: every minute that matters and that the machine does not sleep through."""
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    looked = {datetime.fromisoformat(f"{day}T{minute}Z") for day in days for minute in MINUTES}
    looked |= {moment.astimezone(UTC) for moment in (RESTART, WEEKLY_FROM, DAILY_FROM)}
    awake = {moment for moment in looked if not any(asleep <= moment < woken for asleep, woken in ASLEEP)}
    return sorted(awake | {woken.astimezone(UTC) for _, woken in ASLEEP})


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    made = Simulation(write_world(tmp_path))
    yield made
    made.loop.close()


TABLE = """
         dora             berlin           york             tokyo
03-16    07:00            07:00            12:00            13:00
03-17    07:00            07:00            12:00            13:00
03-18    07:00            07:00            12:00            13:00
03-19    07:00            07:00            12:00            13:00
03-20    07:00            07:00            03-23 12:15      03-23 12:15
03-23    12:15            12:15            12:15            13:00
03-24    07:00            07:00            12:00            13:00
03-25    07:00            07:00            12:00            13:00
03-26    07:00            07:00            12:00            13:00
03-27    07:00            07:00            12:00            13:00
03-30    07:00            07:00            13:00            14:00
03-31    07:00            07:00            13:00            14:00
04-01    07:00            07:00            13:00            14:00
04-02    07:00            07:00            13:00            14:00
04-06    04-08 10:45      04-08 10:45      04-08 13:00      04-08 14:00
04-07    04-08 10:45      04-08 10:45      04-08 13:00      04-08 14:00
04-08    10:45            10:45            13:00            14:00
04-09    07:00            07:00            13:00            14:00
04-10    07:00            07:00            13:00            14:00
04-13    07:00            07:00            13:00            14:00
04-14    07:00            07:00            13:00            14:00

         weekly           weekly-york      monthly          fickle
03-16    07:00            13:00            23:00            07:00
03-17    03-23 12:15      03-23 13:00      04-02 00:00      07:00
03-18    03-23 12:15      03-23 13:00      04-02 00:00      07:00
03-19    03-23 12:15      03-23 13:00      04-02 00:00      03-23 12:15
03-20    03-23 12:15      03-23 13:00      04-02 00:00      03-23 12:15
03-23    12:15            13:00            04-02 00:00      12:15
03-24    03-30 07:00      03-30 14:00      04-02 00:00      03-30 07:00
03-25    03-30 07:00      03-30 14:00      04-02 00:00      03-30 07:00
03-26    03-30 07:00      03-30 14:00      04-02 00:00      03-30 07:00
03-27    03-30 07:00      03-30 14:00      04-02 00:00      03-30 07:00
03-30    07:00            14:00            04-02 00:00      07:00
03-31    04-08 10:45      04-08 14:00      04-02 00:00      04-08 10:45
04-01    04-08 10:45      04-08 14:00      04-02 00:00      04-08 10:45
04-02    04-08 10:45      04-08 14:00      -                04-08 10:45
04-06    04-08 10:45      04-08 14:00      -                04-08 10:45
04-07    04-08 10:45      04-08 14:00      -                04-08 10:45
04-08    10:45            14:00            -                10:45
04-09    04-13 07:00      04-13 14:00      -                07:00
04-10    04-13 07:00      04-13 14:00      -                07:00
04-13    07:00            14:00            -                07:00
04-14    -                -                -                07:00
"""
"""When the paper of each day came to each reader, by Berlin's clocks: on its own day, unless another is named.

In New York it is seven at noon in Berlin, and at one once Berlin's clocks have gone forward; in Tokyo nine in the
evening is at one, then at two, and seven in the morning an hour before midnight, then at midnight.
"""


def expected() -> dict[tuple[str, str], str]:
    """(paper's day, reader) → when it came, out of the table."""
    found = {}
    for block in TABLE.strip("\n").split("\n\n"):
        head, *rows = block.splitlines()
        for row in rows:
            day, cells = row[:5], [row[9 + 17 * n : 26 + 17 * n].strip() for n in range(4)]
            for reader, cell in zip(head.split(), cells, strict=True):
                if cell != "-":
                    found[day, reader] = cell if " " in cell else f"{day} {cell}"
    return found


@pytest.mark.no_cover
def test_thirty_days_send_exactly_the_right_editions_at_exactly_the_right_times(simulation: Simulation) -> None:
    """The whole table, to the minute: no paper at another time, to anybody else, or twice; nothing left to be sent.

    Papers of one edition come in one email, nobody has two of an edition, each email is dated at the hour it was for,
    and the pages show the list's own editions alone.
    """
    simulation.run()
    came = [((day, who), when) for when, who, papers in simulation.came for day in papers]
    assert sorted(came) == sorted(expected().items())
    emails = {(when, who, tuple(papers)) for when, who, papers in simulation.came}
    assert len(emails) == len(simulation.came) == sum(simulation.ids.values()) == len(simulation.ids)
    on_time = [late for late in simulation.dates if not late]
    assert min(simulation.dates) == timedelta()
    assert len(simulation.dates) - len(on_time) == 2, "of Friday 20 March, for New York and Tokyo: due in its sleep"
    with App(load([simulation.config], {}).lists[0], lambda: simulation.now) as app:
        made = app.editions.recent(app.list.id, 99)
        assert all(o.adds_up and o.counts.keys() <= {DeliveryStatus.SENT} for o in made)
        assert [o.edition.due_on for o in made if o.finished_at is None] == []
        own = [o.edition.due_on for o in reversed(made) if o.edition.frequency is None]
        assert own == [day for day in announcement_days() if f"{day:%m-%d}" not in ("04-06", "04-07")]
        assert app.archive.days() == tuple(reversed(own))
        rounds = [(o.edition.frequency, f"{o.edition.due_on:%m-%d}") for o in reversed(made) if o.edition.frequency]
        assert rounds == [
            ("weekly", "03-16"), ("monthly", "03-16"), ("weekly", "03-23"), ("weekly", "03-30"), ("monthly", "04-01"),
            ("weekly", "04-08"), ("weekly", "04-13"),
        ]  # fmt: skip
