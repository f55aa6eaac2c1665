"""The one set of rules by which people join a list, choose, vote and leave, by mail and by web alike.

| what comes                       | proof                            | what it does                                 |
|----------------------------------|----------------------------------|----------------------------------------------|
| a request to subscribe           | none                             | a letter with a token, at most one an        |
|                                  |                                  | address and hour; nothing else               |
| the letter's token               | within 72 h: the address is hers | confirmed; ends suppression and erasure      |
| unsubscribe, preferences, a vote | its token, or mail proved hers   | done at once; the same again changes nothing |
| export, erase                    | her preferences' token           | done at once                                 |
| a name in the config, `digest    | whoever runs the list answers    | confirmed; but never who has unsubscribed,   |
| subscribers add` or `import`     | for her consent                  | was erased, or whose address is suppressed   |

Whoever asks learns nothing of who is subscribed: the answer is the same, and what there is to say goes to the address.
`subscribe/commands.py` and the pages read what was asked; they decide nothing. `app.py` sends the letters.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from digest.errors import ConfigError
from digest.members import (
    Admission,
    Ballot,
    CastVote,
    Entry,
    Member,
    Preferences,
    Standing,
    Subscription,
    admission,
)
from digest.model import NOBODY, Address, Paper, PaperId, Profile, Subscriber, SubscriberId, Topic
from digest.render.language import Language, language_of
from digest.render.message import mailbox
from digest.settings import ListConfig
from digest.store import Database, Letters, Members, Papers, Reader, Secrets, Subscribers
from digest.store.members import hash_of
from digest.store.secrets import ERASURE_KEY
from digest.subscribe import letters
from digest.subscribe.letters import Headers, Text
from digest.subscribe.links import confirmation_page, list_links, mail_to
from digest.subscribe.tokens import Purpose, Tokens
from digest.timing import local_day
from digest.ways_out import signer

ONE_LETTER_IN = timedelta(hours=1)
"""How often an address is written to at the request of somebody who has proved nothing."""
ONCE = timedelta(days=36_500)
NAMED = 5
"""How many of the subscribers an error names, where it is told of one that there is not."""
SIGN_UP, WELCOME, INVITATION = "sign-up", "welcome", "invitation"
"""Kinds of letters."""


class Membership:
    """One list's members, and the rules for them."""

    def __init__(self, config: ListConfig, database: Database, now: Callable[[], datetime]):
        self.list = config.mailing_list
        self.topics = config.topics
        self.members = Members(database, self.list.id)
        self.letters = Letters(database, self.list.id)
        self._subscribers = Subscribers(database)
        self._papers = Papers(database)
        self._config = config
        self._now = now
        self._secrets = Secrets(database, now)

    @cached_property
    def tokens(self) -> Tokens:
        """The list's signatures."""
        return Tokens(self._secrets.signing_keys(self._config.keys), self.list.id)

    def language(self, preferences: Preferences) -> Language:
        """Hers, or the list's."""
        return language_of(preferences.language or self.list.language)

    @property
    def today(self) -> date:
        """The day it is where the list is."""
        return local_day(self.list, self._now())

    def configured(self) -> Iterator[Subscriber]:
        """The config's people, without those who were erased; their ids are the store's to give."""
        was_erased = self.was_erased()
        return (
            Subscriber(NOBODY, s.address, s.name, s.timezone, s.profile, s.language, s.frequency, s.hour)
            for s in self._config.subscribers
            if not was_erased(s.address)
        )

    def synchronise(self) -> None:
        """Makes the config's people the listed ones."""
        self._subscribers.synchronise(self.list.id, self.configured())

    def people(self, only: Collection[str] = ()) -> tuple[Subscriber, ...]:
        """Whom the next edition is for, or those of them whose address is asked for; nothing is kept.

        The config's subscribers and who signed up, as an edition that is made now would know them: with their votes,
        and with what they chose themselves. Whom the store does not know has no id yet. Raises ConfigError for a
        stranger.
        """
        departed = self._subscribers.departed(self.list.id)
        people = {key: s for s in self.configured() if (key := s.address.casefold()) not in departed}
        for some in self._subscribers.readers(self.list.id, only):
            for reader in some:
                key = reader.subscriber.address.casefold()
                if person := as_sent_to(reader, people.get(key)):
                    people[key] = person
        if not only:
            return tuple(people.values())
        self._refuse_strangers(only, people, [s.address for s in people.values()][:NAMED])
        return tuple(people[address.casefold()] for address in only)

    def addresses(self, only: Collection[str]) -> tuple[Address, ...]:
        """The addresses that were asked for, as the store has them. Raises ConfigError for a stranger."""
        if not only:
            return ()
        found = {s.address.casefold(): s.address for s in self._subscribers.reachable(self.list.id, only)}
        self._refuse_strangers(only, found, self._subscribers.some_reachable(self.list.id, NAMED))
        return tuple(found.values())

    def _refuse_strangers(self, only: Collection[str], known: Collection[str], some: Sequence[Address]) -> None:
        if strangers := [address for address in only if address.casefold() not in known]:
            named = ", ".join(some) or "nobody"
            raise ConfigError(
                f"{self._config.path}: {', '.join(strangers)} is not a subscriber who may be sent to; {named} is"
            )

    def enrol(self, people: Iterable[Entry], *, keep: bool = True) -> Counter[Admission]:
        """Puts people on the list for whose consent whoever runs it answers: all of them, or nobody if this raises.

        Without `keep`, only tells what would become of them. Each address may be there once.
        """
        entries = (replace(each, preferences=self._interested(each.preferences)) for each in people)
        return self.members.enrol(entries, self.was_erased(), self._now(), keep=keep)

    def invite(self, address: Address, preferences: Preferences) -> Admission | None:
        """Asks an address whether it wants the list, once and never again: for whoever runs the list.

        None where a letter was written; else why not. She may have unsubscribed or been erased: it is hers to confirm.
        """
        known = self.members.known(address)
        if known.is_active or known.suppressed:
            return admission(Standing.CONFIRMED, known)
        return None if self._ask(address, preferences, INVITATION, ONCE) else Admission.LEFT_OUT

    def ask(self, address: Address, preferences: Preferences, in_reply_to: str = "") -> bool:
        """Somebody wants to be subscribed, or says so: the address is asked. Whether a letter was written.

        Preferences without any interest mean all of the list's topics; of somebody who was a member, what she had: she
        was told that it is kept, and anybody may ask in her name.
        """
        member = self.members.find(address)
        if member is not None and member.is_reached:
            text = letters.subscribed_already(self.language(member.preferences), self.list, self.page(member))
            return self.write(SIGN_UP, member, text, in_reply_to=in_reply_to, every=ONE_LETTER_IN)
        if member is not None and member.subscription is not Subscription.UNCONFIRMED:
            preferences = _again(member.preferences, preferences)
        return self._ask(address, preferences, SIGN_UP, ONE_LETTER_IN, in_reply_to)

    def _ask(
        self, address: Address, preferences: Preferences, kind: str, every: timedelta, in_reply_to: str = ""
    ) -> bool:
        member = self.members.add(address, self._interested(preferences), self._now())
        token = self.tokens.sign_confirmation(member.id, self._now())
        page = confirmation_page(self.list, token)
        # Words that anybody may have written are on the page: in a letter of ours they would be read as our own.
        topics = [topic.name for topic in member.preferences.profile.topics if not page or topic in self.topics]
        by_reply, language = self._config.inbox is not None, self.language(member.preferences)
        text = letters.confirmation(language, self.list, page, token, topics, by_reply=by_reply)
        return self.write(kind, member, text, "confirm", in_reply_to=in_reply_to, every=every)

    def confirm(self, token: str) -> Member | None:
        """The address is hers, and she wants the list. None for a token that is not ours, or too old."""
        member_id = self.tokens.confirmed(token, self._now())
        before = self.members.get(member_id) if member_id is not None else None
        if before is None:
            return None
        if before.is_reached:
            return before
        member = self.members.confirm(before.id, self._now())
        if member is None:
            return None
        self._forgive(member.address)
        topics = [topic.name for topic in member.preferences.profile.topics]
        text = letters.welcome(self.language(member.preferences), self.list, self.page(member), topics)
        self.write(WELCOME, member, text)
        return member

    def member(self, purpose: Purpose, token: str) -> Member | None:
        """Whose token it is; None for everything that proves nothing, and for whoever was erased."""
        member_id: SubscriberId | None = self.tokens.verify(purpose, token)
        return self.members.get(member_id) if member_id is not None else None

    def unsubscribe(self, member: Member) -> bool:
        """Ends her subscription; False where it had ended."""
        return self.members.unsubscribe(member.id)

    def choose(self, member: Member, preferences: Preferences) -> Member | None:
        """Her preferences from now on. Without any interest they mean all of the list's topics."""
        return self.members.choose(member.id, self._interested(preferences))

    def learn_from(self, member: Member, papers: Sequence[Paper]) -> int:
        """More like these, from now on: her examples, beside those that she has. How many are new."""
        self._papers.keep(papers)
        profile = member.preferences.profile
        examples = tuple(dict.fromkeys((*profile.examples, *(paper.id for paper in papers))))
        self.choose(member, replace(member.preferences, profile=replace(profile, examples=examples)))
        return len(examples) - len(profile.examples)

    def vote(self, member: Member, paper_id: PaperId, ballot: Ballot) -> bool:
        """Her last word on a paper; False where she had said so."""
        return self.members.vote(member.id, CastVote(paper_id, ballot, self._now()))

    def held(self, member: Member) -> dict[str, Any]:
        """Everything that is held about her, as plain JSON values."""
        return self.members.held(member)

    def erase(self, member: Member) -> None:
        """Forgets her; the config and imports do not bring her back, she herself may come again."""
        self.members.erase(member, self._secrets.get_or_create(ERASURE_KEY), self._now())

    def was_erased(self) -> Callable[[Address], bool]:
        """Tells of an address whether it was erased by now, and must be neither imported nor taken from the config."""
        key, erased = self._secrets.get(ERASURE_KEY), self.members.erased()
        return lambda address: key is not None and bool(erased) and hash_of(address, key) in erased

    def page(self, member: Member) -> str:
        """The address of her preferences; empty where the list has no pages."""
        links = list_links(self.list, lambda: self.tokens, None)
        return links.reader(member.as_subscriber()).preferences

    def write(
        self,
        kind: str,
        member: Member,
        text: Text,
        reply_to: str = "",
        *,
        in_reply_to: str = "",
        every: timedelta | None = None,
    ) -> bool:
        """Puts a letter to her among those to be sent; `reply_to` is what the mailbox is to do with an answer.

        With `every`, unless the address had one of this kind within that time. Whether it was put.
        """
        domain = mailbox(self.list.from_).domain
        box = self._config.mailbox
        own = Address(mailbox(self.list.reply_to).address) if self.list.reply_to else None
        headers = Headers(
            member.address,
            member.preferences.name,
            f"<{secrets.token_hex(16)}@{domain}>",
            self._now(),
            mail_to(box, reply_to) if box and reply_to else box or own,
            in_reply_to,
        )
        message = letters.wire_form(self.list, headers, text, signer(self._config))
        return self.letters.put(kind, member.address, message, self._now(), every)

    def _interested(self, preferences: Preferences) -> Preferences:
        """With all of the list's topics, where no interest is named."""
        if preferences.profile == Profile():
            return replace(preferences, profile=Profile(self.topics))
        return preferences

    def _forgive(self, address: Address) -> None:
        if (key := self._secrets.get(ERASURE_KEY)) is not None:
            self.members.forgive(address, key)


