"""How a list stands: what is overdue, what waits and why, how sources do; and how `digest status` says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from digest.console.status import compact
from digest.model import (
    Coverage,
    DeliveryStatus,
    EditionId,
    ListId,
    Pause,
    Relay,
    Security,
    SourceHealth,
    SourceSummary,
)
from digest.settings import ListConfig
from digest.status.lists import ago, overdue, source_state, status_of
from digest.store import Pauses, open_database
from digest.store.figures import EditionFigures, ListFigures, Pull, Snapshot
from digest.store.pulse import Pulse, Unsent
from tests.configs import BASE, loaded
from tests.ledgers import fill
from tests.lists import write_list
from tests.test_cli import jsons, run

S = DeliveryStatus
WEDNESDAY = date(2026, 6, 10)
SEVEN = datetime(2026, 6, 10, 7, tzinfo=UTC)
"""When the list's schedule fires."""
YESTERDAY = datetime(2026, 6, 9, 7, 1, tzinfo=UTC)
DONE = Pulse((WEDNESDAY, SEVEN), (), SEVEN, is_paused=False, has_readers=True, relay_days={})
MISSED = replace(DONE, newest=(WEDNESDAY - timedelta(days=1), YESTERDAY), done_until=YESTERDAY)
LEFT = Unsent(2, WEDNESDAY, SEVEN, is_frozen=True, due_at=None, last_sent_at=None)
HELD = replace(DONE, unsent=(LEFT,))


@pytest.fixture
def config(tmp_path: Path) -> ListConfig:
    return loaded(tmp_path / "config.toml", BASE)


def with_list(config: ListConfig, **changes: Any) -> ListConfig:
    return replace(config, mailing_list=replace(config.mailing_list, **changes))


def after(hours: float) -> datetime:
    return SEVEN + timedelta(hours=hours)


# --- overdue --------------------------------------------------------------------------------------------------------


def test_an_edition_is_overdue_half_an_hour_after_its_time(config: ListConfig) -> None:
    """Until then it may be in the making; once it is made, nothing is overdue before the next run."""
    assert overdue(config, MISSED, after(0.5)) is None
    late = overdue(config, MISSED, after(0.51))
    assert late is not None
    assert late.since == SEVEN
    assert late.why == "no edition was made of the run of Wednesday 2026-06-10 07:00 UTC"
    assert overdue(config, DONE, after(23.9)) is None
    assert overdue(config, DONE, after(24.6)) is not None


def test_the_run_counts_in_the_lists_own_time(config: ListConfig) -> None:
    """Seven in Tokyo is 22:00 UTC of the day before."""
    tokyo = with_list(config, timezone="Asia/Tokyo")
    pulse = replace(DONE, newest=(date(2026, 6, 9), datetime(2026, 6, 8, 22, 5, tzinfo=UTC)), done_until=None)
    late = overdue(tokyo, pulse, SEVEN)
    assert late is not None
    assert late.since == datetime(2026, 6, 9, 22, tzinfo=UTC)


def test_an_edition_made_early_by_hand_is_the_days(config: ListConfig) -> None:
    """`digest send` at five makes the edition of the day: the run at seven has nothing to make."""
    early = replace(DONE, newest=(WEDNESDAY, after(-2)), done_until=after(-2))
    assert overdue(config, early, after(5)) is None


def test_a_quiet_day_is_not_overdue(config: ListConfig) -> None:
    """The run was dealt with, and there was nothing new."""
    assert overdue(config, replace(MISSED, done_until=after(0.1)), after(5)) is None


def test_an_edition_that_waits_for_its_sources_is_not_overdue(config: ListConfig) -> None:
    """With `wait_until` the half hour begins when the edition closes."""
    patient = with_list(config, wait_until=time(9))
    assert overdue(patient, MISSED, after(2.5)) is None
    assert overdue(patient, MISSED, after(2.51)) is not None


def test_a_run_that_waits_for_approval_says_how_it_is_given(config: ListConfig) -> None:
    """Later than `max_lateness`, nothing is made by itself."""
    late = overdue(with_list(config, max_lateness=timedelta(hours=3)), MISSED, after(4))
    assert late is not None
    assert "later than `max_lateness` allows: `digest send" in late.why


def test_who_waits_for_her_hour_is_not_late(config: ListConfig) -> None:
    """The two hours begin when the first delivery is due."""
    hers = replace(HELD, unsent=(replace(LEFT, due_at=after(6)),))
    assert overdue(config, hers, after(8)) is None
    assert overdue(config, hers, after(8.1)) is not None


