"""The pages for operators: who sees them, what is on them, and what must never be."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from lxml import html
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from digest.model import DeliveryStatus, ListId, Pause, ShardState
from digest.settings import load
from digest.status.crew import Crew, RelayUse
from digest.status.lists import ListStatus, status_of
from digest.store import open_database
from digest.web.charts import heights
from digest.web.metrics import exposition
from digest.web.operators import KEPT, SHARE, Fresh
from digest.web.serving import Hall
from tests.asking import Pages, links_in, one_loop
from tests.ledgers import fill
from tests.lists import write_list

S = DeliveryStatus
NOW = datetime(2026, 6, 10, 6, 10, tzinfo=UTC)
PASSWORD = "an invented password"
PROTECTED = f'\n[web]\nstatus_password = "{PASSWORD}"\nlooks = "3/minute"\n'
OPEN = "\n[web]\nstatus_public = true\n"
DASHBOARD = Path(__file__).parents[1] / "docs" / "grafana.json"


class Served(Pages):
    """The pages of any lists, at a time."""

    def __init__(self, configs: Sequence[Path], now: datetime):
        self.now = now
        self.hall = Hall(load(configs).lists, lambda: self.now)
        self.application = self.hall.application()
        self._loop = one_loop()


def filled(folder: Path, extra: str = OPEN, lists: int = 1) -> Served:
    """The pages of lists with 60 invented days, the first one's last edition under way."""
    database = open_database(f"sqlite:///{folder}/digest.db")
    relay = '\n[smtp]\nhost = "localhost"\nname = "main"\nper_day = 50\n'
    paths = [write_list(folder, readers=1, extra=relay + extra)]
    fill(database, date(2026, 6, 10), 60, 90, open_counts={S.QUEUED: 9, S.DEFERRED: 2, S.UNKNOWN: 1})
    for n in range(1, lists):
        fill(database, date(2026, 6, 10), 10, 20, list_id=ListId(f"lab{n}"), seed=n)
        paths.append(another(paths[0], f"lab{n}", f"Lab {n}"))
    database.close()
    return Served(paths, NOW)


