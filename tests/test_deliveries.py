"""`digest deliveries`, `retry` and `resolve`, with a real server that refuses, or breaks off after the final dot."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from tests.lists import DAY_ONE, write_list
from tests.servers.smtp import CollectingServer, Misbehaviour, rejects_data_554, resets_after_dot
from tests.test_cli import Answer, run

LATER = "2026-06-09T12:00:00+00:00"
FULL = replace(rejects_data_554, say=b"552 5.2.2 Mailbox full\r\n", only=b"reader0@")
GREYLISTS = replace(rejects_data_554, say=b"451 4.7.1 Greylisted\r\n")
BREAKS_OFF = replace(resets_after_dot, only=b"reader0@")


def digest(config: Path, *arguments: str, now: str = LATER) -> Answer:
    clock = () if arguments[0] == "deliveries" else ("--now", now)
    return run(*arguments, "--config", str(config), *clock)


def sent(folder: Path, *misbehaviours: Misbehaviour) -> tuple[Path, Sequence[str]]:
    """A list whose first edition met a server that misbehaves, and the Message-IDs that the server accepted."""
    with CollectingServer(*misbehaviours) as server:
        config = write_list(folder, port=server.port)
        digest(config, "send", now=DAY_ONE)
        return config, tuple(server.message_ids)


def send_again(config: Path, folder: Path) -> tuple[Answer, Sequence[str]]:
    """Another send, to a server that takes everything; and the Message-IDs that it accepted."""
    with CollectingServer() as server:
        text = re.sub(r"(?m)^port = \d+", f"port = {server.port}", config.read_text())
        config.write_text(text)
        return digest(config, "send"), tuple(server.message_ids)


def statuses(config: Path, *arguments: str) -> dict[str, str]:
    answer = digest(config, "deliveries", *arguments, "--json")
    return {found["address"]: found["status"] for found in map(json.loads, answer.stdout.splitlines())}


def test_every_delivery_is_shown_with_what_the_server_said(tmp_path: Path) -> None:
    """One line each; a status picks some of them, and none is exit code 3."""
    config, _ = sent(tmp_path, FULL)
    answer = digest(config, "deliveries")
    assert answer.returncode == 0
    assert re.search(r"reader0@example\.org +bounced +3 +1 +552 5\.2\.2 Mailbox full", answer.stdout)
    assert re.search(r"reader1@example\.org +sent +2 +1 +250 ", answer.stdout)
    assert statuses(config, "1", "--status", "sent") == {"reader1@example.org": "sent"}
    assert statuses(config, "2026-06-09") == {"reader0@example.org": "bounced", "reader1@example.org": "sent"}
    none = digest(config, "deliveries", "--status", "unknown")
    assert (none.returncode, none.stdout.splitlines()[1]) == (3, "  no delivery is unknown")


def test_elsewhere_than_on_a_terminal_a_delivery_is_one_line(tmp_path: Path) -> None:
    """What is read by grep and awk is not wrapped to the columns of a terminal that is not there."""
    config, _ = sent(tmp_path, FULL)
    with mock.patch.dict(os.environ, COLUMNS="40"):
        lines = digest(config, "deliveries").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["address", "reader0@example.org", "reader1@example.org"]


def test_a_reader_asked_for_by_name_is_shown_with_papers_and_reasons(tmp_path: Path) -> None:
    """With --to: the Message-ID, each paper's title, and why it was picked."""
    config, (message_id,) = sent(tmp_path, FULL)
    answer = digest(config, "deliveries", "--to", "Reader1@example.org")
    assert message_id in answer.stdout
    assert "reader0@" not in answer.stdout
    assert len(re.findall(r"(?m)^ +[123]  0\.\d\d  \S", answer.stdout)) == 2
    assert "proteins: " in answer.stdout


@pytest.mark.parametrize("edition", ["7", "2026-01-01", "last"])
def test_an_edition_that_there_is_not(tmp_path: Path, edition: str) -> None:
    """Its name is told, with what names there can be; exit code 2."""
    config, _ = sent(tmp_path)
    answer = digest(config, "deliveries", edition)
    assert answer.returncode == 2
    assert edition in answer.stderr


