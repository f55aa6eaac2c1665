"""What is done about commands by mail: proofs, letters and limits, over a real store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.mailroom.answering import MOST_AN_HOUR, Answering, CommandDesk
from digest.mailroom.handled import Fate, Handled
from digest.members import Member, Preferences, Subscription
from digest.membership import Membership
from digest.model import Address, Frequency, PaperId, Position, SubscriberId
from digest.settings import load
from digest.store import Database, Letters, Mailboxes, Subscribers, open_database
from digest.subscribe.tokens import Purpose
from tests.factories import NOW
from tests.lists import write_list
from tests.render_samples import read

ADA = Address("ada@example.net")
HOUR = timedelta(hours=1)
PAPER = PaperId("arxiv:2606.00001")
MAILBOX = """
[mailbox]
address = "lab@example.org"
host = "127.0.0.1"
password = "x"
authserv_id = "mx.example.org"
"""
PASSED = "mx.example.org; dmarc=pass header.from=example.net"


class World:
    """Lists that share a mailbox, their store and a clock."""

    def __init__(self, folder: Path, database: Database, lists: tuple[str, ...] = ("lab",)):
        self.now: datetime = NOW
        self.database = database
        self.desks: list[CommandDesk] = []
        for name in lists:
            (folder / name).mkdir()
            path = write_list(folder / name, readers=0, extra=MAILBOX)
            path.write_text(path.read_text().replace('id = "lab"', f'id = "{name}"'))
            (config,) = load([path]).lists
            assert config.inbox
            self.inbox = config.inbox.name
            desk = CommandDesk.of(config, database, lambda: self.now)
            assert desk
            self.desks.append(desk)
        self.answering = Answering(self.desks, lambda: self.now)
        self.people: Membership = self.desks[0].people
        self._came = 0

    def comes(self, subject: str = "", body: str = "", **more: str) -> Handled | None:
        """A message is read."""
        return self.reads(self.message(subject, body, **more))

    def message(self, subject: str = "", body: str = "", to: str = "lab@example.org", **more: str) -> bytes:
        self._came += 1
        made = EmailMessage()
        made["From"] = more.pop("sender", f"Ada Quill <{ADA}>")
        made["To"], made["Subject"], made["Message-ID"] = to, subject, f"<{self._came}@example.net>"
        if results := more.pop("results", ""):
            made["Authentication-Results"] = results
        for name, value in more.items():
            made[name.replace("_", "-")] = value
        made.set_content(body + "\n")
        return made.as_bytes()

    def reads(self, raw: bytes, uid: int | None = None) -> Handled | None:
        at = Position(1, uid or self._came)
        return self.answering.leave(at, raw) or self.answering.take(at, raw)

    def letters(self) -> list[EmailMessage]:
        """All letters that are due; they count as sent."""
        found = [(desk.people, letter) for desk in self.desks for letter in desk.people.letters.claim(self.now)]
        for people, letter in found:
            people.letters.settle(letter, "250 Ok", None)
        return [read(letter.message) for _, letter in found]

    def letter(self) -> EmailMessage:
        (only,) = self.letters()
        return only

    def answers(self, letter: EmailMessage, body: str = "", **more: str) -> Handled | None:
        """Somebody replies to a letter, as mail programs do."""
        quoted = "\n".join(f"> {line}" for line in letter.get_content().splitlines())
        written = f"{body}\n\nOn Tuesday, Lab wrote:\n{quoted}"
        return self.comes(f"Re: {letter['Subject']}", written, to=letter["Reply-To"], **more)

    def joins(self) -> Member:
        """Ada asks and confirms."""
        self.comes("subscribe video")
        self.answers(self.letter())
        self.letters()
        return self.ada()

    def ada(self) -> Member:
        found = self.people.members.find(ADA)
        assert found
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    yield World(tmp_path, database)
    database.close()


def fate(handled: Handled | None) -> Fate | None:
    return handled.fate if handled else None


def test_who_asks_is_asked_and_who_replies_is_subscribed(world: World) -> None:
    """The one way in, whatever the sender's server says; the letter is a reply, and names the topics."""
    handled = world.comes("subscribe video, knot theory", results=PASSED)
    assert handled is not None
    assert (handled.fate, handled.told) == (Fate.ASKED, f"subscribe: video, knot theory: asked {ADA} to confirm")
    assert not world.ada().is_active
    letter = world.letter()
    assert letter["In-Reply-To"] == "<1@example.net>"
    assert "video and knot theory" in letter.get_content()
    assert fate(world.answers(letter)) is Fate.DONE
    assert world.ada().is_active
    assert [topic.name for topic in world.ada().preferences.profile.topics] == ["video", "knot theory"]
    assert world.ada().preferences.name == "Ada Quill"
    assert fate(world.answers(letter)) is Fate.REPEATED


