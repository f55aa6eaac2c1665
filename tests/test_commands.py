"""What a message asks for: addresses, subjects and first lines; and what is nobody's to answer."""

from __future__ import annotations

from datetime import date
from email.header import Header
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.model import Address, ListId, PaperId
from digest.render.message import subject_field
from digest.subscribe.commands import Asked, Command, Request, read, token_alone

TODAY = date(2026, 6, 10)
BOX = Address("lab@example.org")
LAB, VIDEO = ListId("lab"), ListId("video-lab")
UNTIMED = "7.AbCdEfGhIjKlMnOpQrStUv-_"
TIMED = "7.1781071200.AbCdEfGhIjKlMnOpQrStUv-_"


def message(
    subject: str = "", body: str = "", to: str = BOX, sender: str = "Ada <ada@example.net>", **more: str
) -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"], made["Message-ID"] = sender, to, subject, "<1@example.net>"
    for name, value in more.items():
        made[name.replace("_", "-")] = value
    made.set_content(body + "\n")
    return made.as_bytes()


def asked(raw: bytes) -> Asked | None:
    found = read(raw, [BOX], [Address("digest@example.org")], [LAB, VIDEO], TODAY)
    return found[1] if found else None


def request(subject: str = "", body: str = "", **more: Any) -> Request | None:
    found = asked(message(subject, body, **more))
    return found.request if found else None


def plus(what: str) -> str:
    return f"lab+{what}@example.org"


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("subscribe", Request(Command.SUBSCRIBE)),
        ("Subscribe video, diffusion models", Request(Command.SUBSCRIBE, ("video", "diffusion models"))),
        ("subscribe video-lab: video; knots,", Request(Command.SUBSCRIBE, ("video", "knots"), list_id=VIDEO)),
        ("subscribe VIDEO-LAB", Request(Command.SUBSCRIBE, list_id=VIDEO)),
        ("Re: AW:  Fwd: unsubscribe lab", Request(Command.UNSUBSCRIBE, list_id=LAB)),
        ("UNSUBSCRIBE.", Request(Command.UNSUBSCRIBE)),
        ("topics", Request(Command.TOPICS)),
        ("topics: video, knot theory", Request(Command.TOPICS, ("video", "knot theory"))),
        ("topics: lab", Request(Command.TOPICS, ("lab",))),
        ("topics video-lab: video", Request(Command.TOPICS, ("video",), list_id=VIDEO)),
        ("help lab", Request(Command.HELP, list_id=LAB)),
        ("pause until 2026-07-01", Request(Command.PAUSE, until=date(2026, 7, 1))),
        ("pause 2 weeks", Request(Command.PAUSE, until=date(2026, 6, 24))),
        ("pause lab for a month", Request(Command.PAUSE, until=date(2026, 7, 10), list_id=LAB)),
        ("resume", Request(Command.RESUME)),
        ("weekly", Request(Command.WEEKLY)),
        ("Daily video-lab", Request(Command.DAILY, list_id=VIDEO)),
        ("more https://arxiv.org/abs/2406.04325v2", Request(Command.MORE, paper=PaperId("arxiv:2406.04325"))),
        (f"{UNTIMED} less title:0123456789abcdef", Request(Command.LESS, paper=PaperId("title:0123456789abcdef"))),
        (f"Re: Confirm: weekly [{TIMED}]", Request(Command.WEEKLY)),
        (f"AW: Bestätigen: pause until 2026-07-01 [{TIMED}]", Request(Command.PAUSE, until=date(2026, 7, 1))),
        (f"Re: Confirm your subscription to Lab [{TIMED}]", Request(Command.CONFIRM)),
        (UNTIMED, Request(Command.UNSUBSCRIBE)),
        ("Ιδέες: weekly", None),
        ("weekly meeting", None),
        ("Topics for Monday", None),
        ("help me with the lab", None),
        ("pause until 2026-06-10", None),
        ("pause until 2026-02-30", None),
        ("pause until later", None),
        ("more of the same", None),
        ("Re: Weekly roundup: video", None),
        ("", None),
    ],
)
def test_a_command_in_the_subject(subject: str, wanted: Request | None) -> None:
    """A whole one, and nothing like one: the address may be somebody's own."""
    assert request(subject) == wanted


