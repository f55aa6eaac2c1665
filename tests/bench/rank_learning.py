"""How fast the shipped ranker learns from votes. Prints figures, asserts nothing.

    python tests/bench/rank_learning.py                               200 users of citeulike-t
    python tests/bench/rank_learning.py arxiv-authors-cs --users 50   another set of libraries, fewer users

From each library 40 papers are drawn, the same for every line and hidden from what is measured: 10 of them serve as
examples, the others are liked one after the other; papers of nobody's interest here, drawn from outside of the library,
are disliked. The rest of the library is to be found among all. All profiles go through one call of the public batch
command. Beside nDCG@10: how many of the twelve best papers are others than without the votes.

The set that the curve is meant for knows no texts, so there a profile without examples begins with nothing at all.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from tests.bench.rank_data import LIBRARY_SETS, JudgedSet, Task, protocol

EXAMPLES = 10
VOTES = 30
FOUND_AT_LEAST = 5
EDITION = 12
TOP = 300


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a profile has come: so many examples, likes and dislikes."""

    examples: int
    liked: int
    disliked: int


CURVES = {
    "likes alone": tuple(Stage(0, votes, 0) for votes in (0, 3, 10, 30)),
    "as many dislikes": tuple(Stage(0, votes, votes) for votes in (0, 3, 10, 30)),
    "10 examples and likes": tuple(Stage(EXAMPLES, votes, 0) for votes in (0, 3, 10, 30)),
    "10 examples and dislikes": tuple(Stage(EXAMPLES, 0, votes) for votes in (0, 3, 10, 30)),
}
"""The first stage of each is what the others are compared with."""


@dataclass(frozen=True, slots=True)
class User:
    """One library, as rows of its set: what may be shown to the ranker, what it should find, what is disliked."""

    name: str
    examples: list[int]
    liked: list[int]
    disliked: list[int]
    wanted: list[int]

    def profile(self, stage: Stage) -> dict[str, list[int]]:
        """What the ranker is told at this stage."""
        return {
            "examples": self.examples[: stage.examples],
            "liked": self.liked[: stage.liked],
            "disliked": self.disliked[: stage.disliked],
        }


def drawn(judged: JudgedSet, count: int) -> Iterator[User]:
    """Draw the first `count` users whose libraries are large enough, always the same."""
    draw = random.Random(1)
    large = [each for each in judged.libraries if len(each[1]) >= EXAMPLES + VOTES + FOUND_AT_LEAST]
    for name, papers in large[:count]:
        rows = [judged.row[paper] for paper in papers]
        draw.shuffle(rows)
        others = draw.sample(sorted(set(range(len(judged.documents))) - set(rows)), VOTES)
        shown = EXAMPLES + VOTES
        yield User(name, rows[:EXAMPLES], rows[EXAMPLES:shown], others, rows[shown:])


def ranked(judged: JudgedSet, profiles: Iterable[dict[str, Any]], options: Sequence[str]) -> dict[str, list[int]]:
    """Return the best TOP papers of each profile, as rows, by `digest rank`."""
    with tempfile.TemporaryDirectory() as folder:
        papers, asked = Path(folder, "papers.jsonl"), Path(folder, "profiles.jsonl")
        papers.write_text("".join(json.dumps(each) + "\n" for each in judged.documents), "utf-8")
        asked.write_text("".join(json.dumps(each) + "\n" for each in profiles), "utf-8")
        command = [sys.executable, "-m", "digest", "rank", "--papers", str(papers), "--profiles", str(asked)]
        answer = subprocess.Popen([*command, "--top", str(TOP), "--json", *options], stdout=subprocess.PIPE)
        with answer:
            lines = map(json.loads, answer.stdout or ())
            found = {each["profile"]: [judged.row[pick["id"]] for pick in each["ranking"]] for each in lines}
    if answer.returncode:
        raise SystemExit(f"digest rank failed, exit code {answer.returncode}")
    return found


def measure(judged: JudgedSet, users: Sequence[User], rankings: Sequence[list[int]]) -> dict[str, float]:
    """Return the protocol's figures for one stage; what was shown is hidden at every stage alike."""
    scores = np.full((len(users), len(judged.documents)), -1e30)
    mask = np.ones(scores.shape, bool)
    for number, (user, rows) in enumerate(zip(users, rankings, strict=True)):
        scores[number, rows] = -np.arange(len(rows), dtype=float)
        mask[number, user.examples + user.liked + user.disliked] = False
    gains = [dict.fromkeys(user.wanted, 1) for user in users]
    return judged.measure(Task([], gains, list(mask)), scores)


def edition(user: User, rows: Sequence[int]) -> set[int]:
    """Return the best papers that the user has not been shown."""
    shown = {*user.examples, *user.liked, *user.disliked}
    return set([row for row in rows if row not in shown][:EDITION])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="citeulike-t", choices=LIBRARY_SETS)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--no-semantic", action="store_true", help="hand this option on to `digest rank`")
    asked = parser.parse_args(arguments)
    judged = JudgedSet(asked.set, protocol())
    users = list(drawn(judged, asked.users))
    stages = list(dict.fromkeys(stage for curve in CURVES.values() for stage in curve))
    name = {stage: f"{stage.examples}+{stage.liked}-{stage.disliked}" for stage in stages}
    identifiers = [str(each["id"]) for each in judged.documents]
    profiles = (
        {"id": f"{user.name} {name[stage]}"}
        | {key: [identifiers[row] for row in rows] for key, rows in user.profile(stage).items()}
        for user in users
        for stage in stages
    )
    found = ranked(judged, profiles, ["--no-semantic"] if asked.no_semantic else [])
    print(f"{asked.set}, {len(users)} users: nDCG@10, its standard error, and new ones among the best {EDITION}\n")
    print(f"{'votes of a kind':26}" + "".join(f"{votes:>20}" for votes in (0, 3, 10, 30)))
    for title, curve in CURVES.items():
        cells = []
        for stage in curve:
            rankings = [found[f"{user.name} {name[stage]}"] for user in users]
            before = [found[f"{user.name} {name[curve[0]]}"] for user in users]
            figures = measure(judged, users, rankings)
            fresh = [
                len(edition(user, now) - edition(user, then))
                for user, now, then in zip(users, rankings, before, strict=True)
            ]
            cells.append(f"{figures['ndcg10']:.3f} ±{figures['se']:.3f} {np.mean(fresh):5.1f}")
        print(f"{title:26}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
