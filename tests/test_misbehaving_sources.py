"""Servers that misbehave in every way: `digest pull` and `digest status` name each, and the good source is whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from digest import pulling
from digest.pull.http import Fetcher
from digest.pull.manners import Manners
from tests.lists import DAY_ONE, write_list
from tests.servers.http import (
    BOMB,
    Misbehaviour,
    answers_304_to,
    drips,
    goes_to,
    in_turn,
    lies_about_its_length,
    packs,
    resets,
    says,
    sends_endless_headers,
    serving,
    speaks_no_http,
    stalls,
    stalls_in_body,
    xml_bomb,
)
from tests.test_cli import jsons, run

RSS = b'<rss version="2.0"><channel><title>J</title><item><title>Invented</title></item></channel></rss>'
OPEN = "\n[pull]\nallow_private = true\n"
SURVIVED: dict[str, tuple[Misbehaviour, str]] = {
    "broken": (says("500 Internal Server Error"), "answered 500 Internal Server Error (3 times)"),
    "stalls": (stalls, "answered nothing"),
    "stalls_in_body": (stalls_in_body, "answered nothing"),
    "drips": (drips, "answered nothing, or not all, within"),
    "resets": (resets, "broke off the connection"),
    "lies": (lies_about_its_length, "broke off the connection"),
    "endless_headers": (sends_endless_headers, "endless_headers"),
    "other_protocol": (speaks_no_http, "broke off the connection"),
    "circle": (goes_to("/circle"), "redirects more than 5 times"),
    "to_a_file": (goes_to("file:///etc/hostname"), "redirects to /etc/hostname: refused"),
    "gzip_bomb": (packs(BOMB, "gzip"), "is longer than 10 MB unpacked: refused"),
    "brotli_bomb": (packs(BOMB, "br"), "is longer than 10 MB unpacked: refused"),
    "half_packed": (packs(RSS, "gzip", cut=8), "is gzip that breaks off"),
    "page": (says("200 OK", b"<html><body>Sign in</body></html>"), "is an HTML page"),
    "empty": (says("200 OK"), "is empty"),
}
"""What each server does, and what is said of it."""


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    """Short times; and each pull is a stranger to the hosts, as if a day had passed."""

    def quick(**options: Any) -> Fetcher:
        return Fetcher(**options, seconds=3, jitter=lambda: -0.49, manners=Manners())

    with mock.patch.object(pulling, "Fetcher", quick):
        yield


def sources(url: str, *names: str) -> str:
    return "".join(f'\n[[sources]]\nkind = "feed"\nname = "{name}"\nurl = "{url}{name}"\n' for name in names)


def check(config: Path, pulled: str, name: str, said: str) -> None:
    """The source is named with what happened, in pull and in status."""
    (line,) = (line for line in pulled.splitlines() if line.startswith(f"  {name} "))
    assert said in line
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    (told,) = (source for source in status["sources"] if source["source"] == name)
    assert said in told["error"]
    shown = run("status", "--config", str(config)).stdout
    assert re.search(rf"{name} +failed at .* \(never good yet\): .*{re.escape(said)}", shown)


def test_every_misbehaviour_is_survived_and_named(tmp_path: Path) -> None:
    """Each source is named with what happened, in pull and in status; the other sources are whole."""
    with serving(**{name: misbehaves for name, (misbehaves, _) in SURVIVED.items()}) as server:
        config = write_list(tmp_path, extra=sources(server.url, *SURVIVED) + OPEN)
        answer = run("pull", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert re.search(r"arxiv +25 received", answer.stdout)
    for name, (_, said) in SURVIVED.items():
        check(config, answer.stdout, name, said)


def test_a_server_that_has_enough_of_us(tmp_path: Path) -> None:
    """429 with an hour's Retry-After is named, and nothing else is asked of that host in that pull."""
    busy = says("429 Too Many Requests", b"", "Retry-After: 3600")
    with serving(busy=busy, other=says("200 OK", RSS)) as server:
        config = write_list(tmp_path, extra=sources(server.url, "busy", "other") + OPEN)
        answer = run("pull", "--config", str(config), "--now", DAY_ONE)
        assert len(server.requests) == 1
    check(config, answer.stdout, "busy", "answered 429 Too Many Requests (asks to wait 3600 s)")
    check(config, answer.stdout, "other", "127.0.0.1 asked us to wait: it is not asked again before")


