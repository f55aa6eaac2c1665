"""Delivers messages into a Maildir: what happens without `[smtp]`, and a rehearsal that any mail program can open.

Here lives the writing of files, and nothing else; `outbox.drain` calls this in place of `smtp.py`.
Format: https://cr.yp.to/proto/maildir.html (tmp, new, cur; a message is written and synced in `tmp`, then appears in
`new` by one rename; a program that has seen it moves it to `cur` and adds flags to its name). Lines end with LF.

A message's file name is made from its Message-ID and recipient. So a second try, after a crash between the rename and
the record, finds its own copy and adds none: `unknown` cannot happen here, and what a crash leaves in `sending` is
safely sent again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from digest import durable
from digest.model import DeliveryStatus, Envelope, Outcome

_FLAGS = re.compile("[:;!]")
"""What stands before a name's flags: a colon, which Windows does not allow, or what programs write there instead."""
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE)


class MaildirTransport:
    """A Maildir at `path`, made when first needed. Any number of these may share it, in any number of processes."""

    def __init__(self, path: Path):
        self._path = path
        self._cur: frozenset[str] = frozenset()
        self._cur_changed_at = -1

    async def submit(self, envelope: Envelope, message: bytes, before_data: Callable[[], Awaitable[None]]) -> Outcome:
        """As `outbox.Transport.submit`. A full disk or a missing permission is the relay's lasting trouble."""
        name = file_name(envelope, message)
        draft = self._path / "tmp" / f"{name}.{os.getpid()}"
        try:
            try:
                self._write(draft, message.replace(b"\r\n", b"\n"))
            except OSError as error:
                return _trouble(error)
            await before_data()
            try:
                place = self._publish(draft, name)
            except OSError as error:
                return _trouble(error)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink()
        return Outcome(DeliveryStatus.SENT, reply=f"written to {place}")

    async def close(self) -> None:
        """Nothing is open between messages."""

    def _write(self, draft: Path, text: bytes) -> None:
        for folder in ("tmp", "new", "cur"):
            (self._path / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(text)
            file.flush()
            durable.sync(file.fileno())

    def _publish(self, draft: Path, name: str) -> Path:
        new = self._path / "new" / name
        # In this order: a mail program may move the copy from `new` to `cur` in between, but never back.
        if not new.exists() and name not in self._names_in_cur():
            draft.rename(new)
        durable.sync_folder(new.parent)
        return new

    def _names_in_cur(self) -> frozenset[str]:
        """The names in `cur` without their flags, read again only when the folder has changed."""
        cur = self._path / "cur"
        changed_at = cur.stat().st_mtime_ns
        if changed_at != self._cur_changed_at:
            self._cur = frozenset(_FLAGS.split(path.name, 1)[0] for path in cur.iterdir())
            self._cur_changed_at = changed_at
        return self._cur


def file_name(envelope: Envelope, message: bytes) -> str:
    """The Maildir name of `message` to this recipient: the same on every try, and no two alike."""
    header = message.partition(b"\r\n\r\n")[0]
    found = _MESSAGE_ID.search(header)
    identity = found[1] if found else message
    return hashlib.sha256(envelope.recipient.encode() + b"\n" + identity).hexdigest()[:32] + ".digest"


def _trouble(error: OSError) -> Outcome:
    reply = f"cannot write the message: {error.strerror or error}: {error.filename or 'the Maildir'}"
    return Outcome(DeliveryStatus.BOUNCED, reply=reply, relay_trouble=True)
