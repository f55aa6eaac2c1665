"""Wires the mailbox together: what comes back is read, offered to its consumers, and done with. `app.py`'s counterpart.

    read a batch → each message to the first consumer that takes it → mark those that were ours → move the position

A consumer's effect and its record are one transaction of the store. So a crash between any two of these steps, or a
second process at the same time, repeats messages, and a repeated message changes nothing. Nothing is answered: a
bounce's sender would answer back, and an automatic reply's writer is not there.

Bounces are the one consumer so far. `receiving.py` and `scheduler.py` call this; it prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from digest.errors import ConfigError
from digest.model import Address, Bounce, DeliveryId
from digest.send.bounces import Evidence, Reading, Sort, detectors, is_worn_out, read
from digest.settings import ListConfig
from digest.store import Bounces, Mailboxes, Secrets, open_database
from digest.subscribe.mailbox import Mail, Mailbox
from digest.subscribe.tokens import Purpose, Tokens

FIRST_READ = timedelta(days=30)
"""How far back a mailbox is read for the first time: it may be somebody's own, with years of mail in it."""


class Fate(StrEnum):
    """What became of a message."""

    COUNTED = "counted"
    REPEATED = "repeated"
    """A bounce that was counted before."""
    UNPROVED = "unproved"
    """A bounce or complaint without anything that only we can have written: forged, or of mail without our tag."""
    DELAYED = "delayed"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto-reply"
    NOT_OURS = "not ours"
    UNREADABLE = "unreadable"
    """The server could not give it."""

    @property
    def is_done(self) -> bool:
        """Whether nobody has to look at the message any more."""
        return self in (Fate.COUNTED, Fate.REPEATED, Fate.DELAYED, Fate.DELIVERED)


@dataclass(frozen=True, slots=True)
class Handled:
    """One message and what became of it. `bounce` and `address` are set where it was counted, now or before."""

    uid: int
    fate: Fate
    reading: Reading | None = None
    bounce: Bounce | None = None
    address: Address | None = None
    suppressed: bool = False


class Consumer(Protocol):
    """Takes the messages that it knows."""

    def take(self, uid: int, raw: bytes) -> Handled | None:
        """What became of the message; None: it is somebody else's."""


class Mailroom:
    """One list's mailbox, ready to be read. Use as a context manager: it holds the store open."""

    def __init__(self, config: ListConfig, now: Callable[[], datetime]):
        """Raises ConfigError without a mailbox, MailboxError without the extra, StoreError."""
        if config.inbox is None:
            raise ConfigError(f"{config.path}: [mailbox] has no host, username and password to read bounces with")
        detectors()
        self._inbox = config.inbox
        self._now = now
        self._database = open_database(config.store_url)
        list_id = config.mailing_list.id
        keys = Secrets(self._database, now, keep=False).signing_keys(config.keys)
        self._mailboxes = Mailboxes(self._database, list_id)
        bounces = Bounces(self._database, list_id)
        self._consumers: Sequence[Consumer] = (BounceConsumer(bounces, Tokens(keys, list_id), now),)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def read(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Handled]:
        """Reads what is new, and says what became of each message once it is done with. Raises MailboxError."""
        position = self._mailboxes.position(self._inbox.name)
        since = (self._now() - FIRST_READ).date()
        with Mailbox(self._inbox) as mailbox:
            for behind, batch in mailbox.read(position, since):
                handled = [self._dispatch(mail) for mail in batch]
                mailbox.mark([each.uid for each in handled if each.fate.is_done])
                self._mailboxes.move(self._inbox.name, behind, self._now())
                yield from handled
                if stopped():
                    return

    def _dispatch(self, mail: Mail) -> Handled:
        if mail.raw is None:
            return Handled(mail.uid, Fate.UNREADABLE)
        taken = (consumer.take(mail.uid, mail.raw) for consumer in self._consumers)
        return next((handled for handled in taken if handled), Handled(mail.uid, Fate.NOT_OURS))


_WITHOUT_EFFECT = {
    Sort.DELAYED: Fate.DELAYED,
    Sort.DELIVERED: Fate.DELIVERED,
    Sort.AUTO_REPLY: Fate.AUTO_REPLY,
}


class BounceConsumer:
    """Counts bounces and complaints that are proved to be about a delivery of the list."""

    def __init__(self, bounces: Bounces, tokens: Tokens, now: Callable[[], datetime]):
        self._bounces = bounces
        self._tokens = tokens
        self._now = now

    def take(self, uid: int, raw: bytes) -> Handled | None:
        """What became of a bounce, a complaint or an automatic reply; None for everything else. Raises StoreError."""
        reading = read(raw)
        delivery_id = self._delivery(reading.evidence)
        if reading.kind is None:
            fate = _WITHOUT_EFFECT.get(reading.sort)
            is_ours = delivery_id is not None or fate is Fate.AUTO_REPLY
            return Handled(uid, fate, reading) if fate and is_ours else None
        if delivery_id is None:
            return Handled(uid, Fate.UNPROVED, reading)
        bounce = Bounce(delivery_id, reading.kind, reading.enhanced_code, reading.diagnostic)
        recorded = self._bounces.record(bounce, is_worn_out, self._now())
        if recorded is None:  # signed by us, of a delivery that the database has lost
            return Handled(uid, Fate.UNPROVED, reading)
        fate = Fate.COUNTED if recorded.is_new else Fate.REPEATED
        return Handled(uid, fate, reading, bounce, recorded.address, recorded.suppressed)

    def _delivery(self, evidence: Evidence) -> DeliveryId | None:
        """The delivery that the message is about, if anything in it proves that its writer had what we sent."""
        for tag in evidence.tags:
            if (found := self._tokens.delivery_of(tag)) is not None:
                return found
        for token in evidence.tokens:
            if (reader := self._tokens.verify(Purpose.UNSUBSCRIBE, token)) is None:
                continue
            for message_id in evidence.message_ids:
                if (found := self._bounces.delivery_with(message_id, reader)) is not None:
                    return found
        return None