def another(config: Path, list_id: str, name: str) -> Path:
    """The same list under another id and name."""
    path = config.with_name(f"{list_id}.toml")
    text = config.read_text().replace('id = "lab"', f'id = "{list_id}"')
    path.write_text(text.replace('name = "Lab"', f'name = "{name}"'))
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For tests that change nothing."""
    served = filled(tmp_path_factory.mktemp("operators"))
    with served.hall:
        yield served


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = filled(tmp_path_factory.mktemp("several"), lists=3)
    with served.hall:
        yield served


def basic(password: str, name: str = "ops") -> Mapping[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


# --- who sees them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_without_a_word_in_the_config_there_are_none(tmp_path: Path, path: str) -> None:
    """They answer as any address where nothing is, from this machine too: behind a proxy everybody comes from there."""
    pages = Pages(tmp_path)
    with pages.hall:
        for client in ("192.0.2.1", "127.0.0.1"):
            answer = pages.ask("GET", path, None, client, **basic(""))
            assert answer.status == 404
            assert answer.body == pages.get("/nothing/here").body
        assert pages.get("/healthz").status == 200


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_the_password_opens_them(tmp_path: Path, path: str) -> None:
    """With any name, or as a token; whoever guesses is asked to wait, and whoever knows it is not."""
    pages = Pages(tmp_path, PROTECTED)
    with pages.hall:
        asked = pages.get(path)
        assert asked.status == 401
        assert asked.headers["www-authenticate"] == 'Basic realm="digest", charset="UTF-8"'
        assert pages.get(path, **basic(PASSWORD)).status == 200
        assert pages.get(path, **basic(PASSWORD, "")).status == 200
        assert pages.get(path, authorization=f"Bearer {PASSWORD}").status == 200
        assert pages.get(path, authorization="Basic not!base64").status == 401
        assert pages.get(path, authorization=f"Digest {PASSWORD}").status == 401
        assert [pages.get(path, **basic("guess")).status for _ in range(3)] == [401, 401, 429]
        assert pages.ask("GET", path, None, "192.0.2.9", **basic("guess")).status == 401
        assert pages.get(path, **basic(PASSWORD)).status == 200
        assert pages.get(path).headers["cache-control"] == "no-store"


def test_public_is_public(shared: Served) -> None:
    """Nobody is asked for anything; a form has nothing to change."""
    assert shared.get("/status").status == 200
    assert shared.get("/metrics").status == 200
    assert shared.post("/status", {"a": "b"}).status == 405
    assert shared.ask("HEAD", "/status").status == 200


def test_nothing_of_people_is_on_them(shared: Served) -> None:
    """No address, no name, no reply of a server, no paper."""
    for path in ("/status", "/metrics", "/healthz"):
        text = shared.get(path).text
        assert "@" not in text
        assert not re.search(r"reader\d|Reader \d|as can be|arxiv:", text), path


# --- /status --------------------------------------------------------------------------------------------------------


def test_the_page_has_every_chart_with_a_table(shared: Served) -> None:
    """Each picture has a title, a description and a table beside it, whose sums are those of its legend."""
    page = html.document_fromstring(shared.get("/status").text)
    sections = page.xpath("//section[@class='chart']")
    assert [section.xpath("string(h2)") for section in sections] == [
        "Editions", "Deliveries", "Came back", "New papers by source", "Votes",
    ]  # fmt: skip
    for section in sections:
        (svg,) = section.xpath(".//svg[@role='img']")
        title, desc = (section.get_element_by_id(id_) for id_ in svg.get("aria-labelledby").split())
        assert title.text_content()
        assert "12 April 2026 to 10 June 2026" in desc.text_content()
        columns = [
            [int(cell.text.replace(",", "")) for cell in row.xpath("td")] for row in section.xpath(".//tbody/tr")
        ]
        legend = [int(span.text_content().split()[0].replace(",", "")) for span in section.xpath(".//p/span[svg]")]
        assert [sum(column) for column in zip(*columns, strict=True)] == legend
        paths = section.xpath(".//svg[@role='img']/path/@d")
        assert [path.count("z") for path in paths] == [
            sum(1 for count in column if count) for column in zip(*columns, strict=True)
        ]


def test_the_page_says_what_waits_and_how_sources_do(shared: Served) -> None:
    """As `digest status` does."""
    page = html.document_fromstring(shared.get("/status").text)
    text = " ".join(" ".join(page.itertext()).split())
    assert "9 queued: to be sent by digest run" in text
    assert "0 of 50 messages on 2026-06-10" in text
    assert "biorxiv 4 days ago 1 0 unknown" in text
    assert "5 hard bounce, 3 refused" in text


def test_the_page_is_small_and_runs_nothing(shared: Served, several: Served) -> None:
    """Below 60 KB with its styles; no script, no style in an attribute, nothing of another host."""
    for served, path in ((shared, "/status"), (several, "/status"), (several, "/status?list=lab1")):
        page = served.get(path).text
        size = len(page) + sum(len(served.get(file).body) for file in links_in(page) if file.startswith("/static/"))
        assert size < 60_000
        assert not re.search(r"<script|<style|style=|\son\w+=|https?://(?!www\.w3\.org)", page)
        assert 'lang="en"' in page


def test_of_several_lists_there_is_a_table_first(several: Served) -> None:
    """Each leads to its own page; a list that there is not is nowhere."""
    page = several.get("/status")
    links = [link for link in links_in(page.text) if "?list=" in link]
    assert links == ["/status?list=lab", "/status?list=lab1", "/status?list=lab2"]
    assert ">Lab 1</h1>" in several.get(links[1]).text
    assert several.get("/status?list=nobody").status == 404


def test_a_paused_list_does_not_say_by_whom(tmp_path: Path) -> None:
    """That it is paused is a state; who did it, and why, is for those who have the machine."""
    served = filled(tmp_path)
    with served.hall:
        (site,) = served.hall.sites.values()
        site.app.pauses.begin(Pause(served.now, "ada at desk.example.org", "reader7 complains"))
        page = served.get("/status").text
    assert "Paused since" in page
    assert "desk.example.org" not in page
    assert "reader7" not in page


def test_a_list_may_be_called_status(tmp_path: Path) -> None:
    """Where there are several, its front page stays where it was."""
    config = write_list(tmp_path, readers=1, extra=OPEN)
    served = Served([config, another(config, "status", "Status Quo")], NOW)
    with served.hall:
        assert ">Status Quo</" in served.get("/status").text
        assert "All lists" not in served.get("/status").text
        assert served.get("/metrics").status == 200


def test_heights_fit_and_can_be_seen() -> None:
    """A part that is more than nothing is drawn, and no bar is higher than its box."""
    assert heights((0, 0), 10) == [0.0, 0.0]
    assert heights((5, 5), 10) == [50.0, 50.0]
    few = heights((100_000, 1, 0, 1), 100_002)
    assert few[1] == few[3] > 1.5
    assert few[2] == 0
    assert 99.5 < sum(few) <= 100.2


def test_a_list_without_a_past_has_no_charts(tmp_path: Path) -> None:
    """The page says that there is none yet."""
    config = write_list(tmp_path, readers=1, extra=OPEN)
    served = Served([config], NOW)
    with served.hall:
        page = served.get("/status")
        assert (page.status, "<svg" in page.text, "none yet" in page.text) == (200, False, True)
        families = {f.name: f for f in text_string_to_metric_families(served.get("/metrics").text)}
        assert [s.value for s in families["digest_edition_overdue_seconds"].samples] == [0.0]


# --- /metrics -------------------------------------------------------------------------------------------------------


def test_the_metrics_can_be_read(shared: Served) -> None:
    """By Prometheus' own parsers, in both forms; each has help, and what it counts is what the store has."""
    answer = shared.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert all(family.documentation and family.samples for family in families.values())
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert found["digest_edition_deliveries", "lab", "queued"] == 9
    assert sum(v for key, v in found.items() if key[0] == "digest_edition_deliveries") == 90
    assert found["digest_edition_recipients", "lab"] == 90
    assert found["digest_queue_age_seconds", "lab"] == 70 * 60
    assert found["digest_source_errors_in_a_row", "lab", "biorxiv"] == 1
    good = found["digest_source_last_success_timestamp_seconds", "lab", "biorxiv"]
    assert datetime.fromtimestamp(good, UTC) == datetime(2026, 6, 6, 5, tzinfo=UTC)
    assert found["digest_relay_limit_today", "lab", "main"] == 50
    assert sum(v for key, v in found.items() if key[0] == "digest_subscribers") == 90
    other = shared.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert other.headers["content-type"].startswith("application/openmetrics-text")
    in_that_form = openmetrics.text_string_to_metric_families(other.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in in_that_form} >= families.keys() - {"digest_info"}


