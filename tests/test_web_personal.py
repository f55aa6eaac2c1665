"""The pages behind a signed link: what they show, and what only their buttons change."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from digest.members import Ballot, Preferences, Subscription
from digest.model import Address, PaperId, Profile
from digest.subscribe.tokens import Purpose
from tests.asking import ADA, PAPER, PUBLIC, Answer, Pages, links_in, personal


def test_get_and_head_change_nothing(pages: Pages) -> None:
    """Whoever opens every page, and every link on it, leaves the store as it was."""
    opened = [*PUBLIC, *personal(pages)]
    before = pages.dump()
    for path in opened:
        for method in ("GET", "HEAD"):
            answer = pages.ask(method, path)
            assert answer.status == 200, path
        for link in links_in(answer.text):
            pages.get(link)
            pages.ask("HEAD", link)
    assert pages.dump() == before
    assert pages.letters() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"", "text/plain"),
        (b"--y broken", "multipart/form-data; boundary=x"),
    ],
)
def test_one_click_unsubscribes(pages: Pages, body: bytes, kind: str) -> None:
    """RFC 8058: without a cookie, in either form, 200 and no redirect, and again the same."""
    member = pages.member()
    path = pages.link(Purpose.UNSUBSCRIBE, member)
    first = pages.post(path, body, content_type=kind)
    after = pages.dump()
    second = pages.post(path, body, content_type=kind, sec_fetch_site="cross-site")
    assert (first.status, second.status) == (200, 200)
    assert first.body == second.body
    assert pages.dump() == after
    changed = pages.site.people.members.get(member.id)
    assert changed
    assert changed.subscription is Subscription.UNSUBSCRIBED


def test_whatever_is_wrong_with_a_link_the_answer_is_one(pages: Pages) -> None:
    """Another's signature, another purpose, another list, too old, erased, no such paper: one status, one body."""
    member = pages.member()
    people = pages.site.people
    token = people.tokens.sign(Purpose.VOTE, member.id)
    old = people.tokens.sign_confirmation(member.id, pages.now - timedelta(hours=73))
    gone = people.members.add(Address("gone@example.org"), member.preferences, pages.now)
    people.erase(gone)
    wrong = [
        "/nothing/at/all", "/unsubscribe/lab/x", f"/unsubscribe/lab/{token}", f"/unsubscribe/other/{token}",
        f"/preferences/lab/{token}", f"/preferences/lab/{token}/export", f"/preferences/lab/{token}/erase",
        f"/confirm/lab/{old}", f"/confirm/lab/{token}", f"/vote/lab/{token}x/more/{PAPER}",
        f"/vote/lab/{token}/more/arxiv:1234.56789", f"/vote/lab/{token}/most/{PAPER}",
        pages.link(Purpose.PREFERENCES, gone), "/archive/lab/2026-13", "/archive/lab/1999-01-01", "/paper/lab/nope",
    ]  # fmt: skip
    answers = [pages.get(path) for path in wrong] + [pages.post(path) for path in wrong if path.count("/") > 2]
    told = {(a.status, a.body, tuple(sorted(a.headers.items()))) for a in answers if a.status != 405}
    assert {(status, body) for status, body, _ in told} == {(404, answers[0].body)}
    assert "Lab" not in answers[0].text
    assert '<footer class="footer"></footer>' in answers[0].text, "no rule stands over nothing"


def test_a_vote_takes_its_button(pages: Pages) -> None:
    """The page asks, the button votes, the last word counts."""
    member = pages.member()
    path = f"{pages.link(Purpose.VOTE, member)}/more/{PAPER}"
    assert "FrameLoom++" in pages.get(path).text
    assert pages.site.people.members.votes(member.id) == ()
    assert "Noted" in pages.post(path).text
    pages.post(path.replace("/more/", "/less/"))
    (vote,) = pages.site.people.members.votes(member.id)
    assert (vote.paper_id, vote.ballot) == (PaperId(PAPER), Ballot.LESS)


def test_no_page_leads_to_one_that_its_link_does_not_open(pages: Pages) -> None:
    """Whoever was forwarded a vote or a way to unsubscribe comes to nothing else of hers."""
    member = pages.member()
    for path in (f"{pages.link(Purpose.VOTE, member)}/more/{PAPER}", pages.link(Purpose.UNSUBSCRIBE, member)):
        for answer in (pages.get(path), pages.post(path)):
            assert not re.search(r'"[^"]*/(preferences|vote|confirm)/lab/', answer.text)


