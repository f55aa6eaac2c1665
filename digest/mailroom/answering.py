"""Does what was asked by mail, where there is a proof, and says so in a letter; asks for a proof where there is none.

| what comes                      | proof                                | what it does                            |
|---------------------------------|--------------------------------------|-----------------------------------------|
| subscribe                       | none counts                          | a letter asks                           |
| its token in a reply            | within 72 h                          | subscribed                              |
| the token of List-Unsubscribe   | itself                               | unsubscribed, whatever program wrote it |
| a vote with a card's token      | itself                               | voted, without a word                   |
| any command, from a member      | DMARC by our own server, or          | done, and a letter says so              |
|                                 | a letter's token within 72 h         |                                         |
|                                 | none                                 | a letter asks; its reply does it        |
| topics, help, no sense          | none needed                          | a letter to the address in From         |
| anything else from a stranger   | none                                 | a letter: the address does not get it   |

Without a proof, an address is written to once an hour at most, and a hundred strangers; with one, ten times. What has
been read before does nothing: neither behind the list's position, nor where the mailbox was numbered anew and a letter
has answered it.

`reading.py` calls this with every message that is no report and no automatic reply. The rules of membership are
`membership.py`'s, how commands are written `subscribe/commands.py`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import Message

from digest.mailroom.handled import Fate, Handled
from digest.members import Ballot, Member, Preferences, Subscription
from digest.membership import ONE_LETTER_IN, SIGN_UP, WELCOME, Membership, named_topics
from digest.model import NOBODY, Address, Frequency, ListId, Position, Profile
from digest.render.message import mailbox
from digest.send.bounces import Sort
from digest.send.bounces import read as read_report
from digest.settings import ListConfig
from digest.store import Database, Mailboxes
from digest.subscribe import commands, replies
from digest.subscribe.authentication import is_authentic
from digest.subscribe.commands import VOTES, Asked, Command, Request
from digest.subscribe.incoming import without_plus
from digest.subscribe.letters import Text
from digest.subscribe.tokens import Purpose, signed_at
from digest.timing import local_day

MOST_AN_HOUR = 10
"""Letters to one address, whatever it proves: two programs that answer each other come to an end."""
MOST_STRANGERS_AN_HOUR = 100
"""Letters of a list to all who have proved nothing and are no members: anybody can write in thousands of names."""
ANSWERED_FOR = timedelta(days=31)
"""How long an answer is remembered: longer than a mailbox is read back."""
SECOND = timedelta(seconds=1)
"""Tokens know whole seconds."""
COMMAND = "command"
"""The kind of letters to members who have proved nothing; those to strangers are of the kind of `Membership.ask`."""


@dataclass(frozen=True, slots=True)
class CommandDesk:
    """One list whose commands come by this mailbox."""

    people: Membership
    address: Address
    """What the mailbox receives for the list."""
    authserv_id: str
    own: tuple[Address, ...]
    """The list's other addresses, mail from which is not answered."""
    has_read: Callable[[Position], bool]
    """Whether the list has dealt with the message at this place."""

    @property
    def list_id(self) -> ListId:
        """The list."""
        return self.people.list.id

    @classmethod
    def of(cls, config: ListConfig, database: Database, now: Callable[[], datetime]) -> CommandDesk | None:
        """The list's, if its mailbox has an address. Its members are those of the config as well."""
        if not (config.mailbox and config.inbox):
            return None
        mailing_list, name = config.mailing_list, config.inbox.name
        mailboxes = Mailboxes(database, mailing_list.id)

        def has_read(at: Position) -> bool:
            known = mailboxes.position(name)
            return known is not None and known.uid_validity == at.uid_validity and at.uid <= known.uid

        people = Membership(config, database, now)
        # Who is in the config and has never been sent to is a member all the same, and may leave.
        people.synchronise()
        written = [mailing_list.from_, *([mailing_list.reply_to] if mailing_list.reply_to else [])]
        own = [Address(mailbox(each).address) for each in written]
        own += [mailing_list.bounces] if mailing_list.bounces else []
        return cls(people, config.mailbox, config.authserv_id, tuple(own), has_read)


