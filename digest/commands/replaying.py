"""`digest replay`: what past editions would have brought under the present config. Shows it, returns the exit code.

Called by the command line. What there is to show comes from `digest/past.py` and `digest/commands/tally.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from digest.commands.tally import Changes, Figure, Tally
from digest.console import Terminal, edition_json, edition_name, ranked_by
from digest.console.words import plural
from digest.errors import DONE, NOTHING
from digest.meaning import is_semantic
from digest.model import Candidate, PaperId
from digest.past import Replay, Replayed, ReplayedEdition
from digest.rank.evaluation import Difference, difference
from digest.settings import ListConfig
from digest.store import database_exists

_NAMED = 5
"""So many of the papers that came or went are named of an edition; `--json` has all of them."""


def replay(
    terminal: Terminal,
    configs: Sequence[ListConfig],
    since: date,
    until: date,
    to: Collection[str],
    now: Callable[[], datetime],
) -> int:
    """Replays a list's editions of these days. Nothing is recorded. Raises DigestError."""
    first = configs[0]
    names = [config.path.name for config in configs]
    if len(set(names)) < len(names):
        names = [str(config.path) for config in configs]
    k = first.mailing_list.papers
    total, number = Tally(names, k), 0
    if database_exists(first.store_url):
        with terminal.embedding() as embedding, Replay(configs, now, embedding.embedded) as past:
            for made in past.editions(since, until, to):
                number += 1
                _edition(terminal, first.mailing_list.id, made, Tally(names, k), total, by_reader=bool(to))
    if not number:
        terminal.say(f"  no edition from {since} to {until}: `digest status` shows which there are")
    else:
        _total(terminal, total, number, k)
        for config, name in zip(configs, names, strict=True):
            terminal.say(f"  {name}: {ranked_by(is_semantic(config))}")
    terminal.emit({"list": first.mailing_list.id, "since": since, "until": until, "editions": number, **_json(total)})
    return DONE if number else NOTHING


def _edition(
    terminal: Terminal, list_id: str, made: ReplayedEdition, tally: Tally, total: Tally, *, by_reader: bool
) -> None:
    edition = made.edition
    terminal.say(f"  {edition_name(edition)} of {edition.due_on}", style="bold")
    with terminal.counting("  replayed") as counted:
        for n, one in enumerate(made.readers, 1):
            tally.add(one)
            total.add(one)
            counted.done(n)
            if by_reader:
                _reader(terminal, tally, one, made.candidates)
            terminal.emit({"list": list_id, "edition": edition_json(edition), **_reader_json(tally, one)})
    for line in change_lines(tally):
        terminal.say(f"    {line}")
    if not by_reader:
        changes = _both(tally, tally.pairs[-1])
        for mark, papers in (("+", changes.came), ("-", changes.went)):
            for line in _named(mark, papers, made.candidates):
                terminal.say(f"      {line}")
    for figure in tally.figures():
        terminal.say(f"    {figure_line(tally, figure)}")
    if gone := made.recipients - tally.made_for if not by_reader else 0:
        terminal.say(f"    {gone:,} of its {made.recipients:,} readers have left: they are not in these figures")
    if tally.others:
        terminal.say(f"    {tally.others:,} came later: nothing was sent to them to compare with")
    terminal.emit({"list": list_id, "edition": edition_json(edition), "recipients": made.recipients, **_json(tally)})


def _reader(terminal: Terminal, tally: Tally, one: Replayed, candidates: Mapping[PaperId, Candidate]) -> None:
    """One reader's papers: what came, what went, what moved where."""
    votes = f", {plural(one.knew, 'vote')} counted in" if one.knew else ""
    terminal.say(f"    {one.address}{votes}")
    for name, now in zip(tally.names[1:], one.now, strict=True):
        if now is None:
            terminal.say(f"      {name}: she is not on the list")
            continue
        found = difference(one.sent or (), now)
        title = f"{name}: " if len(one.now) > 1 else ""
        terminal.say(f"      {title}{_difference_line(found) if one.sent is not None else 'was not made for her'}")
        before = {paper_id: place for place, paper_id in enumerate(one.sent or (), 1)}
        for place, paper_id in enumerate(now, 1):
            mark = "+" if paper_id in found.came else "~" if paper_id in found.moved else " "
            was = f" (was {before[paper_id]})" if paper_id in found.moved else ""
            liked = {True: " ♥", False: " ✗", None: ""}[one.liked.get(paper_id)]
            terminal.say(f"      {mark}{place:>3}  {candidates[paper_id].paper.title}{was}{liked}")
        for paper_id in found.went:
            liked = {True: " ♥", False: " ✗", None: ""}[one.liked.get(paper_id)]
            terminal.say(f"      -     {candidates[paper_id].paper.title}{liked}")