def with_a_crew(served: Served) -> list[ListStatus]:
    """The lists as if they were on PostgreSQL."""
    relays = (RelayUse("main", 3, 8, 0.5),)
    crew = Crew((), {ShardState.DONE: 2}, (), "", timedelta(0), timedelta(seconds=41), 12.5, relays)
    snapshot, now = next(iter(served.hall.sites.values())).app.figures.read(date(2026, 6, 9), NOW), NOW
    sites = served.hall.sites.values()
    states = [status_of(s.app.config, snapshot, s.app.figures.pulse(s.list.id, now), now, 2) for s in sites]
    return [replace(state, crew=crew) for state in states]


def test_a_list_of_one_host_has_no_workers(shared: Served) -> None:
    """On SQLite the page, the metrics and /healthz say nothing of workers and shards."""
    told = shared.get("/metrics").text + shared.get("/status").text + shared.get("/healthz").text
    assert "worker" not in told.lower()
    assert "shard" not in told.lower()


def test_names_are_as_prometheus_wants_them(shared: Served) -> None:
    """`digest_`, small letters, base units at the end, no type in a name: what promtool complains of otherwise."""
    exposed = exposition(with_a_crew(shared), "")[0].decode()
    assert "# TYPE digest_shard_lag_seconds gauge\n" in exposed
    for family in text_string_to_metric_families(exposed):
        assert re.fullmatch(r"digest_[a-z]+(_[a-z]+)*", family.name)
        assert not re.search(r"_(gauge|counter|total|count|sum|bucket|minutes|hours|milliseconds)(_|$)", family.name)
        assert family.type == "gauge"
        for sample in family.samples:
            assert sample.labels.keys() <= {"list", "status", "kind", "source", "relay", "state", "vote", "version"}