@pytest.mark.parametrize(
    "changes",
    [{"is_paused": True}, {"has_readers": False}, {"newest": None, "done_until": None, "unsent": ()}],
    ids=["paused", "no reader", "no past"],
)
@pytest.mark.parametrize("pulse", [MISSED, HELD], ids=["missed", "held"])
def test_who_has_nothing_to_do_is_not_overdue(config: ListConfig, pulse: Pulse, changes: Mapping[str, Any]) -> None:
    """A list that is paused, has nobody to write to, or never had an edition."""
    assert overdue(config, pulse, after(12)) is not None
    assert overdue(config, replace(pulse, **changes), after(12)) is None


def test_an_edition_that_stands_still_is_overdue(config: ListConfig) -> None:
    """Two hours after the last message left, or after it was made; as long as messages leave, it may take its time."""
    assert overdue(config, HELD, after(2)) is None
    late = overdue(config, HELD, after(2.1))
    assert late is not None
    assert late.why == "edition 2 of 2026-06-10 is not sent: messages wait, and nothing happens"
    going_on = replace(HELD, unsent=(replace(LEFT, last_sent_at=after(9)),))
    assert overdue(config, going_on, after(10)) is None
    assert overdue(config, going_on, after(11.1)) is not None
    unfrozen = replace(HELD, unsent=(replace(LEFT, is_frozen=False),))
    late = overdue(config, unfrozen, after(3))
    assert late is not None
    assert "its recipients are not all chosen" in late.why


def test_out_of_its_hours_nothing_is_overdue(config: ListConfig) -> None:
    """While the window is closed, and for two hours after it has opened."""
    windowed = with_list(config, send_window="mon-fri 13:00-18:00")
    assert overdue(windowed, HELD, after(5.9)) is None
    assert overdue(windowed, HELD, after(7.9)) is None
    assert overdue(windowed, HELD, after(8.1)) is not None


def test_relays_that_are_full_for_the_day_may_wait(config: ListConfig) -> None:
    """If all of them are; one with room left should send."""
    relays = (Relay("a", 25, Security.NONE, name="a", per_day=10), Relay("b", 25, Security.NONE, name="b", per_day=20))
    limited = replace(config, relays=relays)
    full = replace(HELD, relay_days={("a", WEDNESDAY): 10, ("b", WEDNESDAY): 20})
    assert overdue(limited, full, after(5)) is None
    room = replace(HELD, relay_days={("a", WEDNESDAY): 10, ("b", WEDNESDAY): 19})
    assert overdue(limited, room, after(5)) is not None
    assert overdue(replace(limited, relays=(*relays, Relay("c", 25, Security.NONE, name="c"))), full, after(5))


# --- sources and what waits -----------------------------------------------------------------------------------------


def edition(number: int, day: date, **counts: int) -> EditionFigures:
    cutoff = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=7)
    by_status = {S(name): count for name, count in counts.items()}
    return EditionFigures(
        EditionId(number), ListId("lab"), number, day, cutoff, sum(counts.values()), None, by_status, {}
    )


def failing(*errors: str | None) -> ListFigures:
    """A list whose newest editions' source had these errors, the newest first."""
    days = [WEDNESDAY - timedelta(days=n) for n in range(len(errors))]
    pulls = [Pull(day, 3, (SourceSummary("arxiv", 3, 3, error=e),)) for day, e in zip(days, errors, strict=True)]
    return ListFigures(
        editions=tuple(edition(9 - n, day, sent=1) for n, day in enumerate(days)),
        pulls=tuple(pulls),
    )


@pytest.mark.parametrize(
    ("last", "pulled_at", "editions", "expected"),
    [
        (None, SEVEN, ("503", "503"), 0),
        ("503", SEVEN, ("503", "503", None, "503"), 2),
        ("503", after(1), ("503", "503", None), 3),
        ("503", after(1), (None, "503"), 1),
        ("503", SEVEN, (), 1),
    ],
)
def test_errors_in_a_row(
    last: str | None, pulled_at: datetime, editions: tuple[str | None, ...], expected: int
) -> None:
    """Counted back over editions from the last pull, which may be later than the newest of them."""
    health = SourceHealth(SourceSummary("arxiv", 0, 0, error=last), pulled_at, None)
    assert source_state(health, failing(*editions)).errors_in_a_row == expected


def test_received_and_expected_are_the_papers_of_all_parts() -> None:
    """Added up; unknown if one part could not say; without parts, what was read counts."""
    parts = (Coverage("cs.CV", 230, 239), Coverage("cs.LG", 100, 100))
    state = source_state(SourceHealth(SourceSummary("arxiv", 400, 1, coverage=parts), SEVEN, SEVEN), ListFigures())
    assert (state.received, state.expected) == (330, 339)
    more = (*parts, Coverage("cs.AI", 5, None))
    state = source_state(SourceHealth(SourceSummary("arxiv", 400, 1, coverage=more), SEVEN, SEVEN), ListFigures())
    assert (state.received, state.expected) == (335, None)
    state = source_state(SourceHealth(SourceSummary("feed", 12, 1), SEVEN, SEVEN), ListFigures())
    assert (state.received, state.expected) == (12, None)


