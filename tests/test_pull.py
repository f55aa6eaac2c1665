"""A whole pull: every source with a report of its own."""

import asyncio
import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from digest.errors import SourceError
from digest.model import Source, SourceKind, SourceReport, Window
from digest.pull import feeds, pull
from digest.pull.http import Fetcher, Response, StatusError

NOW = datetime(2026, 6, 10, 8, tzinfo=UTC)
WINDOW = Window(datetime(2026, 6, 7, 8, tzinfo=UTC), NOW)
RSS = "<rss version='2.0'><channel><title>J</title><item><title>{}</title></item></channel></rss>"


def daily(number: int) -> bytes:
    return json.dumps([{"paper": {"id": f"2606.{number:05}", "title": f"Paper {number}", "upvotes": number}}]).encode()


class Shelf:
    """A fetcher that gives what lies on it, raises what lies on it, and remembers what it was asked for."""

    def __init__(self, **answers: bytes | Exception):
        self.answers = answers
        self.asked: list[str] = []

    async def get(self, url: str, /, **_: object) -> Response:
        self.asked.append(url)
        await asyncio.sleep(0)
        answer = self.answers.get(url.rpartition("/")[2]) or self.answers[url.rpartition("/")[2].partition("?")[0]]
        if isinstance(answer, Exception):
            raise answer
        return Response(url, answer)


def feed(name: str, url: str | None = None) -> Source:
    return Source(SourceKind.FEED, name, url or f"https://journal.example/{name}")


def run(sources: list[Source], fetcher: object, window: Window = WINDOW) -> tuple[SourceReport, ...]:
    return asyncio.run(pull(sources, window, fetcher, now=NOW))  # type: ignore[arg-type]


def files(sources: list[Source], window: Window = WINDOW) -> tuple[SourceReport, ...]:
    async def work() -> tuple[SourceReport, ...]:
        async with Fetcher() as fetcher:
            return await pull(sources, window, fetcher, now=NOW)

    return asyncio.run(work())


def test_one_bad_source_does_not_touch_the_others() -> None:
    """A refusal, a page that is no feed and a crash are each one line in one report; the others are whole."""
    shelf = Shelf(
        good=RSS.format("T").encode(),
        page=b"<html><body>Sign in</body></html>",
        gone=SourceError("https://journal.example/gone answered 404 Not Found"),
        bug=ZeroDivisionError("division\nby zero"),
        fine=RSS.format("U").encode(),
    )
    reports = run([feed(name) for name in ("good", "page", "gone", "bug", "fine")], shelf)
    assert [r.source for r in reports] == ["good", "page", "gone", "bug", "fine"]
    assert [len(r.announcements) for r in reports] == [1, 0, 0, 0, 1]
    assert [r.error and r.error.count("\n") for r in reports] == [None, 0, 0, 0, None]
    assert "is an HTML page" in (reports[1].error or "")
    assert reports[2].error == "https://journal.example/gone answered 404 Not Found"
    assert "ZeroDivisionError: division by zero" in (reports[3].error or "")


