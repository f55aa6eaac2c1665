"""The rules of joining, choosing, voting and leaving, over a real store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from digest.members import Ballot, Member, Preferences, Subscription
from digest.membership import Membership, named_topics
from digest.model import Address, ListId, PaperId, Profile, Topic
from digest.settings import load
from digest.store import Database, Editions, Members, Subscribers, open_database
from digest.subscribe.tokens import Purpose
from tests.factories import NOW, TODAY, report, subscriber
from tests.lists import write_list
from tests.render_samples import read

ADA = Address("ada@example.org")
VIDEO = Preferences(name="Ada", profile=Profile((Topic("video", "video"),)))
HOUR = timedelta(hours=1)


class World:
    """A list, its store and a clock."""

    def __init__(self, folder: Path, database: Database, extra: str = ""):
        self.now: datetime = NOW
        self.database = database
        config = load([write_list(folder, readers=1, extra=extra)]).lists[0]
        self.people = Membership(config, database, lambda: self.now)

    def letters(self) -> list[EmailMessage]:
        """All letters that are due, as they would be read; they count as sent."""
        found = self.people.letters.claim(self.now)
        for letter in found:
            self.people.letters.settle(letter, "250 Ok", None)
        return [read(letter.message) for letter in found]

    def token(self) -> str:
        """The token of the one confirmation that is due."""
        (letter,) = self.letters()
        found = re.search(r"\[(\S+)\]", str(letter["Subject"]))
        assert found
        return found[1]

    def join(self, address: Address = ADA, preferences: Preferences = VIDEO) -> Member:
        """Somebody who has asked and confirmed."""
        self.people.ask(address, preferences)
        member = self.people.confirm(self.token())
        assert member
        self.letters()
        return member

    def reachable(self) -> list[Address]:
        return [s.address for s in Subscribers(self.database).reachable(self.people.list.id)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    yield World(tmp_path, database, '\n[mailbox]\naddress = "lab@example.org"\nhost = "127.0.0.1"\npassword = "x"\n')
    database.close()


def test_asking_alone_subscribes_nobody(world: World) -> None:
    """Until the letter's token comes back, nothing is sent but that letter."""
    assert world.people.ask(ADA, VIDEO)
    assert world.reachable() == []
    member = world.people.confirm(world.token())
    assert member is not None
    assert (member.subscription, member.address, member.preferences) == (Subscription.CONFIRMED, ADA, VIDEO)
    assert world.reachable() == [ADA]
    (welcome,) = world.letters()
    assert "Welcome" in str(welcome["Subject"])


def test_a_letter_says_that_a_program_wrote_it_and_where_an_answer_goes(world: World) -> None:
    """Other programs do not answer (RFC 3834); a person's answer reaches the mailbox with its purpose."""
    world.people.ask(ADA, VIDEO, in_reply_to="<1@example.org>")
    (letter,) = world.letters()
    assert letter["Auto-Submitted"] == "auto-replied"
    assert letter["In-Reply-To"] == letter["References"] == "<1@example.org>"
    assert letter["Reply-To"] == "lab+confirm@example.org"
    assert letter["To"] == "Ada <ada@example.org>"
    assert "reply to this message" in letter.get_content()


def test_a_reply_is_asked_for_only_where_one_is_read(tmp_path: Path) -> None:
    """With pages and no mailbox there is the page alone."""
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    config = load([write_list(tmp_path, readers=1)]).lists[0]
    with_pages = replace(
        config,
        mailing_list=replace(
            config.mailing_list, base_url="https://digest.example.org", reply_to="Ed <editor@example.org>"
        ),
    )
    people = Membership(with_pages, database, lambda: NOW)
    people.ask(ADA, VIDEO)
    (letter,) = people.letters.claim(NOW)
    database.close()
    text = read(letter.message).get_content()
    assert "https://digest.example.org/confirm/lab/" in text
    assert "reply" not in text
    assert read(letter.message)["Subject"] == "Confirm your subscription to Lab"
    assert read(letter.message)["Reply-To"] == "editor@example.org", "where an answer to any email of the list goes"