@pytest.mark.parametrize(
    ("changes", "pause", "counted", "why"),
    [
        ({}, None, 0, "to be sent by `digest run`, or by `digest send`"),
        ({}, Pause(SEVEN, "ada", "wrong papers"), 0, "the list is paused"),
        ({"send_window": "mon-fri 13:00-18:00"}, None, 0, "`send_window` opens on Wednesday 2026-06-10 at 13:00 UTC"),
        ({}, None, 10, "a has had its messages of the day"),
    ],
)
def test_what_waits_says_why(
    config: ListConfig, changes: Mapping[str, Any], pause: Pause | None, counted: int, why: str
) -> None:
    """A pause, closed hours, full relays, or that nobody sends."""
    figures = ListFigures(editions=(edition(2, WEDNESDAY, sent=5, queued=4, deferred=2, unknown=1),), pause=pause)
    limited = replace(config, relays=(Relay("a", 25, Security.NONE, name="a", per_day=10),))
    snapshot = Snapshot({config.mailing_list.id: figures}, {}, {("a", WEDNESDAY): counted})
    status = status_of(with_list(limited, **changes), snapshot, DONE, after(1), 7)
    assert status.waiting[0] == f"4 queued: {why}"
    assert [line.partition(":")[0] for line in status.waiting] == ["4 queued", "2 deferred", "1 unknown"]
    # Whatever for: a server's word, an error of ours, or a decision of `digest resolve`.
    assert status.waiting[1] == "2 deferred: to be tried again at their time; `digest deliveries` says when and why"
    assert status.waits_since == SEVEN


def test_times_and_figures_for_a_person() -> None:
    """In the largest unit that still tells something; figures in five characters."""
    assert [ago(timedelta(seconds=s)) for s in (0, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days",
    ]  # fmt: skip
    assert [compact(n) for n in (0, 9999, 10_000, 999_999, 1_234_567)] == ["0", "9,999", "10k", "999k", "1.2M"]


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list with 60 invented days, the last edition under way."""
    made = tmp_path_factory.mktemp("days")
    write_list(made, readers=1, extra='\n[smtp]\nhost = "localhost"\nname = "main"\nper_day = 50\n')
    database = open_database(f"sqlite:///{made}/digest.db")
    fill(database, WEDNESDAY, 60, 120, open_counts={S.QUEUED: 9, S.DEFERRED: 2, S.UNKNOWN: 1})
    database.close()
    return made


NOW = ("--now", "2026-06-10T06:10Z")


def test_plain_lines_have_a_fact_each(folder: Path) -> None:
    """Where no terminal is: every edition's counts, what waits, subscribers, suppressions, relays, sources."""
    lines = run("status", "--config", str(folder / "config.toml"), *NOW, "--editions", "2").stdout.splitlines()
    assert lines[:2] == ["Lab (lab)", "  next run by `digest run`: Wednesday 2026-06-10 07:00 UTC, in 50 min"]
    assert "  waits: 9 queued: to be sent by `digest run`, or by `digest send`" in lines
    (people,) = [line for line in lines if line.startswith("  subscribers: ")]
    assert sum(int(word) for word in people.replace(",", "").split() if word.isdigit()) == 120
    assert "  suppressed addresses, for all lists of the database: 5 hard bounce, 3 refused" in lines
    assert "  relay main: 0 of 50 messages on 2026-06-10" in lines
    (newest,) = [line for line in lines if line.startswith("  edition 43 of 2026-06-10: ")]
    assert "9 queued, " in newest
    assert " = 120 recipients; " in newest
    assert newest.endswith("; not finished yet")
    assert any(
        line.startswith("  biorxiv        failed at 2026-06-10 05:00 UTC (last good 2026-06-06") for line in lines
    )


def test_json_has_all_of_it(folder: Path) -> None:
    """What the lines say, and with --plot each day."""
    (row,) = jsons(run("status", "--config", str(folder / "config.toml"), *NOW, "--json", "--plot").stdout)
    newest = row["editions"][0]
    assert sum(newest["counts"].values()) == newest["recipients"] == 120
    assert row["waiting"][0].startswith("9 queued: ")
    assert row["waits_since"] == "2026-06-10T05:00:00+00:00"
    assert row["relays"] == [{"relay": "main", "day": "2026-06-10", "messages": 0, "limit": 50, "full": False}]
    assert {source["source"]: source["errors_in_a_row"] for source in row["sources"]} == {
        "arxiv": 0, "huggingface": 0, "nature.com": 0, "biorxiv": 1,
    }  # fmt: skip
    assert sum(row["subscribers"].values()) == 120
    assert row["suppressions"] == {"hard bounce": 5, "refused": 3}
    assert (row["overdue"], row["next_run_at"]) == (None, "2026-06-10T07:00:00+00:00")
    assert (len(row["days"]), row["days"][-1]["edition"], row["days"][-1]["day"]) == (56, 43, "2026-06-10")
    assert row["days"][-1]["papers"].keys() == {"arxiv", "huggingface", "nature.com", "biorxiv"}


@pytest.mark.parametrize(("columns", "statuses"), [(80, "sent waiting"), (120, "queued sent deferred")])
def test_on_a_terminal_the_tables_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int, statuses: str
) -> None:
    """At 80 columns statuses that mean the same stand together, at 120 each by itself; no cell is broken in two."""
    text = on_terminal(monkeypatch, columns, folder)
    head = next(line for line in text.splitlines() if line.startswith("  no."))
    assert statuses in " ".join(head.split())
    tables = [line for line in text.splitlines() if re.search(r"= \d", line) or line.startswith("  no.")]
    assert len(tables) == 8
    assert all(len(line) <= columns for line in tables)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("days", ["2", "14", "56", "365", "3660"])
