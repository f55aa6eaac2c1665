"""Several relays, limits of the day, hours and bounces, as a user meets them: real processes and real SMTP."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from digest.model import Bounce, BounceKind, DeliveryId, ListId
from digest.settings import load
from digest.store import Bounces, Database, RelayDays, open_database
from tests.lists import DAY_ONE, write_list
from tests.servers.smtp import CollectingServer, answers_421_banner, refuses_auth_535
from tests.test_cli import jsons, run
from tests.test_processes import start

PLAIN = '\n[[smtp]]\nhost = "127.0.0.1"\nsecurity = "none"\nport = {port}\nname = "{name}"\n'
DIES = replace(answers_421_banner, over_all=True)


def relays(folder: Path, readers: int, *tables: str) -> Path:
    return write_list(folder, readers, extra="".join(tables))


def table(server: CollectingServer, name: str, *more: str, connections: int = 2) -> str:
    return PLAIN.format(port=server.port, name=name) + "\n".join([f"connections = {connections}", *more]) + "\n"


def copies(*servers: CollectingServer) -> Counter[str]:
    return Counter(address for server in servers for message in server.messages for address in message.recipients)


def once(readers: int) -> dict[str, int]:
    return {f"reader{n}@example.org": 1 for n in range(readers)}


def test_two_relays_share_by_weight_and_each_delivery_says_which(tmp_path: Path) -> None:
    """Three to one; every reader gets one copy, and `digest deliveries` tells through which relay."""
    with CollectingServer() as a, CollectingServer() as b:
        config = relays(tmp_path, 24, table(a, "first", "weight = 3"), table(b, "second"))
        assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
        assert copies(a, b) == once(24)
        assert 16 <= len(a.messages) <= 20
        listed = jsons(run("deliveries", "--config", str(config), "--json").stdout)
        assert {row["address"] for row in listed if row["relay"] == "second"} == copies(b).keys()
    assert " second " in run("deliveries", "--config", str(config)).stdout
    one = run("deliveries", "--config", str(config), "--to", listed[0]["address"]).stdout
    assert f"sent, 1 try through {listed[0]['relay']} " in one


def test_a_relay_that_dies_on_the_way_costs_nobody_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three messages it is closed for good: all readers have one copy, no delivery a second try."""
    monkeypatch.setattr("digest.send.drain.RECONNECT_AFTER", (0.0, 0.0))
    closes = replace(answers_421_banner, stage="mail", skip=3, over_all=True)
    with CollectingServer(closes, replace(DIES, skip=1)) as a, CollectingServer() as b:
        config = relays(tmp_path, 12, table(a, "first", connections=1), table(b, "second", connections=1))
        answer = run("send", "--config", str(config), "--now", DAY_ONE)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert copies(a, b) == once(12)
        assert len(a.messages) == 3
    listed = jsons(run("deliveries", "--config", str(config), "--json").stdout)
    assert {row["attempts"] for row in listed} == {1}


def test_a_wrong_password_at_one_relay_is_tried_once(tmp_path: Path) -> None:
    """The server that refuses us is asked by one connection, once; the other one delivers everything."""
    login = ('username = "me"', 'password = "wrong"')
    with CollectingServer(refuses_auth_535, credentials=("me", "right")) as a, CollectingServer() as b:
        config = relays(tmp_path, 8, table(a, "first", *login, connections=5), table(b, "second"))
        assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 0
        assert copies(b) == once(8)
        assert a.connections == 1


def test_when_all_relays_refuse_the_send_pauses_and_names_each(tmp_path: Path) -> None:
    """Nobody is charged; one line names both relays with what each said."""
    login = ('username = "me"', 'password = "wrong"')
    with (
        CollectingServer(refuses_auth_535, credentials=("me", "right")) as a,
        CollectingServer(replace(DIES, say=b"554 5.7.1 Go away\r\n")) as b,
    ):
        config = relays(tmp_path, 3, table(a, "first", *login), table(b, "second"))
        answer = run("send", "--config", str(config), "--now", DAY_ONE)
    assert answer.returncode == 1
    assert "first: 535 5.7.8" in answer.stderr
    assert "second: 554 5.7.1" in answer.stderr
    assert "3 queued = 3 recipients" in answer.stdout


def test_a_warming_relay_sends_its_share_of_each_day(tmp_path: Path) -> None:
    """Two on the first day, four on the second: the rest waits as queued, is counted, and no restart forgets."""
    with CollectingServer() as server:
        warm = "warm_up = { from = 2026-06-09, first = 2, growth = 2 }"
        config = relays(tmp_path, 8, table(server, "new", warm))
        first = run("send", "--config", str(config), "--now", DAY_ONE)
        assert first.returncode == 1
        assert "6 wait: new has had its 2 messages of 2026-06-09" in first.stdout
        again = run("send", "--config", str(config), "--now", DAY_ONE, "--json")
        assert (again.returncode, len(server.messages)) == (1, 2)
        assert json.loads(again.stdout)["held"] == "new has had its 2 messages of 2026-06-09"
        (overview,) = jsons(run("status", "--config", str(config), "--json").stdout)[0]["editions"]
        assert overview["counts"] == {"sent": 2, "queued": 6}
        text = config.read_text()
        config.write_text(text.replace('id = "lab"', 'id = "lab"\nschedule = "0 7 1 1 *"'))
        run("send", "--config", str(config), "--now", "2026-06-10T05:00:00Z")
        assert len(server.messages) == 6
        assert max(copies(server).values()) == 1


