"""IDLE: that new mail is heard of, that the wait is renewed, and that it ends at once."""

from __future__ import annotations

import threading
from pathlib import Path
from unittest import mock

import pytest

from digest.subscribe import watch as watch_module
from digest.subscribe.watch import Watch
from tests.servers import certificates
from tests.servers.imap import (
    Behaviour,
    ImapServer,
    chats_while_idle,
    hangs_up_on_idle,
    offers_idle,
    refuses_logins,
    well_behaved,
)
from tests.test_mailbox import inbox, message
from tests.waiting import PATIENCE, until


class News:
    """Counts what is told."""

    def __init__(self) -> None:
        self._told = threading.Semaphore(0)

    def __call__(self) -> None:
        self._told.release()

    def comes(self) -> bool:
        return self._told.acquire(timeout=PATIENCE)


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_new_mail_is_heard_of(tmp_path: Path, security: str) -> None:
    """Once at the start, for what came before; then for each arrival. It ends at once, though nothing comes."""
    news = News()
    with ImapServer(behaviour=offers_idle, security=security) as server:
        watch = Watch(inbox(server, ca_file=certificates.ca_file(tmp_path)), news)
        assert news.comes()
        for number in range(3):
            server.add(message(number))
            assert news.comes()
        watch.close()
        watch._thread.join(PATIENCE)
        assert not watch._thread.is_alive()
    assert server.commands.count("IDLE") == 1


@pytest.mark.parametrize("behaviour", [well_behaved, Behaviour("IMAP4rev1 AUTH=PLAIN XIDLE")])
def test_a_server_without_idle_is_left_alone(behaviour: Behaviour) -> None:
    """It is asked once; the mailbox is read every few minutes all the same."""
    with ImapServer(behaviour=behaviour) as server:
        watch = Watch(inbox(server), News())
        watch._thread.join(PATIENCE)
        assert not watch._thread.is_alive()
        assert "IDLE" not in server.commands


def test_a_wait_is_renewed_and_a_lost_connection_opened_again() -> None:
    """Before a server or a router ends it, and after one did; each time what came meanwhile is told."""
    news = News()
    for behaviour, renewed in ((offers_idle, 0.05), (chats_while_idle, 0.05), (hangs_up_on_idle, 600.0)):
        with (
            mock.patch.object(watch_module, "RENEWED_AFTER", renewed),
            mock.patch.object(watch_module, "PAUSE", 0.01),
            ImapServer(behaviour=behaviour) as server,
        ):
            watch = Watch(inbox(server), news)
            for _ in range(3):
                assert news.comes()
            watch.close()
            watch._thread.join(PATIENCE)
            assert not watch._thread.is_alive()
        assert server.commands.count("IDLE") >= 3


def test_trouble_is_tried_again_and_raises_nothing() -> None:
    """A server that is not there, or refuses the login, is asked again later; closing does not wait for that."""
    with ImapServer(behaviour=refuses_logins) as server:
        watch = Watch(inbox(server), News())
        until(lambda: server.commands, "it asked nothing")
        watch.close()
        watch._thread.join(PATIENCE)
        assert not watch._thread.is_alive()