def test_a_confirmation_holds_for_72_hours(world: World) -> None:
    """A second later it does nothing."""
    world.people.ask(ADA, VIDEO)
    token = world.token()
    world.now += timedelta(hours=72, seconds=1)
    assert world.people.confirm(token) is None
    world.now -= timedelta(seconds=1)
    assert world.people.confirm(token) is not None


def test_confirming_twice_is_confirming_once(world: World) -> None:
    """The second time changes nothing and writes nothing, also after a change of preferences."""
    world.people.ask(ADA, VIDEO)
    token = world.token()
    assert world.people.confirm(token) == world.people.confirm(token)
    assert len(world.letters()) == 1


def test_an_address_is_asked_once_an_hour(world: World) -> None:
    """However often somebody types it in, and however it is spelt."""
    assert world.people.ask(ADA, VIDEO)
    assert not world.people.ask(Address("Ada@Example.ORG"), VIDEO)
    world.now += HOUR - timedelta(seconds=1)
    assert not world.people.ask(ADA, VIDEO)
    world.now += timedelta(seconds=1)
    assert world.people.ask(ADA, VIDEO)
    assert len(world.letters()) == 2


def test_asking_in_a_members_name_changes_nothing(world: World) -> None:
    """She is told, at most once an hour, and keeps what she has."""
    member = world.join()
    world.now += HOUR
    assert world.people.ask(ADA, Preferences(name="Mallory"))
    (letter,) = world.letters()
    assert "already" in str(letter["Subject"])
    # Also where she became a member just now, between the look and the writing.
    assert world.people.members.add(ADA, Preferences(name="Mallory"), world.now) == member
    assert world.people.members.get(member.id) == member


def test_who_comes_again_has_what_she_chose(world: World) -> None:
    """As she was told when she left; what she asks for now counts, and no pause. That others ask loses nothing."""
    member = world.join()
    hers = Preferences("Ada", Profile(VIDEO.profile.topics, ("Tim Brooks",)), "Asia/Tokyo", "de", hour=7)
    world.people.choose(member, replace(hers, paused_until=date(2030, 1, 1)))
    world.people.unsubscribe(member)
    world.now += HOUR
    world.people.ask(ADA, Preferences())
    back = world.people.confirm(world.token())
    assert back is not None
    assert back.preferences == hers
    world.letters()
    world.people.unsubscribe(member)
    knots = named_topics((), ["knots"])
    world.now += HOUR
    world.people.ask(ADA, Preferences(profile=Profile(knots)))
    back = world.people.confirm(world.token())
    assert back is not None
    assert back.preferences == replace(hers, profile=Profile(knots, ("Tim Brooks",)))


def test_who_is_suppressed_may_come_again(world: World) -> None:
    """She is asked, not told that she gets the list; her yes ends the suppression and changes nothing else."""
    member = world.join()
    Subscribers(world.database).suppress(ADA, "550 5.1.1", world.now)
    world.now += HOUR
    assert world.reachable() == []
    world.people.ask(ADA, Preferences(name="Mallory"))
    back = world.people.confirm(world.token())
    assert back is not None
    assert back.preferences == member.preferences
    assert world.reachable() == [ADA]


def test_an_unsubscribe_wins_over_the_config(world: World) -> None:
    """Who is in the config and has unsubscribed stays so; only her own confirmation brings her back."""
    people = Subscribers(world.database)
    people.synchronise(world.people.list.id, [subscriber(1)])
    (listed,) = world.people.members.all()
    assert world.people.unsubscribe(listed)
    assert not world.people.unsubscribe(listed)
    people.synchronise(world.people.list.id, [subscriber(1)])
    assert world.reachable() == []
    world.join(subscriber(1).address)
    assert world.reachable() == [subscriber(1).address]


