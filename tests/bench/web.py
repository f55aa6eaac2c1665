"""How fast the pages are: requests/s and latencies of the front page, and of the live preview over 1,000 papers.

    python tests/bench/web.py                 words alone
    python tests/bench/web.py --semantic      and meaning: every new topic goes through the model once

Needs the Debian package wrk. `digest web` is a process of its own over a store with 5,000 papers of earlier days and an
edition of 1,000. wrk asks for the front page, as fast as it is answered, over 16 connections. The preview is asked for
at a fixed rate, 20 a second, whether or not the one before has been answered, each time for another topic of eight
words: that is what people who type come to, and a slow answer is not hidden by waiting for it. Latencies are wall time
from sending to the last byte, on this machine, which the asking shares. Prints figures, asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from digest.app import App
from digest.model import Announcement, AnnounceType, Paper, Signal, SourceReport
from digest.pull.dedupe import merge
from digest.settings import load
from tests.bench.rank_speed import invented

EARLIER, PAPERS = 5_000, 1_000
RATE, SECONDS = 20, 20
NOW = datetime(2026, 6, 10, 6, 0, tzinfo=UTC)
CONFIG = """\
[list]
id = "lab"
name = "Lab"
from = "Lab <digest@example.org>"
base_url = "http://127.0.0.1:{port}"
semantic = {semantic}

[[sources]]
kind = "arxiv"
categories = ["cs.CV"]
url = "feeds"

[topics.one]
text = "diffusion models that generate video"

[web]
looks = "1000000/minute"
"""


def edition(day: date, papers: list[Paper], app: App) -> None:
    """Freezes the day's edition of these papers; every tenth has upvotes."""
    at = datetime.combine(day, NOW.time(), UTC)
    announced = tuple(Announcement(paper, AnnounceType.NEW, day, "arxiv") for paper in papers)
    signals = tuple(Signal(paper.id, "upvotes", 5 + n % 90, at) for n, paper in enumerate(papers[::10]))
    report = SourceReport("arxiv", announced, signals)
    app.editions.freeze(app.list.id, day, at, [report], lambda a, s: tuple(merge(a, s)), ())


@contextmanager
def served(semantic: bool) -> Iterator[tuple[str, int, list[Paper]]]:
    """The pages in a process of their own: their address, its id, and the papers."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
        config = Path(folder) / "config.toml"
        config.write_text(CONFIG.format(port=port, semantic=str(semantic).lower()), encoding="utf-8")
        papers = list(islice(invented(EARLIER + PAPERS), EARLIER + PAPERS))
        with App(load([config]).lists[0], lambda: NOW) as app:
            edition(NOW.date() - timedelta(days=1), papers[:EARLIER], app)
            edition(NOW.date(), papers[EARLIER:], app)
        command = [
            sys.executable,
            "-m",
            "digest",
            "web",
            "--port",
            str(port),
            "-c",
            str(config),
            "--now",
            NOW.isoformat(),
        ]
        root = str(Path(__file__).resolve().parents[2])
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE)
        try:
            base = f"http://127.0.0.1:{port}"
            _until_ready(base)
            yield base, process.pid, papers[EARLIER:]
        finally:
            process.terminate()
            process.wait()


def _until_ready(base: str) -> None:
    started = time.perf_counter()
    while True:
        try:
            with urllib.request.urlopen(f"{base}/") as answer:
                size = len(answer.read())
            break
        except OSError:
            time.sleep(0.1)
    listening = time.perf_counter() - started
    urllib.request.urlopen(f"{base}/preview/lab", data=b"words=video").read()
    print(f"listening after {listening:.1f} s, the preview ready after {time.perf_counter() - started:.1f} s; "
          f"the front page has {size / 1000:.0f} kB")  # fmt: skip


async def ask(base: str, words: str, latencies: list[float]) -> None:
    """One preview, over a connection of its own, as our script asks for it."""
    host, port = base.removeprefix("http://").split(":")
    body = urlencode({"topic": "one", "words": words}).encode()
    head = (f"POST /preview/lab HTTP/1.1\r\nHost: {host}\r\nX-Fragment: 1\r\nConnection: close\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + body)
    answer = await reader.read()
    latencies.append(time.perf_counter() - began)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]


async def previews(base: str, papers: list[Paper]) -> list[float]:
    """RATE a second for SECONDS; each topic is eight words of one paper."""
    draw, latencies, asking = random.Random(3), list[float](), []
    for number in range(RATE * SECONDS):
        words = " ".join(draw.sample(draw.choice(papers).abstract.split(), 8))
        asking.append(asyncio.create_task(ask(base, words, latencies)))
        await asyncio.sleep(1 / RATE if number else 0)
    await asyncio.gather(*asking)
    return latencies


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--semantic", action="store_true", help="meaning counts beside words")
    options = parser.parse_args()
    wrk = shutil.which("wrk")
    if not wrk:
        raise SystemExit("wrk is not installed (Debian package: wrk)")
    with served(options.semantic) as (base, _, papers):
        told = subprocess.run(
            [wrk, "-t1", "-c16", "-d8s", "--latency", f"{base}/"], check=True, capture_output=True, text=True
        )
        wanted = ("50%", "99%", "Requests/sec", "Non-2xx", "Socket errors")
        print("front page, wrk over 16 connections:")
        print("\n".join(f"    {line.strip()}" for line in told.stdout.splitlines() if line.strip().startswith(wanted)))
        latencies = asyncio.run(previews(base, papers))
        cuts = quantiles([1000 * each for each in latencies], n=100)
        print(f"preview of {PAPERS} papers, {RATE} a second for {SECONDS} s: p50 {cuts[49]:.1f} ms, "
              f"p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms, worst {1000 * max(latencies):.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
