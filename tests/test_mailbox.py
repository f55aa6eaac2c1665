"""Reading a mailbox by IMAP: what is asked for, what a bad server can do, and that nothing is ever deleted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from digest.errors import MailboxError
from digest.model import Inbox, Position, Security
from digest.subscribe import mailbox as mailbox_module
from digest.subscribe.mailbox import BATCH, Mail, Mailbox
from tests.servers import certificates
from tests.servers.imap import (
    PASSWORD,
    Behaviour,
    ImapServer,
    drops_every_fetch,
    drops_the_second_fetch,
    has_no_plain,
    refuses_logins,
)
from tests.waiting import PATIENCE

SINCE = date(2026, 6, 1)


def message(number: int, on: str = "Tue, 09 Jun 2026 07:00:00 +0000") -> bytes:
    return f"Date: {on}\r\nSubject: {number}\r\n\r\nText {number}\r\n".encode()


def inbox(server: ImapServer, **changes: Any) -> Inbox:
    fields: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "security": Security(server.security),
        "username": "digest",
        "password": PASSWORD,
    }
    return Inbox(**(fields | changes))


def read(server: ImapServer, position: Position | None = None, timeout: float = PATIENCE, **changes: Any) -> list[Mail]:
    with Mailbox(inbox(server, **changes), timeout) as opened:
        return [mail for _, batch in opened.read(position, SINCE) for mail in batch]


def uids(mails: Sequence[Mail]) -> list[int]:
    return [mail.uid for mail in mails]


@pytest.mark.parametrize("uid_behind", [False, True])
def test_every_message_comes_once_with_its_bytes(uid_behind: bool) -> None:
    """Over several batches, wherever the server puts the UID."""
    raw = [message(n) for n in range(2 * BATCH + 3)]
    with ImapServer(raw, Behaviour(uid_behind=uid_behind)) as server:
        mails = read(server)
    assert [mail.raw for mail in mails] == raw
    assert uids(mails) == list(range(1, len(raw) + 1))


def test_only_what_lies_behind_the_position_is_read() -> None:
    """Each batch brings the position with which to go on; at its end nothing is left."""
    with ImapServer([message(n) for n in range(BATCH + 1)]) as server, Mailbox(inbox(server)) as opened:
        positions = [position for position, _ in opened.read(None, SINCE)]
        assert positions == [Position(1, BATCH), Position(1, BATCH + 1), Position(1, BATCH + 1)]
        assert uids(read(server, positions[0])) == [BATCH + 1]
        assert read(server, positions[-1]) == []
        server.add(message(99))
        assert uids(read(server, positions[-1])) == [BATCH + 2]


def test_a_first_read_leaves_old_mail_alone() -> None:
    """Only what has come since the day is fetched; but nothing between is read the next time."""
    old, new = message(1, "Mon, 04 May 2026 07:00:00 +0000"), message(2)
    with ImapServer([old, new, old]) as server, Mailbox(inbox(server)) as opened:
        batches = list(opened.read(None, SINCE))
        assert [uids(batch) for _, batch in batches] == [[2], []]
        assert batches[-1][0] == Position(1, 3)


def test_a_mailbox_that_was_made_anew_is_read_anew() -> None:
    """A position under another UIDVALIDITY means nothing."""
    with ImapServer([message(1), message(2)], uid_validity=9) as server:
        assert uids(read(server, Position(8, 2))) == [1, 2]


def test_searches_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many messages there are, no search asks for more than a window of UIDs."""
    monkeypatch.setattr(mailbox_module, "_WINDOW", 10)
    with ImapServer([message(n) for n in range(25)]) as server:
        assert uids(read(server, Position(1, 3))) == list(range(4, 26))
        searches = [command for command in server.commands if command.startswith("UID SEARCH")]
    assert searches == ["UID SEARCH UID 4:13", "UID SEARCH UID 14:23", "UID SEARCH UID 24:25"]