def test_preferences_are_kept_as_they_are_written(pages: Pages) -> None:
    """Topics, authors, papers, a library, times and language; the page shows them again."""
    member = pages.member()
    path = pages.link(Purpose.PREFERENCES, member)
    form = {
        "topic": "video", "words": "knot theory\nbraids", "authors": "Tim Brooks", "name": "Ada Ö.",
        "examples": f"{PAPER}\nhttps://arxiv.org/abs/2406.04325v2", "frequency": "weekly", "hour": "7",
        "timezone": "Europe/Berlin", "language": "de", "paused_until": "2026-12-24",
    }  # fmt: skip
    saved = pages.post(path, form).text
    assert "Gespeichert." in saved, "from now on, her pages are in her language"
    chosen = pages.site.people.members.get(member.id)
    assert chosen
    got = chosen.preferences
    assert [topic.name for topic in got.profile.topics] == ["video", "knot theory", "braids"]
    assert got.profile.topics[0] == pages.site.people.topics[0]
    assert got.profile.examples == (PAPER, "arxiv:2406.04325")
    assert (got.name, got.frequency, got.hour, got.timezone, got.language) == (
        "Ada Ö.",
        "weekly",
        7,
        "Europe/Berlin",
        "de",
    )
    assert str(got.paused_until) == "2026-12-24"
    shown = pages.get(path).text
    for piece in ("knot theory", "Tim Brooks", "Ada Ö.", 'value="weekly" selected', 'value="7" selected', "2026-12-24"):
        assert piece in shown
    assert "1 davon wurde hier nie angekündigt" in shown


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b'{"words": "knots"}', "application/json"),
        (b"&".join(b"topic=%d" % n for n in range(501)), "application/x-www-form-urlencoded"),
        (b'--x\r\nContent-Disposition: form-data; name="examples"\r\n\r\n%b\r\n--x--\r\n' % (b"@article" * 30_000),
         "multipart/form-data; boundary=x"),
    ],
    ids=["nothing", "another form", "too many fields", "too long a field"],
)  # fmt: skip
def test_a_form_that_cannot_be_read_changes_nothing(pages: Pages, body: bytes, kind: str) -> None:
    """It says nothing, so it must not be taken for one in which nothing was chosen."""
    path = pages.link(Purpose.PREFERENCES, pages.member(Preferences("Ada", Profile(authors=("Tim Brooks",)), hour=7)))
    before = pages.dump()
    answer = pages.post(path, body, content_type=kind)
    assert answer.status == 400
    assert "Nothing was changed" in answer.text
    assert pages.dump() == before


def test_a_library_is_uploaded(pages: Pages) -> None:
    """Papers with an arXiv id or a DOI become examples; a file that is no BibTeX is said to be none."""
    member = pages.member()
    path = pages.link(Purpose.PREFERENCES, member)

    def upload(content: str) -> Answer:
        body = (
            '--x\r\nContent-Disposition: form-data; name="library"; filename="a.bib"\r\n'
            f"Content-Type: text/plain\r\n\r\n{content}\r\n--x--\r\n"
        )
        return pages.post(path, body.encode(), content_type="multipart/form-data; boundary=x")

    answer = upload("@article{a, title={One}, eprint={2406.04325}, archiveprefix={arXiv}}\n@book{b, title={Two}}")
    assert "1 paper of your library" in answer.text
    changed = pages.site.people.members.get(member.id)
    assert changed
    assert changed.preferences.profile.examples == ("arxiv:2406.04325",)
    assert upload("nothing of the kind").status == 422


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("timezone", "Mars/Olympus"), ("hour", "24"), ("hour", "٣"), ("paused_until", "soon"),
        ("examples", "not a paper"),
        ("frequency", "hourly"), ("language", "<b>"), ("authors", "\n".join(f"A {n}" for n in range(101))),
        ("words", "\n".join(f"w {n}" for n in range(21))),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_and_nothing_is_saved(pages: Pages, field: str, written: str) -> None:
    """Beside its field; the other fields keep what was typed."""
    path = pages.link(Purpose.PREFERENCES, pages.member())
    before = pages.dump()
    answer = pages.post(path, {"words": "knots", field: written} | ({} if field == "name" else {"name": "Bo"}))
    assert answer.status == 422
    assert f'id="{field}-problem"' in answer.text
    assert f'aria-describedby="{field}-problem"' in answer.text
    assert 'value="Bo"' in answer.text
    assert pages.dump() == before