def test_charts_fit(folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int, days: str) -> None:
    """However many days: nothing is wider than the terminal, and every series is there."""
    text = on_terminal(monkeypatch, columns, folder, "--plot", "--days", days)
    drawn = [line for line in text.splitlines() if any(block in line for block in "▁▂▃▄▅▆▇█·")]
    assert max(map(len, drawn)) <= columns
    names = {line.split("  ")[1] for line in drawn if line.startswith("  ") and line[2] != " "}
    assert {"sent", "editions", "waiting", "came back", "votes", "arxiv", "huggingface", "nature.com"} <= {
        name.strip() for name in names
    }


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, folder: Path, *arguments: str) -> str:
    """What a terminal of that many columns is shown where NO_COLOR is set: bold and faint alone are left."""
    from typer.testing import CliRunner

    from digest.cli import cli

    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, it is a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = CliRunner().invoke(cli, ["status", "--config", str(folder / "config.toml"), *NOW, *arguments])
    assert answer.exit_code == 0, answer.output
    assert set(re.findall(r"\x1b\[([\d;]*)m", answer.output)) <= {"0", "1", "2"}
    return re.sub(r"\x1b\[[\d;]*m", "", answer.output)


def test_without_block_characters_ascii_stands_for_them(folder: Path) -> None:
    """An output that cannot say them gets no question marks."""
    text = run("status", "--config", str(folder / "config.toml"), *NOW, "--plot", PYTHONIOENCODING="ascii").stdout
    chart = [line for line in text.splitlines() if line.startswith("  sent")]
    assert chart
    assert "?" not in text
    assert "#" in text


@pytest.mark.parametrize(
    ("now", "code", "line"),
    [
        ("2026-06-10T07:20Z", 0, "lab: fine\n"),
        ("2026-06-11T07:31Z", 1, "lab: overdue since 2026-06-11 07:00 UTC: no edition was made of the run of "),
    ],
)
def test_check_says_in_a_line_and_a_code(tmp_path: Path, now: str, code: int, line: str) -> None:
    """For containers and cron: 0 is fine, 1 is overdue."""
    config = write_list(tmp_path, readers=2)
    assert run("send", "--config", str(config), "--now", "2026-06-10T07:00Z").returncode == 0
    answer = run("status", "--check", "--config", str(config), "--now", now)
    assert answer.returncode == code
    assert answer.stdout.startswith(line)
    (row,) = jsons(run("status", "--check", "--config", str(config), "--now", now, "--json").stdout)
    assert bool(row["overdue"]) is bool(code)


def test_check_fails_where_the_database_cannot_be_read(tmp_path: Path) -> None:
    """With one line, and not 0."""
    config = write_list(tmp_path)
    (tmp_path / "digest.db").write_bytes(b"no database" * 100)
    answer = run("status", "--check", "--config", str(config))
    assert answer.returncode == 1
    assert "is not a digest database" in answer.stderr


def test_a_paused_list_is_fine_and_says_so(tmp_path: Path) -> None:
    """Whoever paused it knows: no alarm, and `status` says who."""
    config = write_list(tmp_path, readers=2)
    run("send", "--config", str(config), "--now", "2026-06-09T07:00Z")
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    Pauses(database, ListId("lab")).begin(Pause(SEVEN, "ada", "wrong papers"))
    database.close()
    late = ("--config", str(config), "--now", "2026-06-12T07:00Z")
    assert run("status", "--check", *late).stdout == "lab: fine\n"
    assert "paused since 2026-06-10 07:00 UTC by ada: wrong papers" in run("status", *late).stdout