def test_of_a_huge_message_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message takes more memory than the limit."""
    monkeypatch.setattr(mailbox_module, "LARGEST", 50)
    with ImapServer([message(1) + b"x" * 1000, message(2)]) as server:
        first, second = read(server)
    assert first.raw == (message(1) + b"x" * 1000)[:50]
    assert second.raw == message(2)[:50]


def test_a_message_that_cannot_be_had_is_named_and_the_rest_goes_on() -> None:
    """One NO for a batch: its messages are asked for one by one."""
    with ImapServer([message(n) for n in range(1, 6)], Behaviour(refuses=frozenset({3}))) as server:
        mails = read(server)
    assert uids(mails) == [1, 2, 3, 4, 5]
    assert [mail.uid for mail in mails if mail.raw is None] == [3]


def test_a_message_deleted_meanwhile_is_left_out() -> None:
    """Between search and fetch its owner may delete it."""
    with ImapServer([message(n) for n in range(BATCH + 2)]) as server, Mailbox(inbox(server)) as opened:
        batches = opened.read(None, SINCE)
        next(batches)
        del server.messages[BATCH + 1]
        assert uids(next(batches)[1]) == [BATCH + 2]


def test_a_lost_connection_is_opened_again() -> None:
    """A reset in the middle of a message costs nothing but a second login."""
    raw = [message(n) for n in range(3 * BATCH)]
    with ImapServer(raw, drops_the_second_fetch) as server:
        assert [mail.raw for mail in read(server)] == raw
        assert server.commands.count("AUTHENTICATE PLAIN") == 2


def test_a_server_that_is_not_there_is_told_with_what_to_look_at() -> None:
    """Its name, where nobody answers, and the keys of the config."""
    with ImapServer([message(1)]) as server:
        pass
    with pytest.raises(
        MailboxError,
        match=r"nobody answers at 127.0.0.1:\d+ \(connection refused\): .* `host` and `port` of \[mailbox\]",
    ):
        read(server)


def test_a_server_that_always_fails_is_given_up() -> None:
    """The second loss of the same command is an error that names the mailbox."""
    with ImapServer([message(1)], drops_every_fetch) as server:
        with pytest.raises(MailboxError, match=f"digest at {server.host}:{server.port}: "):
            read(server)
        assert server.fetched == 2


def test_new_numbers_in_the_middle_end_it() -> None:
    """After a reconnection under another UIDVALIDITY the UIDs at hand mean other messages."""
    behaviour = Behaviour(drops_fetch=frozenset({1}), renumbers=True)
    with ImapServer([message(1)], behaviour) as server, pytest.raises(MailboxError, match="was replaced"):
        read(server)


@pytest.mark.parametrize(
    ("security", "behaviour"),
    [("none", Behaviour()), ("starttls", Behaviour()), ("tls", Behaviour()), ("tls", has_no_plain)],
)
def test_each_protection_and_login_works(
    security: str, behaviour: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS from the start, STARTTLS, none; with PLAIN, or with LOGIN where that is not offered."""
    monkeypatch.setattr("tests.servers.imap.PASSWORD", "s3cret")
    with ImapServer([message(1)], behaviour, security=security) as server:
        assert uids(read(server, ca_file=certificates.ca_file(tmp_path), password="s3cret")) == [1]
        assert ("STARTTLS" in server.commands) is (security == "starttls")


def test_a_password_is_not_sent_in_the_clear_beyond_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS, to another host, the login ends before it begins."""
    monkeypatch.setattr("digest.subscribe.mailbox.is_loopback", lambda host: False)
    with ImapServer([message(1)]) as server:
        with pytest.raises(MailboxError, match="not sent without TLS"):
            read(server)
        assert not [command for command in server.commands if command.startswith(("AUTH", "LOGIN"))]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_by_a_stranger_ends_it_before_the_login(security: str, tmp_path: Path) -> None:
    """The password is not sent."""
    stranger = certificates.ca_file(tmp_path, certificates.OTHER_CA)
    with ImapServer([message(1)], security=security) as server:
        with pytest.raises(MailboxError, match="TLS failed"):
            read(server, ca_file=stranger)
        assert not {"LOGIN", "AUTHENTICATE PLAIN"}.intersection(server.commands)


def test_starttls_that_is_not_offered_ends_it() -> None:
    """It never falls back to an open connection."""
    with ImapServer([message(1)]) as server:
        with pytest.raises(MailboxError, match="TLS not supported"):
            read(server, security=Security.STARTTLS)
        assert not {"LOGIN", "AUTHENTICATE PLAIN"}.intersection(server.commands)


@pytest.mark.parametrize(
    ("changes", "behaviour", "told"),
    [
        ({"password": "wrong"}, Behaviour(), "Wrong password"),
        ({}, refuses_logins, "no login that we can use"),
        ({}, has_no_plain, "no login that we can use"),
        ({}, Behaviour(says_nothing_of_uids=True), "does not say UIDVALIDITY"),
        ({}, Behaviour(never_answers=True), "timed out"),
        ({"ca_file": Path("nowhere.pem")}, Behaviour(), "nowhere.pem: cannot be used"),
    ],
    ids=["wrong password", "no login", "é without PLAIN", "no UIDVALIDITY", "silent", "no CA file"],
)
def test_what_cannot_be_opened_says_why(changes: dict[str, Any], behaviour: Behaviour, told: str) -> None:
    """One line, without the password."""
    patience = 0.3 if behaviour.never_answers else PATIENCE
    with ImapServer([message(1)], behaviour) as server, pytest.raises(MailboxError, match=re.escape(told)) as caught:
        read(server, timeout=patience, **changes)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_says_so() -> None:
    """A refused connection is an error with the mailbox's name."""
    with ImapServer() as server:
        gone = inbox(server)
    with pytest.raises(MailboxError, match=f"digest at {gone.host}:{gone.port}: "):
        Mailbox(gone).__enter__()


def test_reading_changes_nothing_but_the_mark() -> None:
    r"""Messages are only looked at; `\Seen` comes when it is asked for; no command could delete or send anything."""
    with ImapServer([message(1), message(2)]) as server, Mailbox(inbox(server)) as opened:
        list(opened.read(None, SINCE))
        assert server.seen == set()
        opened.mark([2])
        opened.mark([])
    assert server.seen == {2}
    words = {re.match(r"(?:UID )?\w+", command)[0] for command in server.commands}  # type: ignore[index]
    assert words == {"CAPABILITY", "AUTHENTICATE", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "LOGOUT"}
    assert all("BODY.PEEK[]" in command for command in server.commands if "FETCH" in command)


def test_the_password_is_in_no_repr() -> None:
    """What holds it can be logged."""
    with ImapServer() as server:
        assert PASSWORD not in repr(inbox(server))