def test_signed_up_and_configured_live_side_by_side(world: World) -> None:
    """Neither removes the other; who is in both and leaves the config stays by her sign-up."""
    people, list_id = Subscribers(world.database), world.people.list.id
    people.synchronise(list_id, [subscriber(1)])
    world.join()
    people.synchronise(list_id, [subscriber(1)])
    assert world.reachable() == [subscriber(1).address, ADA]
    people.synchronise(list_id, [subscriber(1, address=ADA)])
    assert world.reachable() == [ADA]
    people.synchronise(list_id, [])
    assert world.reachable() == [ADA]


def test_what_she_chose_wins_over_the_config(world: World) -> None:
    """The config's name and topics do not come back over her own."""
    people, list_id = Subscribers(world.database), world.people.list.id
    people.synchronise(list_id, [subscriber(1)])
    (member,) = world.people.members.all()
    own = replace(member.preferences, name="Countess", language="de", hour=7)
    world.people.choose(member, own)
    people.synchronise(list_id, [subscriber(1)])
    (again,) = world.people.members.all()
    assert (again.preferences, again.listed) == (own, True)


def test_what_a_stranger_typed_does_not_win_over_the_config(world: World) -> None:
    """Preferences are her own once she has confirmed; until then whoever runs the list knows better."""
    people, list_id = Subscribers(world.database), world.people.list.id
    world.people.ask(subscriber(1).address, Preferences(name="Mallory"))
    people.synchronise(list_id, [subscriber(1)])
    (member,) = world.people.members.all()
    assert (member.preferences.name, member.has_chosen) == (subscriber(1).name, False)


def votes(world: World, member: Member) -> None:
    world.people.vote(member, PaperId("arxiv:2606.00001"), Ballot.MORE)
    world.people.vote(member, PaperId("arxiv:2606.00002"), Ballot.LESS)


def chooses(world: World, member: Member) -> None:
    world.people.choose(member, replace(VIDEO, name="Countess", language="de", timezone="Asia/Tokyo"))


def votes_and_chooses(world: World, member: Member) -> None:
    votes(world, member)
    chooses(world, member)


def is_out_of_the_config_for_a_while(world: World, member: Member) -> None:
    votes_and_chooses(world, member)
    Subscribers(world.database).synchronise(world.people.list.id, [])


def does_nothing(_world: World, _member: Member) -> None:
    pass


@pytest.mark.parametrize("what", [does_nothing, votes, chooses, votes_and_chooses, is_out_of_the_config_for_a_while])
def test_a_preview_is_for_the_people_that_the_edition_is_for(
    world: World, what: Callable[[World, Member], None]
) -> None:
    """Who is in the config is known before the send as at it: with her votes, and what she chose over the config's."""
    world.join()
    world.people.synchronise()
    member = next(each for each in world.people.members.all() if each.listed)
    what(world, member)
    before, alone = world.people.people(), world.people.people([member.address.upper()])
    world.people.synchronise()
    sent_to = Subscribers(world.database).reachable(world.people.list.id)
    assert len(sent_to) == 2
    assert sorted(before, key=lambda s: s.id) == list(sent_to)
    assert alone == tuple(s for s in sent_to if s.address == member.address)


def test_who_has_left_the_config_gets_what_she_asks_for(world: World) -> None:
    """She is no member any more, and joins with her wishes of now."""
    people, list_id = Subscribers(world.database), world.people.list.id
    people.synchronise(list_id, [subscriber(1, address=ADA)])
    people.synchronise(list_id, [])
    member = world.join()
    assert (member.preferences, member.has_chosen, member.is_active) == (VIDEO, True, True)


def test_without_interests_she_gets_the_lists_topics(world: World) -> None:
    """Nobody is subscribed to nothing."""
    member = world.join(preferences=Preferences())
    assert [topic.name for topic in member.preferences.profile.topics] == ["video", "proteins"]


