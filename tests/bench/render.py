"""What a message costs: the shipped renderer's beside the obvious way's, both in this process and run.

    python tests/bench/render.py                     all of it: a minute or two
    python tests/bench/render.py --profile           where the time of `compose` goes, instead
    python tests/bench/render.py --messages 200      so many a round, and a fiftieth of it the obvious way

88 invented papers (`render_edition.py`), 15 of them picked for each reader with what stands beside; no two readers are
alike, and none is met twice. The obvious way is in `render_obvious.py`. Figures are medians of five rounds; signing is
no part of them. Making an edition's renderer and its cards, once an edition, stands apart. Peak memory is that of a
process of its own that composes for so many readers and keeps no message.

Before anything is measured both ways make the messages of 40 readers: the headers that both set, the text and the HTML,
compared as trees, must be the same. Where they are not, the first difference is shown and the program ends with 1.
"""

from __future__ import annotations

import argparse
import cProfile
import email
import email.policy
import pstats
import resource
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from itertools import zip_longest
from pathlib import Path

from lxml import etree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from digest.model import NearMiss, Selection
from digest.render import EditionRenderer
from tests.bench.render_edition import PICKS, Order, orders, papers
from tests.bench.render_obvious import Obvious
from tests.render_samples import EDITION, LIST, SOURCES, VOTING

ROUNDS = 5
COMPARED = 40
GOAL = 100
TOGETHER = 10
"""Papers in a message that is composed to have cards made; so many have room, so that none is made small."""
SHARE = 50
"""How many messages are made the shipped way for each that is made the other way."""
CROWDS = (1_000, 10_000)
CANDIDATES = papers()
IDS = tuple(CANDIDATES)
BODILESS = {"Content-Type", "Content-Transfer-Encoding"}
"""Fields that tell of the form, which differs: the boundary."""


def renderer() -> EditionRenderer:
    """A renderer of the edition; no card is made yet."""
    return EditionRenderer(LIST, EDITION, CANDIDATES, SOURCES, VOTING)


def shipped(edition: EditionRenderer) -> Callable[[Order], bytes]:
    """How digest composes."""
    return lambda order: edition.compose(order.reader, order.delivery)


def warm(edition: EditionRenderer) -> None:
    """Has every card made, in each place where a paper can stand, with as few messages as that takes."""
    (order,) = orders(10_000_000, 1, IDS)
    chosen = order.delivery.selection
    for start in range(0, len(IDS), TOGETHER):
        together = IDS[start : start + TOGETHER]
        everywhere = Selection(
            tuple(replace(chosen.picks[0], paper_id=paper_id) for paper_id in together),
            tuple(NearMiss(replace(chosen.picks[0], paper_id=paper_id), "nearly") for paper_id in together),
            tuple(replace(chosen.trending[0], paper_id=paper_id) for paper_id in together),
        )
        edition.compose(order.reader, replace(order.delivery, selection=everywhere))


def read(message: bytes) -> EmailMessage:
    """The message as a mail program reads it."""
    return email.message_from_bytes(message, policy=email.policy.default)


def tree(page: str) -> Iterator[str]:
    """A page's nodes in order: elements with sorted attributes, and texts with single spaces."""
    root = etree.fromstring(page, etree.HTMLParser())
    for event, node in etree.iterwalk(root, events=("start", "end", "comment")):
        if event == "end":
            yield f"</{node.tag}>"
        elif event == "start":
            yield " ".join([f"<{node.tag}", *(f"{name}={value!r}" for name, value in sorted(node.attrib.items()))])
        if event == "comment":
            yield f"<!--{' '.join((node.text or '').split())}"
        text = node.text if event == "start" else node.tail
        if text and text.strip():
            yield " ".join(text.split())


def first_difference(ours: bytes, theirs: bytes) -> str:
    """What the first thing is in which two messages differ; empty if there is none."""
    one, other = read(ours), read(theirs)
    both = [name for name in one if name in other and name not in BODILESS]
    if len(both) < 11:
        return f"only {both} are set by both"
    # By words: where `EmailMessage` folds at once after the name, its own parser reads a space too many.
    pairs: list[tuple[str, Iterable[str], Iterable[str]]] = [
        (name, str(one[name]).split(), str(other[name]).split()) for name in both
    ]
    bodies = [[str(message.get_body((kind,)).get_content()) for message in (one, other)] for kind in ("plain", "html")]  # type: ignore[union-attr]
    (text, their_text), (html, their_html) = bodies
    pairs.append(("text", text.splitlines(), their_text.splitlines()))
    pairs.append(("HTML", tree(html), tree(their_html)))
    for what, left, right in pairs:
        for number, (a, b) in enumerate(zip_longest(left, right), 1):
            if a != b:
                return f"{what}, {number}:\n  shipped: {a!r}\n  obvious: {b!r}"
    return ""