def test_what_cannot_be_used_is_shown_again_as_it_was_typed(pages: Pages) -> None:
    """Whoever is to correct it sees it: also the lines beside the wrong one, and a zone that there is not."""
    path = pages.link(Purpose.PREFERENCES, pages.member())
    shown = pages.post(path, {"examples": f"{PAPER}\nnot a paper", "timezone": "Berlin"}).text
    assert f">{PAPER}\nnot a paper</textarea>" in shown
    assert 'value="Berlin"' in shown


@pytest.mark.parametrize(
    ("written", "meant"),
    [("Berlin", "Europe/Berlin"), ("new york", "America/New_York"), ("Europe/Berln", "Europe/Berlin")],
)
def test_a_zone_that_is_nearly_named_is_proposed(pages: Pages, written: str, meant: str) -> None:
    """By its city alone, too."""
    path = pages.link(Purpose.PREFERENCES, pages.member())
    assert f"Did you mean {meant}?" in pages.post(path, {"timezone": written}).text


@pytest.mark.parametrize("written", ["UTC+2", "GMT+1", "xyzzy"])
def test_no_zone_is_proposed_that_is_not_meant(pages: Pages, written: str) -> None:
    """`Etc/GMT+1` is an hour behind Greenwich."""
    path = pages.link(Purpose.PREFERENCES, pages.member())
    shown = pages.post(path, {"timezone": written}).text
    assert "This must be a time zone" in shown
    assert "Did you mean" not in shown


def test_a_vote_of_who_gets_nothing_promises_nothing(pages: Pages) -> None:
    """It is kept; where she has left, or her address is suppressed, the page says so and leads to the box."""
    member = pages.member()
    path = f"{pages.link(Purpose.VOTE, member)}/more/{PAPER}"
    own = pages.link(Purpose.PREFERENCES, member)
    pages.suppress(member)
    for why, left in (("messages to it were returned", False), ("You are not subscribed", True)):
        if left:
            pages.site.people.unsubscribe(member)
        voted = pages.post(path).text
        assert "Noted" in voted
        assert "The next editions" not in voted
        for page in (voted, pages.get(own).text):
            assert why in page
            assert '<a href="/">subscribe</a>' in page


def test_who_is_suppressed_is_not_told_that_she_is_subscribed(pages: Pages) -> None:
    """A link that confirms asks her, and its button ends the suppression; only then anything comes."""
    member = pages.member()
    confirm = f"/confirm/lab/{pages.site.people.tokens.sign_confirmation(member.id, pages.now)}"
    pages.suppress(member)
    assert "Yes, subscribe me" in pages.get(confirm).text
    assert "You are subscribed" in pages.post(confirm).text
    found = pages.site.people.members.get(member.id)
    assert found
    assert found.is_reached
    assert "You are subscribed" in pages.get(confirm).text


def test_what_is_done_already_is_not_asked_again(pages: Pages) -> None:
    """A link opened again says that she is subscribed, or has left, and leads to no other page of hers."""
    member = pages.member()
    confirm = f"/confirm/lab/{pages.site.people.tokens.sign_confirmation(member.id, pages.now)}"
    leave = pages.link(Purpose.UNSUBSCRIBE, member)
    asked = pages.get(confirm).text
    assert "You are subscribed" in asked
    assert "<button" not in asked
    assert "/preferences/" not in asked
    assert "<button" in pages.get(leave).text
    pages.post(leave)
    left = pages.get(leave).text
    assert "You are unsubscribed" in left
    assert "<button" not in left
    assert "Yes, subscribe me" in pages.get(confirm).text, "she may come back by it"


def test_everything_held_is_downloaded_and_erased(pages: Pages) -> None:
    """The file has it all; after the button no link of hers leads anywhere."""
    member = pages.member()
    path = pages.link(Purpose.PREFERENCES, member)
    export = pages.get(f"{path}/export")
    assert export.headers["content-disposition"] == 'attachment; filename="lab.json"'
    assert json.loads(export.body)["subscriber"]["address"] == ADA
    assert "Erase everything about me?" in pages.get(f"{path}/erase").text
    assert "Erased" in pages.post(f"{path}/erase").text
    assert pages.get(path).status == 404
    assert "ada@" not in pages.dump()