@pytest.mark.parametrize(
    ("to", "subject", "body", "wanted"),
    [
        ("subscribe", "Hello!", "", Request(Command.SUBSCRIBE)),
        ("subscribe", "", "subscribe video", Request(Command.SUBSCRIBE, ("video",))),
        ("subscribe", "subscribe video", "", Request(Command.SUBSCRIBE, ("video",))),
        ("subscribe-video-lab", "", "", Request(Command.SUBSCRIBE)),
        ("unsubscribe", UNTIMED, "", Request(Command.UNSUBSCRIBE)),
        ("topics", "topics lab", "Sent from my telephone", Request(Command.TOPICS, list_id=LAB)),
        ("topics", "whatever", "video\nknots", Request(Command.TOPICS)),
        ("topics", f"Re: Topics [{TIMED}]", "video\n- knots\n\nAda", Request(Command.TOPICS, ("video", "knots"))),
        ("topics", f"Re: Topics [{TIMED}]", "> video\nknots", Request(Command.TOPICS)),
        ("topics", f"Re: Topics [{TIMED}]", "On Monday, Lab wrote:\n> video", Request(Command.TOPICS)),
        ("topics", f"Re: Topics [{TIMED}]", "Sent from my telephone", Request(Command.TOPICS)),
        ("vote", f"{UNTIMED} more arxiv:2406.04325", "", Request(Command.MORE, paper=PaperId("arxiv:2406.04325"))),
        ("vote", "more", "", None),
        ("confirm", f"Re: Confirm your subscription to Lab: weekly [{TIMED}]", "", Request(Command.CONFIRM)),
        ("confirm", "yes", "", None),
        ("weekly", f"Re: Confirm: weekly [{TIMED}]", "", Request(Command.WEEKLY)),
        ("pause", "", "", None),
        ("pause", "", "pause 3 days", Request(Command.PAUSE, until=date(2026, 6, 13))),
        ("help", "", "", Request(Command.HELP)),
    ],
)  # fmt: skip
def test_a_command_in_the_address(to: str, subject: str, body: str, wanted: Request | None) -> None:
    """It says what is wanted, subject and text what belongs to it; without sense there, it is told that it has none."""
    found = asked(message(subject, body, to=f"Lab <{plus(to)}>"))
    assert found is not None
    assert found.request == wanted
    assert found.list_id == (VIDEO if "video-lab" in to else None)


@pytest.mark.parametrize("name", ["Delivered_To", "X_Original_To", "Cc"])
def test_the_address_may_stand_elsewhere(name: str) -> None:
    """Where servers write to whom a message came."""
    assert request(to="somebody@example.org", **{name: plus("help")}) == Request(Command.HELP)
    assert request(to=plus("tag0123"), subject="hello") is None


@pytest.mark.parametrize(
    ("subject", "body", "wanted"),
    [
        ("", "subscribe video", Request(Command.SUBSCRIBE, ("video",))),
        ("Hello", "unsubscribe\n\n-- \nAda", Request(Command.UNSUBSCRIBE)),
        ("Hello", "Subscribe to my channel", None),
        ("Re: Twelve papers", "> unsubscribe", None),
        ("Hello", "-- \nunsubscribe", None),
        ("Hello", "I want to\nunsubscribe", None),
    ],
)
def test_a_command_in_the_first_line(subject: str, body: str, wanted: Request | None) -> None:
    """Where the subject is none; neither quoted nor signed."""
    assert request(subject, body) == wanted


def test_a_page_is_read_for_its_words() -> None:
    """Mail without plain text; what it quotes is not said."""
    made = EmailMessage()
    made["From"], made["To"] = "ada@example.net", BOX
    page = "<html><head><title>x</title></head><body><blockquote>weekly</blockquote><div>unsub&#115;cribe"
    made.set_content(page, subtype="html")
    found = asked(made.as_bytes())
    assert found is not None
    assert found.request == Request(Command.UNSUBSCRIBE)


