"""What a message asks for: bytes in, `Asked` out. Decides nothing: `mailroom/answering.py` asks for proof, and does it.

    subscribe [LIST:] [topic, topic]      topics              pause until 2026-07-01    daily     more PAPER
    unsubscribe [LIST]                    topics: this, that  pause 2 weeks             weekly    less PAPER
    help [LIST]                           resume              (confirm)                 monthly   save PAPER

The command stands in the address (`digest+help@`, `digest+subscribe-LIST@`; RFC 5233), else in the subject, else in the
first line; a token in the subject. To an address without a plus, which may be somebody's own, only a whole command is
one: all other mail there is its owner's. In a reply to a letter of ours that ends in `[TOKEN]`, the command stands
before it and any words before that, whatever their language, are passed over. "Re:" and its like are passed over.

Pure. Words that strangers choose come back to others in letters, so no address of the web or of mail stays in them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from email.message import Message
from enum import StrEnum

from digest.mime import parsed
from digest.model import Address, ListId, PaperId
from digest.render.text import clip, plain
from digest.subscribe import incoming
from digest.subscribe.values import WrongValue, paper_id

log = logging.getLogger("digest.commands")

MOST_TOPICS = 20
TOPIC_LENGTH = 100
NAME_LENGTH = 60
_MOST_TOKENS = 3


class Command(StrEnum):
    """What can be asked for by mail."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    CONFIRM = "confirm"
    TOPICS = "topics"
    HELP = "help"
    PAUSE = "pause"
    RESUME = "resume"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    MORE = "more"
    LESS = "less"
    SAVE = "save"


VOTES = (Command.MORE, Command.LESS, Command.SAVE)
_VOTE = "vote"
_PLACES = frozenset({*Command, _VOTE})


@dataclass(frozen=True, slots=True)
class Request:
    """A command and what belongs to it."""

    command: Command
    topics: tuple[str, ...] = ()
    until: date | None = None
    """The day of a pause's end."""
    paper: PaperId | None = None
    list_id: ListId | None = None
    """The list that was named."""

    def __str__(self) -> str:
        """The command as it is written; read again, it is the same."""
        if self.until:
            return f"{self.command} until {self.until}"
        if self.topics:
            return f"{self.command}: {', '.join(self.topics)}"
        return f"{self.command} {self.paper}" if self.paper else str(self.command)


@dataclass(frozen=True, slots=True)
class Asked:
    """A message to one of the lists, and what it asks for."""

    sender: Address
    name: str
    message_id: str
    """With its angle brackets; empty where there is none."""
    request: Request | None
    """None: it was written to an address for commands, and is not understood."""
    tokens: tuple[str, ...] = ()
    """What looks like ours, unverified."""
    list_id: ListId | None = None
    """The list that its address names."""
    to: frozenset[str] = frozenset()
    """The mailboxes to which it was written, without what stands behind a plus."""


_TOKEN = re.compile(r"\[?(?<![\w.-])((?:0|[1-9][0-9]{0,18})\.(?:[1-9][0-9]{0,10}\.)?[A-Za-z0-9_-]{24})(?![\w-])\]?")


def token_alone(raw: bytes) -> str | None:
    """The token that is all of a message's subject: what List-Unsubscribe has mail programs write, or their servers."""
    try:
        found = _TOKEN.fullmatch(incoming.field(parsed(raw), "Subject"))
    except Exception as error:  # as in `read`
        log.debug("not a message that can be read: %r", error)
        return None
    return found[1] if found and not found[0].startswith("[") else None


def read(
    raw: bytes, mailboxes: Collection[Address], own: Collection[Address], lists: Collection[ListId], today: date
) -> tuple[Message, Asked] | None:
    """The message and what it asks for; None where it is nothing to us, or must not be answered. No bytes make it fail.

    `mailboxes` receive commands; mail from those and from `own` is never answered.
    """
    try:
        return _read(raw, mailboxes, own, lists, today)
    except Exception as error:  # the email package raises a dozen kinds of error for what is no message
        log.debug("not a message that can be read: %r", error)
        return None


def _read(
    raw: bytes, mailboxes: Collection[Address], own: Collection[Address], lists: Collection[ListId], today: date
) -> tuple[Message, Asked] | None:
    message = parsed(raw)
    bases = {incoming.without_plus(address)[0] for address in mailboxes}
    if not (found := incoming.sender(message)):
        return None
    name, address = found
    if incoming.is_a_programs(message, address, bases | {incoming.without_plus(each)[0] for each in own}):
        return None
    grammar = _Grammar(lists, today)
    to = [split for each in incoming.recipients(message) if (split := incoming.without_plus(each))[0] in bases]
    place, list_id = next((there for _, added in to if (there := grammar.place(added))), (None, None))
    subject = incoming.field(message, "Subject")
    tokens = tuple(match[1] for match in _TOKEN.finditer(subject))[:_MOST_TOKENS]
    request = grammar.request(place, _TOKEN.sub(" ", subject), incoming.lines(message), tokens)
    if not request and not place:
        return None
    identity = re.fullmatch(r"<[!-;=?-~]{1,250}>", incoming.field(message, "Message-ID"))
    shown = clip(_harmless(name) or "", NAME_LENGTH)
    addressed = frozenset(base for base, _ in to)
    return message, Asked(address, shown, identity[0] if identity else "", request, tokens, list_id, addressed)