@pytest.mark.parametrize("subject", ["weekly", "pause 2 weeks", "topics: knots", "unsubscribe", f"more {PAPER}"])
@pytest.mark.parametrize(
    "results",
    [
        "", "mx.example.org; dmarc=fail header.from=example.net", "mx.example.net; dmarc=pass",
        "mx.example.org; dmarc=pass header.from=example.com",
    ],
)  # fmt: skip
def test_a_forged_command_is_asked_of_the_one_it_names(world: World, subject: str, results: str) -> None:
    """Nothing changes but by her reply; and that does all, as nothing is kept."""
    before = world.joins()
    assert fate(world.comes(subject, results=results)) is Fate.ASKED
    assert (world.ada(), world.people.members.votes(before.id)) == (before, ())
    letter = world.letter()
    assert str(letter["Subject"]).startswith("Confirm: ")
    assert letter["To"].addresses[0].addr_spec == ADA
    assert fate(world.answers(letter)) is Fate.DONE
    assert (world.ada(), world.people.members.votes(before.id)) != (before, ())


def test_what_our_server_vouches_for_is_done_at_once(world: World) -> None:
    """And a letter says so; the last one says goodbye."""
    world.joins()
    for subject in ("weekly", "pause until 2026-07-01", "topics: proteins, knots", f"less {PAPER}"):
        assert fate(world.comes(subject, results=PASSED)) is Fate.DONE
    kept = world.ada().preferences
    assert (kept.frequency, kept.paused_until) == (Frequency.WEEKLY, date(2026, 7, 1))
    assert [topic.name for topic in kept.profile.topics] == ["proteins", "knots"]
    assert kept.profile.topics[0].keywords == ("protein",), "the list's own"
    assert [vote.paper_id for vote in world.people.members.votes(world.ada().id)] == [PAPER]
    first, *_, last = world.letters()
    assert first["Subject"] == "Done: weekly"
    assert "It comes weekly." in " ".join(first.get_content().split())
    assert "1 July 2026" in last.get_content()
    world.comes("resume", results=PASSED)
    assert world.ada().preferences.paused_until is None
    assert fate(world.comes("unsubscribe lab", results=PASSED)) is Fate.DONE
    assert world.ada().subscription is Subscription.UNSUBSCRIBED
    assert [letter["Subject"] for letter in world.letters()] == ["Done: resume", "You are unsubscribed from Lab"]


def test_what_is_followed_is_told_and_changed_by_a_reply(world: World) -> None:
    """New lines are new topics; a reply without any is told again."""
    world.joins()
    assert fate(world.comes("topics")) is Fate.ANSWERED
    letter = world.letter()
    assert "video" in letter.get_content()
    assert fate(world.answers(letter)) is Fate.ANSWERED
    again = world.letter()
    assert fate(world.answers(again, "knot theory\nproteins")) is Fate.DONE
    assert [topic.name for topic in world.ada().preferences.profile.topics] == ["knot theory", "proteins"]
    assert "knot theory" in world.letter().get_content()


