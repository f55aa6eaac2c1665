"""How fast a whole edition goes out: `digest send`, from feed to last reply, beside smtp-source and the naive way.

    python tests/bench/whole.py                                  20,000 subscribers, in some ten minutes
    python tests/bench/whole.py --subscribers 2000 20000 100000  time and memory as the list grows

Needs the Debian package postfix: smtp-sink receives. Subscribers are imported before; each follows three of thirty
topics and an author. The papers are those of `render_data.py`, as arXiv's feed would have them.

    digest send    the command, in a process of its own: config, pull, ranking, composing, ledger, SMTP
    smtp-source    as many messages, as long, over as many connections
    naive          Jinja, premailer, `EmailMessage` and aiosmtplib over one connection, for the first of the same
                   deliveries; nothing is ranked or recorded, which `digest send` does

Processor time is in milliseconds a message, the memory is the process's peak. Ratios are of messages a second.
A Python that was built without optimisations, as pyenv's are, takes a fifth longer than a distribution's.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from xml.sax.saxutils import escape

import aiosmtplib

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from digest.model import Paper
from digest.settings import load
from digest.store import Editions, Secrets, Subscribers, open_database
from digest.subscribe.links import list_links
from digest.subscribe.tokens import Tokens
from tests.bench.render_data import TOPICS, candidates
from tests.bench.render_naive import Naive
from tests.bench.send import RECIPIENT, SENDER, Load, cost, message, smtp_source
from tests.bench.send_sinks import HOST, postfix_sink

SUBSCRIBERS = (20_000,)
CONNECTIONS = 100
"""As many as a relay may have. With half of them the processors have nothing to do for a tenth of the time."""
NAIVE = 200
"""How many messages the naive way sends: it takes a tenth of a second for each."""
NOW = "2026-06-10T06:00:00+00:00"

ITEM = """\
<item><title>{title}</title><link>https://arxiv.org/abs/{number}</link>
<description>arXiv:{number}v1 Announce Type: new
Abstract: {abstract}</description>
<guid isPermaLink="false">oai:arXiv.org:{number}v1</guid>{categories}
<pubDate>Wed, 10 Jun 2026 00:00:00 -0400</pubDate><arxiv:announce_type>new</arxiv:announce_type>
<dc:creator>{authors}</dc:creator></item>
"""
FEED = """\
<?xml version='1.0' encoding='UTF-8'?>
<rss xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0"><channel>
<title>cs.CV updates on arXiv.org</title><link>http://rss.arxiv.org/rss/cs.CV</link>
<lastBuildDate>Wed, 10 Jun 2026 04:00:04 +0000</lastBuildDate><pubDate>Wed, 10 Jun 2026 00:00:00 -0400</pubDate>
{items}</channel></rss>
"""
CONFIG = """\
[list]
id = "gazette"
name = "The Invented Gazette"
from = "The Invented Gazette <gazette@example.org>"
papers = 15
base_url = "https://digest.example.org"
min_relevance = 0.0
semantic = false

[[sources]]
kind = "arxiv"
categories = ["cs.CV"]
url = "feed.xml"