def _difference_line(found: Difference) -> str:
    if found.is_none:
        return "no change"
    return f"{len(found.came)} in, {len(found.went)} out, {len(found.moved)} moved; overlap {found.overlap:.2f}"


def _named(mark: str, papers: Counter[PaperId], candidates: Mapping[PaperId, Candidate]) -> list[str]:
    most = sorted(papers.items(), key=lambda found: (-found[1], found[0]))
    lines = [f"{mark} {candidates[paper_id].paper.title} ×{count:,}" for paper_id, count in most[:_NAMED]]
    return [*lines, f"{mark} and {len(most) - _NAMED:,} more"] if len(most) > _NAMED else lines


def _total(terminal: Terminal, total: Tally, editions: int, k: int) -> None:
    terminal.say(f"  in all: {plural(editions, 'edition')}, {plural(total.made_for, 'email')}", style="bold")
    for line in change_lines(total):
        terminal.say(f"    {line}")
    figures = total.figures()
    if not figures:
        terminal.say("    nobody has voted on what came: precision and nDCG are not known")
        return
    for figure in figures:
        terminal.say(f"    {figure_line(total, figure)}")
    shares = ", ".join(f"{share:.0%} of {name}" for name, share in zip(total.names, total.voted_on, strict=True))
    judges = plural(total.judges, "reader")
    terminal.say(f"    voted on afterwards by {judges}, of the first {k} papers: {shares}")
    terminal.say("    A paper without a vote counts as not liked, so what brings other papers looks worse than it is.")


def change_lines(tally: Tally) -> list[str]:
    """A line for each two ways that are compared, of readers with votes and of those without."""
    lines = []
    for pair in tally.pairs:
        old, new = (tally.names[n] for n in pair)
        for votes, who in ((True, "readers with votes"), (False, "readers without")):
            changes = tally.changes(pair, votes)
            if changes.emails:
                told = f"{old} → {new}, {who}: {changes.changed:,} of {plural(changes.emails, 'email')} changed"
                if changes.changed:
                    told += f", {changes.came.total():,} in, {changes.went.total():,} out, {changes.moved:,} moved"
                lines.append(f"{told}; overlap {changes.overlap:.2f}")
    return lines


def figure_line(tally: Tally, figure: Figure) -> str:
    """`nDCG@3  sent 0.61, config.toml 0.72: +0.11 (95 %: +0.02 to +0.20), n = 12 emails`."""
    means = ", ".join(f"{name} {mean:.3f}" for name, mean in zip(tally.names, figure.means, strict=True))
    within = f"95 %: {figure.within[0]:+.3f} to {figure.within[1]:+.3f}" if figure.within else "too few to say"
    return f"{figure.name}  {means}: {figure.gain:+.3f} ({within}), n = {plural(figure.emails, 'email')}"


def _both(tally: Tally, pair: tuple[int, int]) -> Changes:
    """The papers that came and went, whoever votes."""
    some, others = (tally.changes(pair, votes) for votes in (True, False))
    return Changes(came=some.came + others.came, went=some.went + others.went)


def _reader_json(tally: Tally, one: Replayed) -> dict[str, Any]:
    ways = dict(zip(tally.names, (one.sent, *one.now), strict=True))
    return {
        "to": one.address,
        "picks": ways,
        "changes": {
            name: _difference_json(difference(one.sent, now))
            for name, now in zip(tally.names[1:], one.now, strict=True)
            if one.sent is not None and now is not None
        },
        "votes_known": one.knew,
        "liked": [paper_id for paper_id, liked in one.liked.items() if liked],
        "disliked": [paper_id for paper_id, liked in one.liked.items() if not liked],
    }


def _difference_json(found: Difference) -> dict[str, Any]:
    return {"in": found.came, "out": found.went, "moved": found.moved, "overlap": found.overlap}


def _json(tally: Tally) -> dict[str, Any]:
    return {
        "emails": tally.made_for,
        "came_later": tally.others,
        "with_votes_known": tally.knew,
        "changes": [
            {
                "from": tally.names[pair[0]],
                "to": tally.names[pair[1]],
                "with_votes": votes,
                "emails": changes.emails,
                "changed": changes.changed,
                "in": changes.came.total(),
                "out": changes.went.total(),
                "moved": changes.moved,
                "overlap": changes.overlap,
            }
            for pair in tally.pairs
            for votes in (True, False)
            if (changes := tally.changes(pair, votes)).emails
        ],
        "figures": [
            {
                "name": figure.name,
                "means": dict(zip(tally.names, figure.means, strict=True)),
                "gain": figure.gain,
                "interval": figure.within,
                "emails": figure.emails,
            }
            for figure in tally.figures()
        ],
        "judges": tally.judges,
        "voted_on": dict(zip(tally.names, tally.voted_on, strict=True)) if tally.judges else {},
    }
