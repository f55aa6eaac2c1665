"""Wires the mailbox together: what comes back is read, offered to its consumers, and done with. `app.py`'s counterpart.

    read a batch → each message to the first that takes it → mark those that were ours → move the position

What takes a message does so again without effect, or with the same. So a crash between any two of these steps, or a
second process at the same time, repeats messages, and a repeated message changes nothing. Only commands are answered:
a bounce's sender would answer back, and an automatic reply's writer is not there.

Lists that name the same mailbox share it: it is read once for all of them. `answering.py` takes commands and votes.
`commands/receiving.py` and `postbox.py` call this; it prints nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import DEBUG, INFO
from types import TracebackType
from typing import Self

from digest.logs import Event, tell
from digest.mailroom.answering import Answering, CommandDesk
from digest.mailroom.handled import Fate, Handled, Take
from digest.model import Bounce, DeliveryId, Inbox, ListId, Position
from digest.send.bounces import Evidence, Reading, Sort, detectors, is_worn_out, read
from digest.settings import ListConfig
from digest.store import Bounces, Mailboxes, Secrets, open_database
from digest.subscribe.mailbox import Mail, Mailbox
from digest.subscribe.tokens import Purpose, Tokens

FIRST_READ = timedelta(days=30)
"""How far back a mailbox is read for the first time: it may be somebody's own, with years of mail in it."""


def shared(configs: Iterable[ListConfig]) -> tuple[tuple[ListConfig, ...], ...]:
    """The lists that read a mailbox, those together that read the same one."""
    groups: dict[Inbox, list[ListConfig]] = {}
    for config in configs:
        if config.inbox:
            groups.setdefault(config.inbox, []).append(config)
    return tuple(map(tuple, groups.values()))


class Mailroom:
    """One mailbox of one list or several, ready to be read. Use as a context manager: it holds their stores open."""

    def __init__(self, configs: Sequence[ListConfig], now: Callable[[], datetime]):
        """Takes one of the groups of `shared`. Raises MailboxError without the extra, StoreError."""
        (self._inbox,) = {config.inbox for config in configs if config.inbox}
        detectors()
        self._lists = ", ".join(config.mailing_list.id for config in configs)
        self._now = now
        self._positions: list[Mailboxes] = []
        desks: list[BounceDesk] = []
        for_commands: list[CommandDesk] = []
        with ExitStack() as opened:
            for config in configs:
                database = open_database(config.store_url)
                opened.callback(database.close)
                list_id = config.mailing_list.id
                keys = Secrets(database, now, keep=False).signing_keys(config.keys)
                self._positions.append(Mailboxes(database, list_id))
                desks.append(BounceDesk(list_id, Bounces(database, list_id), Tokens(keys, list_id)))
                if desk := CommandDesk.of(config, database, now):
                    for_commands.append(desk)
            self._opened = opened.pop_all()
        answering = Answering(for_commands, now)
        self._takers: Sequence[Take] = (answering.leave, BounceConsumer(desks, now).take, answering.take)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def read(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Handled]:
        """Reads what is new, and says what became of each message once it is done with. Raises MailboxError."""
        since = (self._now() - FIRST_READ).date()
        fates: Counter[str] = Counter()
        with Mailbox(self._inbox) as mailbox:
            for behind, batch in mailbox.read(self._position(), since):
                handled = [self._dispatch(mail, behind.uid_validity) for mail in batch]
                mailbox.mark([each.uid for each in handled if each.fate.is_done])
                for mailboxes in self._positions:
                    mailboxes.move(self._inbox.name, behind, self._now())
                fates.update(each.fate.value for each in handled)
                yield from handled
                if stopped():
                    break
        level = INFO if fates else DEBUG
        tell(Event.MAILBOX_READ, level=level, list=self._lists, messages=fates.total(), fates=dict(fates))

    def _position(self) -> Position | None:
        """How far all of the lists have read; None where they do not agree on the mailbox, or one is new to it."""
        found = [mailboxes.position(self._inbox.name) for mailboxes in self._positions]
        known = [position for position in found if position]
        if len(known) < len(found) or len({position.uid_validity for position in known}) > 1:
            return None
        return min(known, key=lambda position: position.uid)

    def _dispatch(self, mail: Mail, uid_validity: int) -> Handled:
        if mail.raw is None:
            return Handled(mail.uid, Fate.UNREADABLE)
        taken = (take(Position(uid_validity, mail.uid), mail.raw) for take in self._takers)
        return next((handled for handled in taken if handled), Handled(mail.uid, Fate.NOT_OURS))


@dataclass(frozen=True, slots=True)
class BounceDesk:
    """What one list knows its own bounces by."""

    list_id: ListId
    bounces: Bounces
    tokens: Tokens

    def delivery(self, evidence: Evidence) -> DeliveryId | None:
        """The delivery that a message is about, if anything in it proves that its writer had what we sent."""
        for tag in evidence.tags:
            if (found := self.tokens.delivery_of(tag)) is not None:
                return found
        for token in evidence.tokens:
            if (reader := self.tokens.verify(Purpose.UNSUBSCRIBE, token)) is None:
                continue
            for message_id in evidence.message_ids:
                if (found := self.bounces.delivery_with(message_id, reader)) is not None:
                    return found
        return None


_WITHOUT_EFFECT = {Sort.DELAYED: Fate.DELAYED, Sort.DELIVERED: Fate.DELIVERED, Sort.NOTICE: Fate.NOTICE}


class BounceConsumer:
    """Counts bounces and complaints that are proved to be about a delivery of one of the lists."""

    def __init__(self, desks: Sequence[BounceDesk], now: Callable[[], datetime]):
        self._desks = desks
        self._now = now

    def take(self, at: Position, raw: bytes) -> Handled | None:
        """What became of a bounce, a complaint or an automatic reply; None for everything else. Raises StoreError."""
        reading = read(raw)
        if reading.sort is Sort.AUTO_REPLY:
            return Handled(at.uid, Fate.AUTO_REPLY, reading)
        for desk in self._desks:
            if (delivery_id := desk.delivery(reading.evidence)) is not None:
                return self._at(desk, at.uid, reading, delivery_id)
        return Handled(at.uid, Fate.UNPROVED, reading) if reading.kind else None

    def _at(self, desk: BounceDesk, uid: int, reading: Reading, delivery_id: DeliveryId) -> Handled | None:
        if reading.kind is None:
            fate = _WITHOUT_EFFECT.get(reading.sort)
            return Handled(uid, fate, reading, desk.list_id) if fate else None
        bounce = Bounce(delivery_id, reading.kind, reading.enhanced_code, reading.diagnostic)
        recorded = desk.bounces.record(bounce, is_worn_out, self._now())
        if recorded is None:  # signed by us, of a delivery that the database has lost
            return Handled(uid, Fate.UNPROVED, reading, desk.list_id)
        fate = Fate.COUNTED if recorded.is_new else Fate.REPEATED
        if recorded.is_new:
            suppressed, code = recorded.suppressed, bounce.enhanced_code
            tell(Event.BOUNCE_COUNTED, list=desk.list_id, kind=bounce.kind, code=code, suppressed=suppressed)
        return Handled(uid, fate, reading, desk.list_id, bounce, recorded.address, recorded.suppressed)
