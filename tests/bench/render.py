"""What a message costs: the shipped renderer's beside the obvious way's (`render_naive.py`), both in one run.

    python tests/bench/render.py                    everything, in about two minutes
    python tests/bench/render.py --messages 200     fewer messages a round

88 invented papers of real lengths, fifteen picks a subscriber, and what stands beside them (`render_data.py`). All
subscribers are distinct, and every round has others. They follow three of the list's thirty topics, as most readers of
a newsletter do, or all topics in words of their own: then no reason was ever seen before, which is the worst that can
be. Figures are medians of five rounds after one that is not measured; the subscribers are made apart from them.

    naive        a page for each subscriber: Jinja, premailer over all of it, `email`
    shipped      `EditionRenderer.compose`, once the edition's cards are made
    with DKIM    the same with an RSA-2048 signature; "RSA alone" is the key's operation and nothing else
    set-up       what an edition costs once: the renderer, then the cards of all papers
    peak         the most memory a process has had that composes so many messages and keeps none

Before anything is measured, both ways must have made the same of 40 subscribers: the same headers, the same text, and
HTML with the same tree. A difference ends the run with an error that shows it.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lxml import html

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from digest.model import Delivery, Paper, Subscriber
from digest.render import EditionRenderer
from digest.render.message import Sign
from digest.send.dkim import sign
from tests.bench.render_data import EDITION, LIST, PICKS, SOURCES, candidates, subscription
from tests.bench.render_naive import Naive
from tests.dkim_keys import rsa_key
from tests.render_samples import VOTING, body, read

ROUNDS = 5
COMPARED = 40
NAIVE_MESSAGES = 8
"""What the naive way makes in a round: it takes a tenth of a second for each."""
SIGNED_BYTES = 1_000
"""About what a key signs of a message: its header fields, and the hash of its body."""
CANDIDATES = candidates()
PAPERS: Sequence[Paper] = [candidate.paper for candidate in CANDIDATES.values()]
Due = tuple[Subscriber, Delivery]


class Cost(NamedTuple):
    """Seconds of one call."""

    cpu: float
    wall: float


class Way(NamedTuple):
    """A way to make messages, and how many it makes in a round."""

    name: str
    compose: Callable[[Subscriber, Delivery], bytes]
    messages: int


def renderer(signer: Sign | None = None) -> EditionRenderer:
    """The invented edition's."""
    return EditionRenderer(LIST, EDITION, CANDIDATES, SOURCES, VOTING, signer)


def due(first: int, count: int, *, own_words: bool = True) -> list[Due]:
    """So many subscribers from this number on."""
    return [subscription(number, PAPERS, own_words=own_words) for number in range(first, first + count)]