def test_an_overdue_list_is_told_everywhere(tmp_path: Path) -> None:
    """The page, the metric in seconds, and 503 with the list's id at /healthz."""
    served = filled(tmp_path)
    with served.hall:
        assert (served.get("/healthz").status, json.loads(served.get("/healthz").text)) == (200, {"status": "ok"})
    served = Served([tmp_path / "config.toml"], datetime(2026, 6, 11, 9, tzinfo=UTC))
    with served.hall:
        health = served.get("/healthz")
        assert (health.status, json.loads(health.text)) == (503, {"status": "overdue", "lists": ["lab"]})
        assert "Overdue since" in served.get("/status").text
        assert 'digest_edition_overdue_seconds{list="lab"} 7200.0\n' in served.get("/metrics").text


def test_health_says_when_the_store_cannot_be_read(tmp_path: Path) -> None:
    """503, and not why: that is in the log."""
    served = filled(tmp_path)
    with served.hall:
        (site,) = served.hall.sites.values()
        site.app._database.close()
        for name in ("digest.db", "digest.db-wal", "digest.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "digest.db").write_bytes(b"no database" * 1000)
        health = served.get("/healthz")
    assert (health.status, json.loads(health.text)) == (503, {"status": "unreadable"})


def test_what_costs_is_kept_for_longer() -> None:
    """Counting takes a thirtieth of the time at most; and never is it counted more than every few seconds."""
    clock = [0.0]
    made: list[float] = []

    def make(cost: float) -> int:
        clock[0] += cost
        made.append(cost)
        return len(made)

    cheap = Fresh(lambda: make(0.001), lambda: clock[0])
    assert [cheap.get(), cheap.get()] == [1, 1]
    clock[0] += KEPT
    assert cheap.get() == 2
    made.clear()
    dear = Fresh(lambda: make(10.0), lambda: clock[0])
    assert dear.get() == 1
    clock[0] += SHARE * 10.0 - 1
    assert dear.get() == 1
    clock[0] += 1
    assert dear.get() == 2


def test_who_asks_meanwhile_gets_the_old_value() -> None:
    """Only one counts at a time, and nobody waits for it who can have an old value."""
    clock = [0.0]
    answers: list[str] = []

    def make() -> str:
        if answers:
            answers.append(fresh.get())  # as another thread would, in between
        return f"value {len(answers)}"

    fresh = Fresh(make, lambda: clock[0])
    answers.append(fresh.get())
    clock[0] += 100
    assert fresh.get() == "value 2"
    assert answers == ["value 0", "value 0"]


# --- the dashboard --------------------------------------------------------------------------------------------------


def test_every_metric_of_the_dashboard_exists(several: Served) -> None:
    """docs/grafana.json asks for nothing that is not there, and shows nearly all that is."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    expressions += [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    asked = {name for expression in expressions for name in re.findall(r"\bdigest_\w+", expression)}
    there = {family.name for family in text_string_to_metric_families(several.get("/metrics").text)}
    exposed = exposition(with_a_crew(several), "")[0].decode()
    there |= {family.name for family in text_string_to_metric_families(exposed)}
    assert len(expressions) > 12
    assert asked - there == set()
    assert there - asked <= {"digest_info", "digest_editions", "digest_edition_finished"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["title"] for panel in dashboard["panels"])