def test_a_cards_vote_needs_no_more(world: World) -> None:
    """Its token is the reader's; it does not leave, and a token for leaving does not vote. No letter is written."""
    ada = world.joins()
    vote, leave = (world.people.tokens.sign(p, ada.id) for p in (Purpose.VOTE, Purpose.UNSUBSCRIBE))
    sender = "Somebody <else@example.com>"
    assert fate(world.comes(f"{leave} more {PAPER}", to="lab+vote@example.org", sender=sender)) is Fate.ANSWERED
    assert world.people.members.votes(ada.id) == ()
    assert "does not get it" in world.letter().get_content()
    assert fate(world.comes(f"{vote} save {PAPER}", to="lab+vote@example.org", sender=sender)) is Fate.DONE
    assert [(v.paper_id, v.ballot) for v in world.people.members.votes(ada.id)] == [(PAPER, "save")]
    assert fate(world.comes(vote, to="lab+unsubscribe@example.org")) is Fate.ASKED
    assert world.ada().is_active


def test_list_unsubscribe_takes_one_message_of_any_program(world: World) -> None:
    """Its token is enough, also where a server writes for her; a second one finds nothing to end."""
    ada = world.joins()
    token = world.people.tokens.sign(Purpose.UNSUBSCRIBE, ada.id)
    handled = world.comes(token, to="lab+unsubscribe@example.org", Auto_Submitted="auto-generated", sender="x@y.org")
    assert fate(handled) is Fate.DONE
    assert world.ada().subscription is Subscription.UNSUBSCRIBED
    assert "lab@example.org" in world.letter().get_content()


def test_who_is_suppressed_comes_again_by_a_reply(world: World) -> None:
    """Her own word ends the suppression, as on the page; the same reply, read again, does nothing."""
    world.joins()
    Subscribers(world.database).suppress(ADA, "550 5.1.1", world.now)
    world.now += timedelta(hours=1)
    world.comes("subscribe")
    letter = world.letter()
    handled = world.answers(letter)
    assert handled
    assert handled.fate is Fate.DONE
    assert world.ada().is_reached
    again = world.answers(letter)
    assert again
    assert again.fate is Fate.REPEATED


def test_who_confirms_too_late_is_asked_again(world: World) -> None:
    """With what was chosen then."""
    world.comes("subscribe knots")
    letter = world.letter()
    world.now += timedelta(hours=73)
    assert fate(world.answers(letter)) is Fate.ASKED
    assert not world.ada().is_active
    assert fate(world.answers(world.letter())) is Fate.DONE
    assert [topic.name for topic in world.ada().preferences.profile.topics] == ["knots"]


def test_an_address_is_written_to_once_an_hour_without_a_proof(world: World) -> None:
    """Whatever is asked in a stranger's name; a member may have a question beside it."""
    for subject in ("subscribe", "weekly", "help", "topics", "subscribe video", "unsubscribe"):
        world.comes(subject)
    assert len(world.letters()) == 1
    world.now += HOUR
    world.joins()
    world.now += HOUR
    for subject in ("weekly", "daily", "help", "topics", "subscribe", "subscribe video"):
        world.comes(subject)
    assert len(world.letters()) == 2


def test_thousands_of_names_are_not_written_to(world: World) -> None:
    """Who writes in the names of strangers makes us write to so many of them, and no more; members are answered."""
    world.joins()
    with mock.patch("digest.mailroom.answering.MOST_STRANGERS_AN_HOUR", 20):
        for number in range(200):
            world.comes("subscribe" if number % 2 else "help", sender=f"victim{number}@example.com")
        assert len(world.letters()) == 19, "Ada was one of them"
        assert fate(world.comes("weekly")) is Fate.ASKED
        world.now += HOUR
        assert fate(world.comes("subscribe", sender="bob@example.com")) is Fate.ASKED


def test_letters_come_to_an_end(world: World) -> None:
    """However well it is proved: what is asked is done, and not told any more."""
    world.joins()
    for day in range(2 * MOST_AN_HOUR):
        assert fate(world.comes(f"pause until 2027-01-{day + 1:02}", results=PASSED)) is Fate.DONE
    assert world.ada().preferences.paused_until == date(2027, 1, 20)
    assert len(world.letters()) < MOST_AN_HOUR