def test_votes_are_learned_from_and_the_last_one_counts(world: World) -> None:
    """A vote is in the profile by which she is ranked; saved is liked; the same again changes nothing."""
    member = world.join()
    one, two = PaperId("arxiv:2606.00001"), PaperId("arxiv:2606.00002")
    assert world.people.vote(member, one, Ballot.MORE)
    assert not world.people.vote(member, one, Ballot.MORE)
    assert world.people.vote(member, two, Ballot.SAVE)
    world.now += HOUR
    assert world.people.vote(member, one, Ballot.LESS)
    (person,) = Subscribers(world.database).reachable(world.people.list.id)
    assert [vote.paper_id for vote in person.profile.liked] == [two]
    assert [(vote.paper_id, vote.at) for vote in person.profile.disliked] == [(one, world.now)]


def test_who_pauses_gets_no_edition_until_the_day(world: World) -> None:
    """Editions due before it pass her by; the one of that day is hers."""
    member = world.join()
    editions = Editions(world.database)
    edition = editions.freeze(world.people.list.id, TODAY, NOW, [report(1)], lambda a, s: (), ())
    world.people.choose(member, replace(VIDEO, paused_until=TODAY + timedelta(days=1)))
    assert list(editions.recipients(edition)) == []
    world.people.choose(member, replace(VIDEO, paused_until=date(2026, 6, 9)))
    assert [s.address for (s,) in editions.recipients(edition)] == [ADA]


def test_erasing_leaves_a_keyed_hash_alone(world: World) -> None:
    """No column of any table holds the address, the name or a vote; the config does not bring her back, she does."""
    member = world.join(preferences=replace(VIDEO, name="Ada Quill"))
    world.people.vote(member, PaperId("arxiv:2606.00001"), Ballot.MORE)
    Subscribers(world.database).suppress(ADA, "550 no <ada@example.org>", NOW)
    world.people.erase(member)
    with world.database.read() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert "ada@" not in dump.lower()
    assert "Quill" not in dump
    assert "2606.00001" not in dump
    assert world.people.was_erased()(Address("ADA@example.org"))
    assert not world.people.was_erased()(Address("bob@example.org"))
    assert list(world.people.members.all()) == []
    assert world.people.member(Purpose.VOTE, world.people.tokens.sign(Purpose.VOTE, member.id)) is None
    world.now += HOUR
    world.join()
    assert not world.people.was_erased()(ADA)


def test_an_erasure_is_one_on_both_databases(database: Database) -> None:
    """Nothing in the row tells who she was."""
    Subscribers(database).synchronise(ListId("lab"), [subscriber(1, address=ADA)])
    members = Members(database, ListId("lab"))
    member = members.find(ADA)
    assert member
    members.erase(member, b"key", NOW)
    assert (members.find(ADA), list(members.all()), len(members.erased())) == (None, [], 1)


def test_an_erasure_from_one_list_lifts_no_suppression_of_another(world: World) -> None:
    """She complained: as long as another list knows her address, nothing may be sent to it."""
    other = ListId("other")
    people = Subscribers(world.database)
    people.synchronise(other, [subscriber(1, address=ADA)])
    member = world.join()
    people.suppress(ADA, "complaint", NOW)
    world.people.erase(member)
    assert people.reachable(other) == ()
    (elsewhere,) = Members(world.database, other).all()
    Members(world.database, other).erase(elsewhere, b"key", NOW)
    assert people.suppressions() == ()


def test_everything_held_is_told(world: World) -> None:
    """Preferences, votes and deliveries, as plain values."""
    member = world.join()
    world.people.vote(member, PaperId("arxiv:2606.00001"), Ballot.SAVE)
    held = world.people.held(member)
    assert held["subscriber"]["address"] == ADA
    assert held["votes"] == [{"paper": "arxiv:2606.00001", "vote": "save", "at": NOW.isoformat()}]
    assert held["letters"]
    assert set(held) == {"list", "subscriber", "votes", "suppression", "deliveries", "bounces", "received", "letters"}


def test_topics_in_words(world: World) -> None:
    """The list's topics go by their names, however spelt; other words are a topic of her own."""
    video, own = named_topics(world.people.topics, ["  VIDEO ", "knot theory", "video", ""])
    assert video == world.people.topics[0]
    assert own == Topic("knot theory", "knot theory")