def test_subjects_are_decoded() -> None:
    """Encoded words, and raw UTF-8."""
    coded = Header("subscribe Schrödingers Kätzchen, 視頻", "utf-8").encode()
    wanted = Request(Command.SUBSCRIBE, ("Schrödingers Kätzchen", "視頻"))
    for subject in (coded, "subscribe Schrödingers Kätzchen, 視頻"):
        found = asked(f"From: ada@example.net\nSubject: {subject}\n\n".encode())
        assert found is not None
        assert found.request == wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Precedence": "Bulk"},
        {"List_Id": "<other.example.net>"},
        {"List_Unsubscribe": "<mailto:x@example.net>"},
        {"X_Autoreply": "yes"},
        {"X_Auto_Response_Suppress": "DR, AutoReply"},
        {"Return_Path": "<>"},
        {"sender": "MAILER-DAEMON@example.net"},
        {"sender": "no-reply@example.net"},
        {"sender": "offers-noreply@example.net"},
        {"sender": "owner-x@example.net"},
        {"sender": "lab+vote@example.org"},
        {"sender": "Digest@Example.org"},
        {"sender": "ada@example.net, bob@example.net"},
        {"sender": "ada"},
        {"From": "bob@example.net"},
    ],
)
def test_what_programs_write_is_never_answered(changes: dict[str, str]) -> None:
    """Nor what has no one sender, or comes from ourselves."""
    raw = message("help", to=plus("help"), **{k: v for k, v in changes.items() if k != "From"})
    if "From" in changes:
        raw = b"From: bob@example.net\n" + raw
    assert asked(raw) is None


def test_a_token_alone_is_a_mail_programs_way_to_leave() -> None:
    """In brackets, or beside anything, it is part of a reply, which may be automatic."""
    assert token_alone(message(UNTIMED)) == UNTIMED
    assert token_alone(message(f"[{UNTIMED}]")) is None
    assert token_alone(message(f"Auto: {UNTIMED}")) is None
    assert token_alone(b"\xff") is None


def test_words_lead_nobody_anywhere() -> None:
    """What a stranger writes comes to others' eyes in a letter: no addresses, no tokens, and not without end."""
    many = ", ".join(f"topic {n}" for n in range(50))
    found = asked(message(f"subscribe see https://evil.example, evil.com, a@b, <b>x, {'y' * 300}, {many}"))
    assert found is not None
    assert found.request is not None
    first, second, *rest = found.request.topics
    assert (first, len(second)) == ("b x", 100)
    assert len(rest) == 18
    named = asked(message("help", sender='"Win at www.evil.example" <ada@example.net>'))
    assert named is not None
    assert named.name == ""


REQUESTS = st.one_of(
    st.builds(Request, st.just(Command.TOPICS), st.lists(st.text("ab c:é", min_size=1).map(str.strip).filter(bool),
              max_size=4, unique=True).map(tuple)),
    st.builds(Request, st.just(Command.PAUSE), until=st.dates(date(2026, 6, 11))),
    st.sampled_from([Request(c) for c in (Command.WEEKLY, Command.RESUME, Command.UNSUBSCRIBE)]),
)  # fmt: skip


@settings(deadline=None)
@given(REQUESTS)
def test_a_command_is_read_as_it_was_written(wanted: Request) -> None:
    """What a confirmation asks is what its reply does."""
    words = tuple(" ".join(topic.split()) for topic in wanted.topics)
    found = asked(b"From: ada@example.net\r\n" + subject_field(f"Re: Confirm: {wanted} [{TIMED}]") + b"\r\n")
    assert found is not None
    again = found.request
    assert again is not None
    assert (again.command, again.until) == (wanted.command, wanted.until)
    assert set(again.topics) == set(words)


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    """Whatever comes."""
    asked(raw)
    asked(b"From: ada@example.net\nTo: lab+topics@example.org\nSubject: " + raw)
    asked(b"From: " + raw + b"\nTo: lab+help@example.org\n\n" + raw)
    token_alone(raw)