_PREFIX = re.compile(r"(?:(?:re|aw|fwd?|wg|tr|sv|vs|antw|rif|res|odp)(?:\[\d+\])?\s*:\s*)+", re.I)
_LABEL = re.compile(r"[^:]{0,80}:\s*")
_DATE = re.compile(r"(?:until\s+)?(\d{4}-\d{2}-\d{2})", re.I)
_SPAN = re.compile(r"(?:for\s+)?(\d{1,3}|an?|one)\s+(day|week|month)s?", re.I)
_DAYS = {"day": 1, "week": 7, "month": 30}
_PAPER = re.compile(r"(?:arxiv|doi|title|url):[!-~]{1,290}")


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Reads commands in lists' names, on a day."""

    lists: Collection[ListId]
    today: date

    def place(self, added: str) -> tuple[str, ListId | None] | None:
        """What stands behind a plus: a command, and the list if it is named; None for anything else, such as a tag."""
        word, _, name = added.partition("-")
        named = self._named(name)
        return (word, named) if word in _PLACES and (named or not name) else None

    def request(self, place: str | None, subject: str, written: Sequence[str], tokens: Sequence[str]) -> Request | None:
        """What is asked for, by the place, the subject without tokens, and the lines that were written."""
        subject = _PREFIX.sub("", subject.strip(), count=1).strip()
        if tokens:
            return self._answer(place, subject, written, is_timed=tokens[0].count(".") == 2)
        said = self.command(subject)
        if said and place in (None, _VOTE, Command.CONFIRM, said.command):
            return said
        first = self.command(written[0]) if written else None
        if place is None:
            # Of a text that goes on, the first words are no command.
            return first if first and (not subject or not first.topics) else None
        if first and first.command == place:
            return first
        alone = place in _PLACES - {_VOTE, Command.CONFIRM, Command.PAUSE, *VOTES}
        return Request(Command(place)) if alone else None

    def _answer(self, place: str | None, subject: str, written: Sequence[str], *, is_timed: bool) -> Request | None:
        """What is asked for with a token, whose form is that of one that confirms, or the others'."""
        said = self.command(subject)
        while not said and (label := _LABEL.match(subject)):
            subject = subject[label.end() :]
            said = self.command(subject)
            said = said if said and place in (None, said.command) else None
        if place == Command.TOPICS and not (said and said.topics):
            return Request(Command.TOPICS, _topics(written))
        if said:
            return said
        if place == Command.UNSUBSCRIBE or (place is None and not subject and not is_timed):
            return Request(Command.UNSUBSCRIBE)
        return Request(Command.CONFIRM) if place in (None, Command.CONFIRM) and is_timed else None

    def command(self, text: str) -> Request | None:
        """The command that the whole text is; None for anything else."""
        found = re.fullmatch(r"([a-z]+)(\s*:|(?=\s)|[.!]?$)\s*(.*)", text.strip(), re.I | re.S)
        if not found or (word := found[1].lower()) not in frozenset(Command):
            return None
        command, has_colon = Command(word), ":" in found[2]
        list_id, rest, is_marked = (None, found[3].strip(), True) if has_colon else self._list_of(found[3].strip())
        plainly = Request(command, list_id=list_id)
        match command:
            case Command.SUBSCRIBE:
                return replace(plainly, topics=_topics([rest]))
            case Command.TOPICS:
                return replace(plainly, topics=_topics([rest])) if is_marked or not rest else None
            case Command.PAUSE:
                until = self._until(rest)
                return replace(plainly, until=until) if until else None
            case Command.MORE | Command.LESS | Command.SAVE:
                paper = _paper(rest)
                return replace(plainly, paper=paper) if paper else None
        return plainly if not rest.strip(".!") else None

    def _list_of(self, rest: str) -> tuple[ListId | None, str, bool]:
        """The list that the words begin with, the words behind it, and whether a colon stands between."""
        first, _, behind = rest.partition(" ")
        named = self._named(first.rstrip(":."))
        is_marked = first.endswith(":")
        if named and (is_marked or not behind or re.match(r"until|for|\d", behind)):
            return named, behind.strip(), is_marked
        return None, rest, False

    def _named(self, name: str) -> ListId | None:
        return next((each for each in self.lists if name and each.casefold() == name.casefold()), None)

    def _until(self, text: str) -> date | None:
        """The day that a pause ends; None where it is not to come."""
        text = text.rstrip(".! ")
        day = None
        if found := _DATE.fullmatch(text):
            try:
                day = date.fromisoformat(found[1])
            except ValueError:
                return None
        elif found := _SPAN.fullmatch(text):
            number = int(found[1]) if found[1].isdigit() else 1
            day = self.today + timedelta(days=number * _DAYS[found[2].lower()])
        return day if day and day > self.today else None


def _topics(written: Sequence[str]) -> tuple[str, ...]:
    words = (_harmless(word) for line in written for word in re.split(r"[,;]", line))
    return tuple(dict.fromkeys(clip(word, TOPIC_LENGTH) for word in words if word))[:MOST_TOPICS]


def _harmless(text: str) -> str | None:
    """The text as one line; None where it could lead somebody somewhere, or would be read as a token."""
    text = plain(re.sub(r"[\[\]<>]", " ", text)).lstrip("-*•·").strip()
    leads = re.search(r"://|www\.|@|\b[\w-]+\.(?:com|net|org|info|io|ru|cn|xyz|top|link|site)\b", text, re.I)
    return None if leads or _TOKEN.search(text) else text


def _paper(text: str) -> PaperId | None:
    try:
        return paper_id(text)
    except WrongValue:
        return PaperId(text) if _PAPER.fullmatch(text) else None
