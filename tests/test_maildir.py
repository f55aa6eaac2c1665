"""Delivery into a Maildir: what a mail program finds there, and what a crash or a full disk leaves behind."""

from __future__ import annotations

import asyncio
import errno
import mailbox
import os
from pathlib import Path

import pytest

from digest.model import Address, DeliveryStatus, Envelope, Outcome
from digest.send.maildir import MaildirTransport, file_name

MESSAGE = b"Message-ID: <1@example.org>\r\nSubject: Papers\r\n\r\nFirst line\r\n.dot\r\n"
ADA = Envelope("digest@example.org", Address("ada@example.org"))


class Intent:
    """A `before_data` that counts its calls, and refuses where told to."""

    def __init__(self, error: Exception | None = None):
        self.calls = 0
        self._error = error

    async def __call__(self) -> None:
        self.calls += 1
        if self._error:
            raise self._error


def submit(path: Path, message: bytes = MESSAGE, envelope: Envelope = ADA, intent: Intent | None = None) -> Outcome:
    return asyncio.run(MaildirTransport(path).submit(envelope, message, intent or Intent()))


def contents(path: Path) -> list[bytes]:
    return [message.as_bytes() for message in mailbox.Maildir(path, create=False)]


def files(path: Path) -> list[Path]:
    return [*(path / "new").iterdir(), *(path / "cur").iterdir()]


def test_a_mail_program_finds_the_message(tmp_path: Path) -> None:
    """The message is in `new`, with LF line ends, in a Maildir that the standard library opens."""
    outcome = submit(tmp_path / "outbox")
    assert outcome.status is DeliveryStatus.SENT
    assert contents(tmp_path / "outbox") == [MESSAGE.replace(b"\r\n", b"\n")]
    assert [path.name for path in (tmp_path / "outbox" / "new").iterdir()] == [file_name(ADA, MESSAGE)]
    assert not list((tmp_path / "outbox" / "tmp").iterdir())


def test_a_second_try_adds_no_second_copy(tmp_path: Path) -> None:
    """After a crash before the record, the same message finds its own copy."""
    submit(tmp_path)
    (first,) = files(tmp_path)
    inode = first.stat().st_ino
    intent = Intent()
    assert submit(tmp_path, intent=intent).status is DeliveryStatus.SENT
    assert intent.calls == 1
    assert [path.stat().st_ino for path in files(tmp_path)] == [inode]


def test_a_copy_that_was_read_is_found_too(tmp_path: Path) -> None:
    """A mail program has moved the copy to `cur` and flagged it: still no second one."""
    transport = MaildirTransport(tmp_path)

    async def twice() -> None:
        await transport.submit(ADA, MESSAGE, Intent())
        name = file_name(ADA, MESSAGE)
        (tmp_path / "new" / name).rename(tmp_path / "cur" / f"{name}:2,S")
        await transport.submit(ADA, MESSAGE, Intent())
        await transport.close()

    asyncio.run(twice())
    assert [path.parent.name for path in files(tmp_path)] == ["cur"]


def test_other_messages_and_recipients_are_kept_apart(tmp_path: Path) -> None:
    """Another Message-ID, another recipient, and a message without an id are each their own file."""
    submit(tmp_path)
    submit(tmp_path, MESSAGE.replace(b"<1@", b"<2@"))
    submit(tmp_path, envelope=Envelope("digest@example.org", Address("bob@example.org")))
    submit(tmp_path, b"Subject: no id\r\n\r\nMessage-ID: <1@example.org>\r\n")
    assert len(contents(tmp_path)) == 4


def test_the_intent_is_committed_before_the_message_appears(tmp_path: Path) -> None:
    """What `before_data` raises comes out, and nothing was delivered."""
    with pytest.raises(LookupError):
        submit(tmp_path, intent=Intent(LookupError("lease lost")))
    with pytest.raises(OSError, match="ledger"):
        submit(tmp_path, intent=Intent(OSError("ledger on a full disk")))
    assert contents(tmp_path) == []
    assert not list((tmp_path / "tmp").iterdir())


def test_a_full_disk_charges_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full before the intent is the relay's trouble, and the message is not there."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    intent = Intent()
    outcome = submit(tmp_path, intent=intent)
    assert (outcome.status, outcome.relay_trouble, intent.calls) == (DeliveryStatus.BOUNCED, True, 0)
    assert "No space left" in outcome.reply
    monkeypatch.undo()
    assert contents(tmp_path) == []


def test_a_path_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """A file in the Maildir's place is the relay's trouble and is named."""
    (tmp_path / "outbox").write_text("not a folder")
    outcome = submit(tmp_path / "outbox")
    assert outcome.relay_trouble
    assert str(tmp_path / "outbox") in outcome.reply