class Answering:
    """The desks of one mailbox."""

    def __init__(self, desks: Sequence[CommandDesk], now: Callable[[], datetime]):
        self._desks = desks
        self._now = now

    def leave(self, at: Position, raw: bytes) -> Handled | None:
        """Takes what List-Unsubscribe has mail programs write, or their servers, which may say what they are."""
        token = commands.token_alone(raw)
        for desk in self._desks if token else ():
            if member := desk.people.member(Purpose.UNSUBSCRIBE, token or ""):
                asked = Asked(member.address, "", "", Request(Command.UNSUBSCRIBE))
                case = _Case(desk, at, _kind(raw), self._now(), asked)
                return case.repeated() if desk.has_read(at) else case.proved(member)
        return None

    def take(self, at: Position, raw: bytes) -> Handled | None:
        """Takes commands and votes; None for everything else, and for what must not be answered. Raises StoreError."""
        if not self._desks:
            return None
        today = local_day(self._desks[0].people.list, self._now())
        boxes = [desk.address for desk in self._desks]
        own = [address for desk in self._desks for address in desk.own]
        found = commands.read(raw, boxes, own, [desk.list_id for desk in self._desks], today)
        if not found or read_report(raw).sort is not Sort.OTHER:
            return None
        message, asked = found
        proof = self._proof(asked)
        named = proof.desk if proof else self._named(asked)
        desk = named or self._desks[0]
        asked = replace(asked, tokens=(proof.token,)) if proof else asked
        case = _Case(desk, at, _kind(raw, asked.message_id), self._now(), asked)
        if desk.has_read(at):
            return case.repeated()
        if proof:
            return case.proved(proof.member)
        return case.unproved(message) if named else case.told_of([each.people for each in self._desks])

    def _proof(self, asked: Asked) -> _Proof | None:
        """The first of its tokens that is good for what is asked."""
        if not asked.request:
            return None
        purpose = {Command.UNSUBSCRIBE: Purpose.UNSUBSCRIBE, **dict.fromkeys(VOTES, Purpose.VOTE)}
        wanted = purpose.get(asked.request.command)
        for token in asked.tokens:
            for desk in self._desks:
                people = desk.people
                member = people.member(wanted, token) if wanted else None
                if not member and (member_id := people.tokens.confirmed(token, self._now())) is not None:
                    member = people.members.get(member_id)
                if member:
                    return _Proof(desk, member, token)
        return None

    def _named(self, asked: Asked) -> CommandDesk | None:
        """The list that is meant: named, or the only one; None where it may be any of several."""
        name = asked.list_id or (asked.request and asked.request.list_id)
        written_to = [desk for desk in self._desks if without_plus(desk.address)[0] in asked.to]
        meant = [desk for desk in self._desks if desk.list_id == name] if name else written_to or self._desks
        return meant[0] if len(meant) == 1 else None


@dataclass(frozen=True, slots=True)
class _Proof:
    """A token, and whose it is."""

    desk: CommandDesk
    member: Member
    token: str