def cost(work: Callable[[], object]) -> Cost:
    """What one call takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def median(found: Iterable[Cost], calls: int = 1) -> Cost:
    """Of several rounds of so many calls, what one call takes."""
    return Cost(*(statistics.median(seconds) / calls for seconds in zip(*found, strict=True)))


def composing(ways: Sequence[Way], *, own_words: bool) -> list[list[Cost]]:
    """What a message takes each way, by rounds, after one that is not measured. The ways take turns within a round."""
    found: list[list[Cost]] = [[] for _ in ways]
    for number in range(ROUNDS + 1):
        for way, costs in zip(ways, found, strict=True):
            ready = due(1 + number * way.messages, way.messages, own_words=own_words)
            gc.freeze()  # as before a send: what is there already is not looked through again and again
            whole = cost(lambda way=way, ready=ready: [len(way.compose(*each)) for each in ready])  # type: ignore[misc]
            costs.append(Cost(whole.cpu / way.messages, whole.wall / way.messages))
    return [costs[1:] for costs in found]


def set_up() -> tuple[Cost, Cost]:
    """What the renderer and all its cards take, the cards in the picks of subscribers who cover all papers."""
    made, cards = [], []
    for number in range(ROUNDS + 1):
        box: list[EditionRenderer] = []
        made.append(cost(lambda box=box: box.append(renderer())))  # type: ignore[misc]
        ready = due(1 + 60 * number, 60)
        # The first time cards are made beside messages; the second time there are only messages left to make.
        first, again = (cost(lambda: [box[0].compose(*each) for each in ready]) for _ in range(2))  # noqa: B023
        cards.append(Cost(first.cpu - again.cpu, first.wall - again.wall))
    return median(made[1:]), median(cards[1:])


def tree(page: str) -> list[str]:
    """An HTML page as parsed: a line for each element, with its attributes and what stands in and after it."""
    root = html.document_fromstring(page)
    elements = [f"{e.tag} {len(e)} {sorted(e.attrib.items())} {e.text!r} {e.tail!r}" for e in root.iter()]
    return [str(root.getroottree().docinfo.doctype), *elements]


def compare(naive: bytes, shipped: bytes, who: str) -> None:
    """Raises SystemExit if the two messages say different things, and shows where."""
    ours, theirs = read(shipped), read(naive)
    both = sorted({name.lower() for name in ours} & {name.lower() for name in theirs} - {"content-type"})

    def fields(message: bytes) -> list[str]:
        found = read(message)
        # `email` folds a long field before its first word too: where a line is folded is no difference.
        return [f"{name}: {' '.join(value.split())}" for name in both for value in found.get_all(name, [])]

    for what, left, right in (
        ("headers", fields(naive), fields(shipped)),
        ("text", body(theirs, "plain").split("\n"), body(ours, "plain").split("\n")),
        ("HTML", tree(body(theirs, "html")), tree(body(ours, "html"))),
    ):
        if left != right:
            shown = "\n".join(list(difflib.unified_diff(left, right, "naive", "shipped", lineterm="", n=1))[:40])
            raise SystemExit(f"{who}: the {what} of the two messages differ\n{shown}")
    if len(both) < 10:
        raise SystemExit(f"{who}: only {', '.join(both)} were there to compare")


def peak(messages: int) -> dict[str, float]:
    """Memory in MB, in a process of its own: before the first message, and the most after so many."""
    command = [sys.executable, __file__, "--peak", str(messages)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def compose_all(messages: int) -> dict[str, float]:
    """The same in this process. Subscribers come one by one, as they do from the outbox."""
    edition = renderer()
    before = megabytes()
    for number in range(1, messages + 1):
        edition.compose(*subscription(number, PAPERS))
    return {"before": before, "peak": megabytes()}


def megabytes() -> float:
    """The most memory that this process has had. Linux counts a parent's into `getrusage`, so that is not asked."""
    (most,) = re.findall(r"(?m)^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(most) / 1024


def line(what: str, found: Cost) -> str:
    """A row: milliseconds of CPU and wall, and messages a CPU-second."""
    return f"{what:14}{found.cpu * 1e3:10.3f}{found.wall * 1e3:10.3f}{1 / found.cpu:15,.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000, help="in a round of the shipped renderer")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.peak:
        print(json.dumps(compose_all(asked.peak)))
        return
    naive, shipped = Naive(LIST, EDITION, CANDIDATES, SOURCES, VOTING), renderer()
    sizes = []
    for reader, delivery in due(1, COMPARED):
        messages = naive.compose(reader, delivery), shipped.compose(reader, delivery)
        compare(*messages, who=reader.address)
        sizes.append([len(message) for message in messages])
    theirs, ours = (statistics.median(each) for each in zip(*sizes, strict=True))
    print(f"{len(PAPERS)} papers, {PICKS} picks; {COMPARED} subscribers' messages are the same both ways")
    print(f"bytes of a message: naive {theirs:,.0f}, shipped {ours:,.0f}\n")
    print(f"{'':14}{'CPU ms':>10}{'wall ms':>10}{'a CPU-second':>15}{'times naive':>12}")
    key = rsa_key()
    ways = [
        Way("naive", naive.compose, NAIVE_MESSAGES),
        Way("shipped", shipped.compose, asked.messages),
        Way("with DKIM", renderer(partial(sign, [key])).compose, asked.messages),
    ]
    for what, own_words in (("topics of the list", False), ("topics in own words", True)):
        rounds = composing(ways, own_words=own_words)
        print(what)
        for way, costs in zip(ways, rounds, strict=True):
            times = statistics.median(slow.cpu / fast.cpu for slow, fast in zip(rounds[0], costs, strict=True))
            print(f"{line(f'  {way.name}', median(costs))}{times:12.0f}", flush=True)
    alone = [cost(lambda: [key.signature(b"x" * SIGNED_BYTES) for _ in range(300)]) for _ in range(ROUNDS + 1)]
    print(line("RSA alone", median(alone[1:], 300)), flush=True)
    made, cards = set_up()
    print(f"\nset-up, CPU ms: renderer {made.cpu * 1e3:.0f}, all cards {cards.cpu * 1e3:.0f}; ", end="")
    print(f"wall ms: {made.wall * 1e3:.0f}, {cards.wall * 1e3:.0f}", flush=True)
    for count in (1_000, 10_000):
        memory = peak(count)
        print(f"peak at {count:6,}: {memory['peak']:.0f} MB, {memory['before']:.0f} MB before the first message")


if __name__ == "__main__":
    main()