def test_the_same_message_is_dealt_with_once(world: World) -> None:
    """Read again after a crash, and where the mailbox was numbered anew: one letter, and no second effect."""
    world.joins()
    raw = world.message("weekly", results=PASSED)
    assert fate(world.reads(raw)) is Fate.DONE
    world.comes("daily", results=PASSED)
    assert fate(world.reads(raw, uid=900)) is Fate.REPEATED
    assert world.ada().preferences.frequency is Frequency.DAILY
    assert len(world.letters()) == 2


def test_read_again_who_has_left_stays_away(world: World) -> None:
    """A batch with both her confirmation and her farewell, met again after a crash: the former is used up."""
    world.comes("subscribe video")
    letter = world.letter()
    confirms = world.message(f"Re: {letter['Subject']}", to=letter["Reply-To"])
    assert fate(world.reads(confirms)) is Fate.DONE
    token = world.people.tokens.sign(Purpose.UNSUBSCRIBE, world.ada().id)
    leaves = world.message(token, to="lab+unsubscribe@example.org")
    assert fate(world.reads(leaves)) is Fate.DONE
    assert [fate(world.reads(raw)) for raw in (confirms, leaves)] == [Fate.LIMITED, Fate.REPEATED]
    assert world.ada().subscription is Subscription.UNSUBSCRIBED
    assert len(world.letters()) == 2, "welcome and goodbye"