def test_the_day_of_a_limit_is_the_lists_own(tmp_path: Path) -> None:
    """In Auckland the tenth has begun when it is the ninth in Greenwich."""
    with CollectingServer() as server:
        config = relays(tmp_path, 4, table(server, "new", "per_day = 2"))
        config.write_text(config.read_text().replace("papers = 3", 'papers = 3\ntimezone = "Pacific/Auckland"'))
        run("send", "--config", str(config), "--now", "2026-06-09T11:00:00Z")
        assert "of 2026-06-09" in run("send", "--config", str(config), "--now", "2026-06-09T11:30:00Z").stdout
        run("send", "--config", str(config), "--now", "2026-06-09T12:30:00Z")
        assert copies(server) == once(4)


def test_two_processes_together_keep_to_the_limit_of_a_day(tmp_path: Path) -> None:
    """Both reserve before they send: never one too many, and what each message had is counted."""
    with CollectingServer() as server:
        config = relays(tmp_path, 12, table(server, "new", "per_day = 7"))
        both = [start(config), start(config)]
        errors = [process.communicate(timeout=60)[1] for process in both]
        assert 1 <= len(server.messages) <= 7, errors
        assert run("send", "--config", str(config), "--now", DAY_ONE).returncode == 1
        assert len(server.messages) == 7
        assert max(copies(server).values()) == 1
    with opened(config) as database:
        assert RelayDays(database).messages("new", date(2026, 6, 9)) == 7


class opened:  # noqa: N801 - used like a function
    """The list's database, for the length of a `with` block."""

    def __init__(self, config: Path):
        self._database = open_database(load([config], {}).lists[0].store_url)

    def __enter__(self) -> Database:
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.close()


def test_reservations_never_exceed_the_limit(tmp_path: Path) -> None:
    """However many reserve at once, together they get the limit; what one gives back another may have."""
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    days, day = RelayDays(database), date(2026, 6, 9)
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda wanted: days.reserve("a", day, wanted, 50), [7] * 20))
    assert sum(granted) == days.messages("a", day) == 50
    days.give_back("a", day, 3)
    assert [days.reserve("a", day, 7, 50), days.reserve("a", day, 7, 50), days.reserve("b", day, 7, 50)] == [3, 0, 7]
    assert days.reserve("a", day, 7, 20) == 0, "a limit that was lowered grants nothing more"
    database.close()


@pytest.mark.parametrize(
    ("hours", "opens"),
    [("07:00-21:00", "Tuesday 2026-06-09 at 07:00"), ("wed 06:30-24:00", "Wednesday 2026-06-10 at 06:30")],
)
def test_outside_of_its_hours_a_list_sends_nothing(tmp_path: Path, hours: str, opens: str) -> None:
    """At six the edition is made and stays queued; it is said when the hours begin, and then it goes out."""
    with CollectingServer() as server:
        config = relays(tmp_path, 3, table(server, "a"))
        config.write_text(config.read_text().replace("papers = 3", f'papers = 3\nsend_window = "{hours}"'))
        early = run("send", "--config", str(config), "--now", DAY_ONE)
        assert early.returncode == 1
        assert f"3 wait: `send_window` opens on {opens} UTC" in early.stdout
        assert ("3 queued = 3 recipients" in early.stdout, len(server.messages)) == (True, 0)
        assert run("send", "--config", str(config), "--now", opens[-19:].replace(" at ", "T") + "Z").returncode == 0
        assert copies(server) == once(3) if opens.startswith("Tue") else len(server.messages) >= 3


def test_status_tells_what_came_back(tmp_path: Path) -> None:
    """By edition and kind, for people and for programs; nothing where nothing did."""
    with CollectingServer() as server:
        config = relays(tmp_path, 4, table(server, "a"))
        run("send", "--config", str(config), "--now", DAY_ONE)
    assert "came back" not in run("status", "--config", str(config)).stdout
    kinds = {1: BounceKind.HARD, 2: BounceKind.HARD, 3: BounceKind.SOFT, 4: BounceKind.COMPLAINT}
    with opened(config) as database:
        bounces = Bounces(database, ListId("lab"))
        for number, kind in kinds.items():
            bounces.record(Bounce(DeliveryId(number), kind, "5.1.1", "gone"), never, datetime(2026, 6, 9, tzinfo=UTC))
    assert "  edition 1: came back: 2 hard, 1 soft, 1 complaint\n" in run("status", "--config", str(config)).stdout
    (overview,) = jsons(run("status", "--config", str(config), "--json").stdout)[0]["editions"]
    assert overview["came_back"] == {"hard": 2, "soft": 1, "complaint": 1}


def never(attempts: object, now: object) -> bool:
    return False