[smtp]
host = "{host}"
port = {port}
security = "none"
connections = {connections}
"""


@dataclass(frozen=True)
class Run:
    """What a way of sending took for so many messages: seconds, processor seconds, peak megabytes where known."""

    messages: int
    wall: float
    cpu: float
    memory: float = 0.0

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.wall

    def line(self, name: str, first: Run | None = None) -> str:
        """A row of the table; `first` is 1.0."""
        ratio = f"{self.rate / first.rate:9.2f}" if first else f"{'':9}"
        memory = f"{self.memory:9,.0f}" if self.memory else ""
        return f"{name:22}{self.wall:9.1f}{self.rate:10,.0f}{ratio}{self.cpu / self.messages * 1e3:9.2f}{memory}"


def feed(papers: Sequence[Paper]) -> str:
    """The papers as arXiv announces them."""
    items = (
        ITEM.format(
            title=escape(paper.title),
            number=paper.id.removeprefix("arxiv:"),
            abstract=escape(paper.abstract),
            categories="".join(f"<category>{category}</category>" for category in paper.categories),
            authors=escape(", ".join(paper.authors)),
        )
        for paper in papers
    )
    return FEED.format(items="".join(items))


def write_list(folder: Path, subscribers: int, port: int, connections: int) -> Path:
    """A list with so many subscribers, no two alike, all in its store."""
    papers = [candidate.paper for candidate in candidates().values()]
    (folder / "feed.xml").write_text(feed(papers), encoding="utf-8")
    draw = random.Random(3)
    with (folder / "subscribers.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["email", "name", "topics", "authors"])
        for number in range(subscribers):
            followed = "; ".join(topic.name for topic in draw.sample(TOPICS, 3))
            author = draw.choice(draw.choice(papers).authors)
            rows.writerow([f"reader{number}@example.net", f"Reader {number}", followed, author])
    words = [word for paper in papers for word in paper.abstract.split()]
    topics = (f'\n[topics."{topic.name}"]\ntext = "{" ".join(draw.sample(words, 20))}"\n' for topic in TOPICS)
    path = folder / "list.toml"
    path.write_text(CONFIG.format(host=HOST, port=port, connections=connections) + "".join(topics), encoding="utf-8")
    command = [sys.executable, "-m", "digest", "subscribers", "import", "--config", str(path)]
    subprocess.run([*command, str(folder / "subscribers.csv")], check=True, stdout=subprocess.DEVNULL)
    return path


def digest_send(config: Path, subscribers: int) -> Run:
    """The command. Raises RuntimeError if it fails, or does not send to everybody."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "digest", "send", "--config", str(config), "--now", NOW]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = Run(subscribers, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    told = subprocess.run([*command[:3], "status", *command[4:], "--json"], check=True, capture_output=True, text=True)
    if process.returncode or f'"sent": {subscribers}' not in told.stdout:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {told.stdout}")
    return took


def naive_way(config: Path, port: int, count: int) -> tuple[Run, int]:
    """The obvious way for the first deliveries of the edition that was sent; also the median size of a message."""
    settings = load([config]).lists[0]
    database = open_database(settings.store_url)
    editions, secrets = Editions(database), Secrets(database, partial(datetime.now, UTC))
    (edition,) = (overview.edition for overview in editions.recent(settings.mailing_list.id, 1))
    papers = {candidate.paper.id: candidate for candidate in editions.candidates(edition)}
    tokens = Tokens(secrets.signing_keys(()), settings.mailing_list.id)
    links = list_links(settings.mailing_list, lambda: tokens, None)
    way = Naive(settings.mailing_list, edition, papers, editions.sources(edition), links)
    people = {s.id: s for s in Subscribers(database).reachable(settings.mailing_list.id)}
    sizes = []

    async def send() -> None:
        async with aiosmtplib.SMTP(hostname=HOST, port=port) as client:
            for delivery in islice(editions.deliveries(edition), count):
                composed = way.compose(people[delivery.subscriber_id], delivery)
                sizes.append(len(composed))
                await client.sendmail(SENDER, [RECIPIENT], composed)

    took = cost(lambda: asyncio.run(send()))
    database.close()
    return Run(count, took.wall, took.cpu), int(median(sizes))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, nargs="+", default=list(SUBSCRIBERS))
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    asked = parser.parse_args(arguments)
    print(f"{'':22}{'seconds':>9}{'a second':>10}{'ratio':>9}{'CPU ms':>9}{'MB':>9}")
    for subscribers in asked.subscribers:
        with tempfile.TemporaryDirectory() as folder, postfix_sink() as port:
            config = write_list(Path(folder), subscribers, port, asked.connections)
            whole = digest_send(config, subscribers)
            naive, size = naive_way(config, port, min(NAIVE, subscribers))
            took = smtp_source(Load(port, message(size), subscribers, asked.connections))
        source = Run(subscribers, took.wall, took.cpu)
        print(f"{subscribers:,} subscribers, {size:,} bytes a message, {asked.connections} connections")
        print(source.line("smtp-source", source))
        print(whole.line("digest send", source))
        print(naive.line("naive", source))
        print(f"digest send is {whole.rate / naive.rate:.1f} times as fast as the naive way", flush=True)


if __name__ == "__main__":
    main()