def test_a_crash_before_the_letter_loses_none(world: World) -> None:
    """What was done is done again without effect, and then told."""
    world.joins()
    raw = world.message("weekly", results=PASSED)
    with mock.patch.object(Letters, "put", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        world.reads(raw)
    assert fate(world.reads(raw)) is Fate.DONE
    assert world.letter()["Subject"] == "Done: weekly"


@pytest.mark.parametrize(
    "sender",
    [
        "jörg@bücher.example",
        "o'brien+x@example.net",
        "Ünal <用户@例子.example>",
        f"{'x' * 64}@example.net",
        '"Quill, Ada \\" <x>" <q@example.net>',
        "=?utf-8?b?w7w=?= <q@example.net>",
    ],
)
def test_every_sender_can_be_written_to(world: World, sender: str) -> None:
    """Whatever address or name: a letter that could not be written would hold up all mail behind it."""
    raw = f"From: {sender}\r\nTo: lab+subscribe@example.org\r\nSubject: subscribe 視頻\r\n\r\n".encode()
    assert fate(world.reads(raw, uid=1)) is Fate.ASKED
    assert "視頻" in world.letter().get_content()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_bytes_hold_up_a_mailbox(world: World, raw: bytes) -> None:
    """Whatever comes, the mail behind it is read."""
    world.reads(raw, uid=1)
    world.reads(
        b"From: Ada <ada@example.net>\r\nMessage-ID: <1@x>\r\nTo: lab+help@example.org\r\nSubject: " + raw, uid=1
    )


def test_what_the_list_has_read_is_not_read_again(world: World) -> None:
    """A second list that is new to the mailbox reads it from the start; for the first one nothing happens."""
    ada = world.joins()
    token = world.people.tokens.sign(Purpose.UNSUBSCRIBE, ada.id)
    Mailboxes(world.database, world.people.list.id).move(world.inbox, Position(1, 50), NOW)
    for raw in (world.message("subscribe"), world.message(token), world.message(f"{token} unsubscribe")):
        assert fate(world.reads(raw, uid=50)) is Fate.REPEATED
    assert world.ada().is_active
    assert fate(world.reads(world.message(token), uid=51)) is Fate.DONE


def test_what_makes_no_sense_is_said_to_make_none(world: World) -> None:
    """At an address for commands; elsewhere it is somebody's mail."""
    assert fate(world.comes("pause until some day", to="lab+pause@example.org")) is Fate.ANSWERED
    assert "was not understood" in world.letter().get_content()
    assert world.comes("pause until some day") is None
    assert world.comes("Lunch?", "At one.") is None


def test_who_is_in_the_config_is_a_member_from_the_start(tmp_path: Path) -> None:
    """Before the first edition is sent, she can say that she wants none."""
    (config,) = load([write_list(tmp_path, readers=1, extra=MAILBOX)]).lists
    database = open_database(config.store_url)
    desk = CommandDesk.of(config, database, lambda: NOW)
    assert desk
    raw = "From: reader0@example.org\nAuthentication-Results: mx.example.org; dmarc=pass\nSubject: unsubscribe\n\n"
    assert fate(Answering([desk], lambda: NOW).take(Position(1, 1), raw.encode())) is Fate.DONE
    assert CommandDesk.of(config, database, lambda: NOW)
    (member,) = desk.people.members.all()
    assert member.subscription is Subscription.UNSUBSCRIBED
    database.close()


def test_lists_that_share_a_mailbox_are_named(tmp_path: Path) -> None:
    """By a word, by the address or by a token; else a letter names them."""
    database = open_database(f"sqlite:///{tmp_path}/digest.db")
    world = World(tmp_path, database, ("lab", "video-lab"))
    assert fate(world.comes("subscribe")) is Fate.ANSWERED
    told = world.letter().get_content()
    assert "(lab)" in told
    assert "(video-lab)" in told
    world.now += HOUR
    second = world.desks[1].people
    assert fate(world.comes("", to="lab+subscribe-video-lab@example.org")) is Fate.ASKED
    assert second.members.find(ADA)
    assert world.people.members.find(ADA) is None
    assert fate(world.answers(world.letter())) is Fate.DONE
    world.comes("subscribe lab: knots")
    assert fate(world.answers(world.letters()[0])) is Fate.DONE
    both = [desk.people.members.find(ADA) for desk in world.desks]
    assert all(member and member.is_active for member in both)
    assert fate(world.comes("weekly video-lab", results=PASSED)) is Fate.DONE
    assert [member.preferences.frequency for desk in world.desks if (member := desk.people.members.find(ADA))] == [
        None,
        Frequency.WEEKLY,
    ]
    database.close()


def test_letters_are_in_the_members_language(world: World) -> None:
    """The command stays as it is written, so that the reply is understood."""
    ada = world.joins()
    world.people.choose(ada, Preferences(profile=ada.preferences.profile, language="de"))
    world.comes("weekly")
    letter = world.letter()
    assert str(letter["Subject"]).startswith("Bestätigen: weekly [")
    assert fate(world.answers(letter)) is Fate.DONE
    assert world.ada().preferences.frequency is Frequency.WEEKLY


WORDS = st.lists(
    st.sampled_from(
        ["unsubscribe", "subscribe", "weekly", "topics:", "video", "pause", "until 2026-08-01", "more", PAPER, "resume",
         "1.AbCdEfGhIjKlMnOpQrStUv-_", "[1.1781071200.AbCdEfGhIjKlMnOpQrStUv-_]", "Re:", "Confirm:", "lab", "\n"]
    ),
    max_size=6,
).map(" ".join)  # fmt: skip
PLACES = st.sampled_from(
    ["", "+unsubscribe", "+topics", "+vote", "+confirm", "+weekly", "+pause", "+subscribe", "+help"]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORDS, WORDS, PLACES)
def test_nothing_without_a_proof_changes_anything(world: World, subject: str, body: str, place: str) -> None:
    """No forged mail in a member's name touches her subscription, what she chose, or her votes."""
    if world.people.members.find(ADA) is None:
        world.joins()
    before = world.ada()
    subject = " ".join(subject.split())
    world.comes(subject, body, to=f"lab{place}@example.org")
    assert world.ada() == before
    assert world.people.members.votes(before.id) == ()


def test_another_readers_token_is_hers_alone(world: World) -> None:
    """A token acts for the one it was made for, whoever sends it; a made-up number is nobody's."""
    ada = world.joins()
    forged = world.people.tokens.sign(Purpose.UNSUBSCRIBE, ada.id).replace(f"{ada.id}.", f"{ada.id + 1}.", 1)
    assert world.comes(forged, to="lab+unsubscribe@example.org", sender="bob@example.com")
    nobody = world.people.tokens.sign(Purpose.UNSUBSCRIBE, SubscriberId(77))
    assert world.comes(nobody, to="lab+unsubscribe@example.org", sender="bob@example.com")
    assert world.ada().is_active