def prove_equal(ours: Callable[[Order], bytes], theirs: Callable[[Order], bytes]) -> None:
    """Ends the program where the two ways' messages differ."""
    for order in orders(1, COMPARED, IDS):
        if difference := first_difference(ours(order), theirs(order)):
            raise SystemExit(f"The messages to {order.reader.address} differ in {difference}")
    print(f"{COMPARED} messages made both ways: the same headers, text and HTML\n")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """CPU time and time of doing it once."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    """The median CPU time, and the median time."""
    return statistics.median(cpu for cpu, _ in times), statistics.median(wall for _, wall in times)


def a_message(compose: Callable[[Order], bytes], first: int, count: int) -> tuple[float, float]:
    """What a message costs in CPU seconds and seconds; each round has readers of its own, made beforehand."""
    times = []
    for number in range(ROUNDS):
        due = list(orders(first + number * count, count, IDS))
        cpu, wall = seconds(lambda due=due: deque(map(compose, due), maxlen=0))  # type: ignore[misc]
        times.append((cpu / count, wall / count))
    return medians(times)


def peak(readers: int) -> int:
    """The most memory, in bytes, that a process needs which composes for so many readers."""
    command = [sys.executable, __file__, "--peak", str(readers)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compose_for(readers: int) -> int:
    """Composes for so many readers, and tells the peak of this process's memory in bytes."""
    deque(map(shipped(renderer()), orders(1, readers, IDS)), maxlen=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def profile(messages: int) -> None:
    """Prints which functions the time goes to."""
    edition = renderer()
    warm(edition)
    due = list(orders(1, messages, IDS))
    profiler = cProfile.Profile()
    profiler.enable()
    deque(map(shipped(edition), due), maxlen=0)
    profiler.disable()
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(22)


def main(messages: int) -> None:
    """Proves, measures and prints."""
    edition = renderer()
    obvious = Obvious(LIST, EDITION, CANDIDATES, SOURCES, VOTING).compose
    warm(edition)
    ours = shipped(edition)
    prove_equal(ours, obvious)
    sizes = [len(ours(order)) for order in orders(1, COMPARED, IDS)]
    theirs = [len(obvious(order)) for order in orders(1, 3, IDS)]
    print(f"{len(IDS)} papers, {PICKS} picks a reader; medians of {ROUNDS}")
    print(f"{'':24}{'messages a CPU-s':>18}{'a second':>10}{'bytes a message':>18}")
    costs = {
        "shipped": a_message(ours, 100_000, messages),
        "the obvious way": a_message(obvious, 200_000, max(1, messages // SHARE)),
    }
    for (name, (cpu, wall)), size in zip(costs.items(), (sizes, theirs), strict=True):
        print(f"{name:24}{1 / cpu:18,.1f}{1 / wall:10,.1f}{statistics.median(size):18,.0f}")
    ratio, wall_ratio = (b / a for a, b in zip(costs["shipped"], costs["the obvious way"], strict=True))
    verdict = "met" if ratio >= GOAL else "not met"
    print(f"{'ratio':24}{ratio:18,.0f}{wall_ratio:10,.0f}{f'goal {GOAL}: {verdict}':>18}")
    editions = [renderer() for _ in range(ROUNDS)]
    for name, times in (
        ("an edition's renderer", [seconds(renderer) for _ in range(ROUNDS)]),
        ("its cards", [seconds(lambda made=made: warm(made)) for made in editions]),  # type: ignore[misc]
    ):
        cpu, wall = medians(times)
        print(f"{name:24}{cpu:11.2f} CPU-s{wall:8.2f} s")
    for crowd in CROWDS:
        print(f"{f'peak, {crowd:,} readers':24}{peak(crowd) / 2**20:11.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What a message costs.")
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        print(compose_for(given.peak))
    elif given.profile:
        profile(given.messages)
    else:
        main(given.messages)