def as_sent_to(reader: Reader, configured: Subscriber | None) -> Subscriber | None:
    """How an edition knows her whom the config has so, or not at all, as `synchronise` would leave her.

    The config's word is good until she has chosen herself; her votes count in any case. None: she is not on the list.
    """
    kept = reader.subscriber
    if configured is None:
        return kept if reader.has_signed_up else None
    if reader.has_chosen:
        return replace(kept, address=configured.address)
    profile = replace(configured.profile, liked=kept.profile.liked, disliked=kept.profile.disliked)
    return replace(configured, id=kept.id, profile=profile)


def _again(kept: Preferences, wish: Preferences) -> Preferences:
    """What somebody gets who comes back: what she chose, but for what is asked for now, and without a pause."""
    profile = replace(kept.profile, topics=wish.profile.topics or kept.profile.topics)
    return replace(kept, name=wish.name or kept.name, profile=profile, paused_until=None)


def named_topics(topics: Sequence[Topic], wanted: Sequence[str]) -> tuple[Topic, ...]:
    """What somebody follows who wrote these words: the list's topics by their names, all else as topics of her own."""
    by_name = {topic.name.casefold(): topic for topic in topics}
    words = [" ".join(each.split()) for each in wanted]
    found = (by_name.get(each.casefold()) or by_name.get(each.casefold().replace(" ", "-")) or Topic(each, each)
             for each in words if each)  # fmt: skip
    return tuple(dict.fromkeys(found))