def _kind(raw: bytes, message_id: str = "") -> str:
    """Under which an answer is kept: the same message gives the same."""
    return f"answer {hashlib.sha256(message_id.encode() or raw).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class _Case:
    """One message to one list, and what is done about it."""

    desk: CommandDesk
    at: Position
    kind: str
    """Of the letter that answers it."""
    now: datetime
    asked: Asked

    def proved(self, member: Member) -> Handled:
        """Does what a member asks."""
        people, request = self.desk.people, self.asked.request
        if self._is_answered(member):
            return self.repeated()
        if request and request.command is Command.CONFIRM:
            return self._confirmed(member)
        if request and request.command is Command.UNSUBSCRIBE:
            return self._unsubscribed(member)
        if not (request and member.is_active) or request.command in _TELLING or _only_asks(request):
            return self._told(member, self.kind, ANSWERED_FOR)
        if request.paper:
            people.vote(member, request.paper, Ballot(request.command))
            return self._done(member)
        chosen = people.choose(member, _changed(people, member.preferences, request)) or member
        text = replies.changed(people.language(chosen.preferences), people.list, str(request), chosen.preferences)
        self._write(self.kind, member, text, ANSWERED_FOR)
        return self._done(member)

    def unproved(self, message: Message) -> Handled:
        """Does what needs no proof, and what our own server vouches for; asks for a proof of everything else."""
        people, request, sender = self.desk.people, self.asked.request, self.asked.sender
        command = request.command if request else None
        member = people.members.find(sender)
        if request and command is Command.SUBSCRIBE:
            topics = named_topics(people.topics, request.topics)
            return self._asked_to_join(Preferences(self.asked.name, Profile(topics)))
        if command is Command.CONFIRM and member and member.subscription is Subscription.UNCONFIRMED:
            return self._asked_to_join(member.preferences)  # her token is too old: here is another
        if not member or not member.is_active:
            return self._told(self._stranger(), SIGN_UP, ONE_LETTER_IN)
        is_hers = is_authentic(message, self.desk.authserv_id, sender.rpartition("@")[2])
        if is_hers and command is not Command.CONFIRM:
            return self.proved(member)
        if not request or command in _TELLING or _only_asks(request):
            return self._told(member, COMMAND, ONE_LETTER_IN)
        return self._asked_to_confirm(member, request)

    def told_of(self, lists: Sequence[Membership]) -> Handled:
        """It may be for any of several lists: says how to name one."""
        return self._told(self._stranger(), SIGN_UP, ONE_LETTER_IN, lists)

    def repeated(self) -> Handled:
        """It was dealt with before."""
        return Handled(self.at.uid, Fate.REPEATED, list_id=self.desk.list_id)

    def _confirmed(self, member: Member) -> Handled:
        """Each token counts once: read again after she has left, it must not bring her back."""
        people, token = self.desk.people, self.asked.tokens[0]
        if member.is_reached:
            return self.repeated()
        if people.letters.written(signed_at(token) - SECOND, member.address, WELCOME):
            return self._asked_to_join(member.preferences)
        people.confirm(token)
        return self._done(member)

    def _unsubscribed(self, member: Member) -> Handled:
        people = self.desk.people
        people.unsubscribe(member)
        text = replies.goodbye(people.language(member.preferences), people.list, self.desk.address)
        self._write(self.kind, member, text, ANSWERED_FOR)
        return self._done(member)

    def _asked_to_join(self, preferences: Preferences) -> Handled:
        sender = self.asked.sender
        if self._is_flooded(sender, SIGN_UP) or not self.desk.people.ask(sender, preferences, self.asked.message_id):
            return self._handled(Fate.LIMITED, sender, _LIMITED)
        return self._handled(Fate.ASKED, sender, f"asked {sender} to confirm")

    def _asked_to_confirm(self, member: Member, request: Request) -> Handled:
        people, sender = self.desk.people, self.asked.sender
        token = people.tokens.sign_confirmation(member.id, self.now)
        text = replies.confirm(people.language(member.preferences), people.list, str(request), token)
        if not self._write(COMMAND, member, text, ONE_LETTER_IN, request.command):
            return self._handled(Fate.LIMITED, sender, _LIMITED)
        return self._handled(Fate.ASKED, sender, f"asked {sender} to confirm")

    def _told(self, to: Member, kind: str, every: timedelta, lists: Sequence[Membership] = ()) -> Handled:
        """A letter that changes nothing: which commands there are, what she follows, or that she gets nothing."""
        people, request = self.desk.people, self.asked.request
        language, reply_to = people.language(to.preferences), ""
        if lists or not request or request.command is Command.HELP or (to.is_active and request.command in _TELLING):
            named = [each.list for each in lists or [people]]
            text = replies.help_(language, named, self.desk.address, puzzled=request is None)
        elif to.is_active and _only_asks(request):
            token = people.tokens.sign_confirmation(to.id, self.now)
            text, reply_to = replies.followed(language, people.list, to.preferences, people.topics, token), "topics"
        else:
            text = replies.stranger(language, people.list, self.desk.address)
        if not self._write(kind, to, text, every, reply_to):
            return self._handled(Fate.LIMITED, to.address, _LIMITED)
        return self._handled(Fate.ANSWERED, to.address, f"answered {to.address}")

    def _write(self, kind: str, to: Member, text: Text, every: timedelta, reply_to: str = "") -> bool:
        """A letter to her; False where she had one, or too many."""
        answered = self.asked.message_id if self.asked.sender == to.address else ""
        return not self._is_flooded(to.address, kind) and self.desk.people.write(
            kind, to, text, reply_to, in_reply_to=answered, every=every
        )

    def _is_flooded(self, address: Address, kind: str) -> bool:
        letters, since = self.desk.people.letters, self.now - timedelta(hours=1)
        if letters.written(since, address) >= MOST_AN_HOUR:
            return True
        return kind == SIGN_UP and letters.written(since, kind=SIGN_UP) >= MOST_STRANGERS_AN_HOUR

    def _is_answered(self, member: Member) -> bool:
        return self.desk.people.letters.written(self.now - ANSWERED_FOR, member.address, self.kind) > 0

    def _stranger(self) -> Member:
        """The sender, of whom the list knows nothing but the address."""
        return Member(
            NOBODY, self.desk.list_id, self.asked.sender, Preferences(), Subscription.UNCONFIRMED,
            listed=False, signed_up=False, has_chosen=False,
        )  # fmt: skip

    def _done(self, member: Member) -> Handled:
        return self._handled(Fate.DONE, member.address, str(member.address))

    def _handled(self, fate: Fate, address: Address, said: str) -> Handled:
        told = f"{self.asked.request or 'not understood'}: {said}"
        return Handled(self.at.uid, fate, list_id=self.desk.list_id, address=address, told=told)


_TELLING = frozenset({Command.HELP, Command.SUBSCRIBE, Command.CONFIRM})
"""What a member is told the commands for: she is subscribed."""
_LIMITED = "not written to: too many letters within the hour"


def _only_asks(request: Request) -> bool:
    """Whether it wants to be told what she follows, and changes nothing."""
    return request.command is Command.TOPICS and not request.topics


def _changed(people: Membership, now: Preferences, request: Request) -> Preferences:
    """Her preferences after a command."""
    match request.command:
        case Command.TOPICS:
            return replace(now, profile=replace(now.profile, topics=named_topics(people.topics, request.topics)))
        case Command.PAUSE:
            return replace(now, paused_until=request.until)
        case Command.RESUME:
            return replace(now, paused_until=None)
    return replace(now, frequency=Frequency(request.command))