def test_a_damaged_delivery_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It is deferred, with what is wrong with it; the others are sent, and all can be shown."""
    config, _ = sent(tmp_path, GREYLISTS)
    with closing(sqlite3.connect(tmp_path / "digest.db")) as database, database:
        database.execute("UPDATE deliveries SET picks = '[{' WHERE address = 'reader0@example.org'")
    answer, (_,) = send_again(config, tmp_path)
    assert answer.returncode == 1
    assert statuses(config) == {"reader0@example.org": "deferred", "reader1@example.org": "sent"}
    assert re.search(r"reader0@example\.org +deferred +0 +2", digest(config, "deliveries").stdout)
    told = digest(config, "deliveries", "--to", "reader0@example.org", "--json").stdout
    assert "could not be composed: what was frozen for delivery 1 cannot be read" in json.loads(told)["reply"]


def test_a_failed_delivery_is_tried_again_when_asked_for(tmp_path: Path) -> None:
    """A bounced one becomes due, the edition unfinished, and the next send delivers it; what was sent stays sent."""
    config, first = sent(tmp_path, FULL)
    answer = digest(config, "retry", "1")
    assert (answer.returncode, "reader0@example.org: due again" in answer.stdout) == (0, True)
    assert statuses(config)["reader0@example.org"] == "deferred"
    answer, second = send_again(config, tmp_path)
    assert (answer.returncode, len(first), len(second)) == (0, 1, 1)
    assert set(statuses(config).values()) == {"sent"}
    assert digest(config, "retry").returncode == 3


def test_of_many_some_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay's bad hour may be a hundred thousand readers': their number is told, and as JSON all of them."""
    monkeypatch.setattr("digest.commands.deliveries.NAMED", 1)
    config, _ = sent(tmp_path, replace(FULL, only=b""))
    lines = digest(config, "retry").stdout.splitlines()
    assert lines[-3:] == [
        "  reader0@example.org: due again",
        "  … and 1 more: due again",
        "  `digest send` sends what is due (2 now), and so does `digest run`",
    ]
    assert len(json.loads(digest(config, "retry", "--json").stdout)["changed"]) == 2


def test_a_retry_is_for_those_who_were_named(tmp_path: Path) -> None:
    """Others keep their status."""
    config, _ = sent(tmp_path, replace(FULL, only=b""))
    digest(config, "retry", "--to", "reader1@example.org")
    assert statuses(config) == {"reader0@example.org": "bounced", "reader1@example.org": "deferred"}


def test_a_delivery_in_doubt_is_shown_and_held(tmp_path: Path) -> None:
    """Without a decision nothing changes: exit code 1, and neither `retry` nor a send touches it."""
    config, _ = sent(tmp_path, BREAKS_OFF)
    answer = digest(config, "resolve")
    assert answer.returncode == 1
    assert "reader0@example.org" in answer.stdout
    assert "1 may have arrived" in digest(config, "retry").stdout
    assert send_again(config, tmp_path)[1] == ()
    assert statuses(config) == {"reader0@example.org": "unknown", "reader1@example.org": "sent"}


def test_a_delivery_in_doubt_is_sent_again_as_the_same_message(tmp_path: Path) -> None:
    """With --resend: the same Message-ID, so that a mail program can tell a second copy."""
    config, first = sent(tmp_path, BREAKS_OFF)
    assert digest(config, "resolve", "--resend").returncode == 0
    _, again = send_again(config, tmp_path)
    assert len(again) == 1
    assert set(again) <= set(first)
    assert digest(config, "resolve").returncode == 3


def test_a_delivery_in_doubt_is_taken_for_delivered(tmp_path: Path) -> None:
    """With --delivered: it is `sent`, says by whom, and nothing goes out."""
    config, _ = sent(tmp_path, BREAKS_OFF)
    assert digest(config, "resolve", "1", "--delivered").returncode == 0
    assert statuses(config)["reader0@example.org"] == "sent"
    assert "taken for delivered, by hand" in digest(config, "deliveries").stdout
    assert send_again(config, tmp_path)[1] == ()


def test_one_decision_at_a_time(tmp_path: Path) -> None:
    """Both at once are refused; exit code 2."""
    config, _ = sent(tmp_path)
    assert digest(config, "resolve", "--resend", "--delivered").returncode == 2