def test_an_xml_bomb_is_harmless(tmp_path: Path) -> None:
    """A billion laughs are not laughed: the entry is read or refused, in no time and little memory."""
    with serving(bomb=says("200 OK", xml_bomb())) as server:
        config = write_list(tmp_path, extra=sources(server.url, "bomb") + OPEN)
        answer = run("pull", "--config", str(config), "--now", DAY_ONE)
    assert re.search(r"arxiv +25 received", answer.stdout)
    assert re.search(r"bomb +(1 received|0 received|failed)", answer.stdout)
    assert "bug in digest" not in answer.stdout
    assert len(answer.stdout) < 5000


def test_what_has_not_changed_is_said_so(tmp_path: Path) -> None:
    """The second pull asks conditionally, is told 304, and still has the feed's papers."""
    with serving(journal=answers_304_to('"v1"', RSS)) as server:
        config = write_list(tmp_path, extra=sources(server.url, "journal") + OPEN)
        first = run("pull", "--config", str(config), "--now", DAY_ONE)
        second = run("pull", "--config", str(config), "--now", DAY_ONE)
        assert len(server.requests) == 2
    assert re.search(r"journal +1 received: 1 new\n", first.stdout)
    assert re.search(r"journal +1 received: 1 new; 1 duplicate\n +has not changed since", second.stdout)
    assert "has not changed since" in run("status", "--config", str(config)).stdout


def test_a_failure_that_passes_costs_nothing(tmp_path: Path) -> None:
    """500 once, then the feed: whole, and no word of it."""
    with serving(journal=in_turn(says("500 Internal Server Error"), says("200 OK", RSS))) as server:
        config = write_list(tmp_path, extra=sources(server.url, "journal") + OPEN)
        answer = run("pull", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 0
    assert re.search(r"journal +1 received: 1 new\n", answer.stdout)


def test_a_source_that_was_away_for_days_is_asked_for_them(tmp_path: Path) -> None:
    """Editions were made without it meanwhile; what it had on those days is in the first edition with it."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for day in range(8, 12):
        paper = {"id": f"2606.{day:05}", "title": f"Paper of day {day}", "upvotes": 1}
        (shelf / f"2026-06-{day:02}.json").write_text(json.dumps([{"paper": paper}]))
    daily = f'\n[[sources]]\nkind = "huggingface"\nname = "daily"\nurl = "{shelf.as_uri()}"\n'
    config = write_list(tmp_path, sources=["arxiv"], extra=daily)
    for day, there in ((8, True), (9, False), (10, False), (11, True)):
        shelf.rename(shelf if there else tmp_path / "away")
        answer = run("send", "--config", str(config), "--now", f"2026-06-{day:02}T06:00:00+00:00")
        shelf = shelf if there else (tmp_path / "away").rename(shelf)
    assert re.search(r"daily +4 received: 4 new", answer.stdout)
    (status,) = jsons(run("status", "--config", str(config), "--json").stdout)
    newest, *_ = status["editions"]
    assert [(s["source"], s["fresh"]) for s in newest["sources"]] == [("arxiv", 0), ("daily", 3)]


def test_no_source_leads_home_unasked(tmp_path: Path) -> None:
    """Without `allow_private` this machine is not asked."""
    with serving(journal=says("200 OK", RSS)) as server:
        config = write_list(tmp_path, extra=sources(server.url, "journal"))
        answer = run("pull", "--config", str(config), "--now", DAY_ONE)
        assert server.requests == []
    assert "127.0.0.1 is no public address: refused" in answer.stdout