def test_a_crash_while_reading_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in one reader costs the edition that source only."""
    monkeypatch.setattr(feeds, "parse", lambda *_, **__: 1 / 0)
    shelf = Shelf(good=RSS.format("T").encode(), papers=b"[]")
    bad, good = run([feed("good"), Source(SourceKind.HUGGINGFACE, "hf", "https://x.example/papers?week=1")], shelf)
    assert "a bug in digest" in (bad.error or "")
    assert good.error is None


def test_reports_are_handed_out_as_they_are_finished() -> None:
    """`on_report` hears of each source once, the slow one last; the result keeps the order of the sources."""

    class SlowFirst(Shelf):
        async def get(self, url: str, /, **_: object) -> Response:
            if url.endswith("slow"):
                await quick_is_told.wait()
            return await super().get(url)

    heard: list[str] = []
    quick_is_told = asyncio.Event()

    def hear(report: SourceReport) -> None:
        heard.append(report.source)
        quick_is_told.set()

    shelf = SlowFirst(slow=RSS.format("A").encode(), quick=RSS.format("B").encode())
    sources = [feed("slow"), feed("quick")]
    reports = asyncio.run(pull(sources, WINDOW, shelf, now=NOW, on_report=hear))
    assert heard == ["quick", "slow"]
    assert [r.source for r in reports] == ["slow", "quick"]


def test_each_day_of_the_window_is_asked_for() -> None:
    """Daily Papers are asked for day by day; a day that the server does not have is a note, a fault an error."""
    days = ["2026-06-07", "2026-06-08", "2026-06-09", "2026-06-10"]
    shelf = Shelf()
    shelf.answers = {f"daily_papers?date={day}&limit=100": daily(n) for n, day in enumerate(days)}
    shelf.answers[f"daily_papers?date={days[0]}&limit=100"] = b"[]"
    shelf.answers[f"daily_papers?date={days[2]}&limit=100"] = SourceError("stalled")
    shelf.answers[f"daily_papers?date={days[3]}&limit=100"] = StatusError("answered 400 Bad Request", 400)
    (report,) = run([Source(SourceKind.HUGGINGFACE, "hf")], shelf)
    assert [url[-20:] for url in shelf.asked] == [f"{day}&limit=100" for day in days]
    assert [a.paper.id for a in report.announcements] == ["arxiv:2606.00001"]
    assert [(s.name, s.value, s.observed_at) for s in report.signals] == [("upvotes", 1, NOW)]
    assert report.notes == ("answered 400 Bad Request: no list of that day",)
    assert report.error == "stalled"


@pytest.mark.parametrize(
    ("answered", "first"),
    [(None, "2026-06-07"), ("2026-06-09", "2026-06-07"), ("2026-06-05", "2026-06-05"), ("2026-03-01", "2026-05-10")],
)
def test_a_source_that_was_away_is_asked_for_what_it_missed(answered: str | None, first: str) -> None:
    """From when it last answered, a month at most; one that answered since, or never, for the window alone."""
    at = datetime.fromisoformat(f"{answered}T08:00+00:00") if answered else None
    shelf = Shelf(daily_papers=b"[]")
    source = Source(SourceKind.HUGGINGFACE, "hf")
    asyncio.run(pull([source], WINDOW, shelf, now=NOW, answered={"hf": at}))
    assert shelf.asked[0].endswith(f"daily_papers?date={first}&limit=100")
    assert len(shelf.asked) == (NOW.date() - date.fromisoformat(first)).days + 1


def test_a_folder_is_read_by_date(tmp_path: Path) -> None:
    """Of a folder the files of the window's days are read, oldest first, packed or not; their day is announced."""
    (tmp_path / "2026-06-06.json").write_bytes(daily(6))
    (tmp_path / "2026-06-10.json.gz").write_bytes(gzip.compress(daily(10)))
    (tmp_path / "2026-06-08.json").write_bytes(daily(8))
    (tmp_path / "2026-06-09.xml").write_bytes(daily(9))
    (report,) = files([Source(SourceKind.HUGGINGFACE, "hf", tmp_path.as_uri())])
    assert [(a.paper.title, a.announced_on) for a in report.announcements] == [
        ("Paper 8", date(2026, 6, 8)),
        ("Paper 10", date(2026, 6, 10)),
    ]
    assert report.notes == (f"no file for 2026-06-07, 2026-06-09 in {tmp_path}",)
    assert report.error is None


def test_a_folder_without_files_of_these_days_is_a_note(tmp_path: Path) -> None:
    """Nothing for the window's days is no fault; the note names the days in one run."""
    (report,) = files([feed("j", tmp_path.as_uri())])
    assert (report.error, report.notes) == (None, (f"no file for 2026-06-07…2026-06-10 in {tmp_path}",))


def test_one_bad_file_of_a_folder_leaves_the_others(tmp_path: Path) -> None:
    """An empty file is an error that names it; the other days are read."""
    (tmp_path / "2026-06-09.xml").write_text("")
    (tmp_path / "2026-06-10.xml").write_text(RSS.format("T"))
    (report,) = files([feed("j", tmp_path.as_uri())])
    assert len(report.announcements) == 1
    assert report.error == f"{tmp_path}/2026-06-09.xml is empty: expected an RSS or Atom feed"


def test_a_folder_with_odd_letters_in_its_name(tmp_path: Path) -> None:
    """Spaces, accents and per cent signs in a folder's name are no trouble."""
    folder = tmp_path / "ä b%20#?"
    folder.mkdir()
    (folder / "2026-06-10.xml").write_text(RSS.format("T"))
    (report,) = files([feed("j", folder.as_uri())])
    assert (len(report.announcements), report.error) == (1, None)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """A missing file or folder, a relative file address and a feed without address are one clear line each."""
    gone = tmp_path / "gone"
    reports = files([feed("a", gone.as_uri()), feed("b", "file://feeds/x.xml"), Source(SourceKind.FEED, "c")])
    assert reports[0].error == f"no such file or folder: {gone}"
    assert "three slashes" in (reports[1].error or "")
    assert reports[2].error == "source 'c' has no url: a feed needs one"


def test_no_sources_no_reports() -> None:
    """Nothing to pull is nothing pulled."""
    assert run([], Shelf()) == ()
