"""Signing up by the box on the page, and its preview: what is written to whom, how often, and what is told."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from digest.members import Subscription
from digest.model import Pages as Settings
from digest.model import Rate
from digest.settings import load
from digest.web.gate import Call, Form, TooOftenError
from digest.web.joining import Desk, Joining
from digest.web.limits import SlidingWindow
from digest.web.serving import Hall
from tests.asking import ADA, Answer, Pages
from tests.lists import DAY_ONE, write_list


def signed_up(pages: Pages, headers: Mapping[str, str] = {}, **form: object) -> Answer:
    return pages.post("/subscribe/lab", {"email": ADA, **form}, **headers)


def test_signing_up_takes_the_letter_and_its_button(pages: Pages) -> None:
    """The letter's link shows a button, the button subscribes, the same again changes nothing."""
    assert "Look into your inbox" in signed_up(pages, topic="proteins", words="knot theory").text
    (letter,) = pages.letters()
    path = re.search(r"https://lab\.example\.org(/confirm/lab/\S+)", letter.get_content())
    assert path
    asked = pages.get(path[1])
    assert "Yes, subscribe me" in asked.text
    assert "knot theory" in asked.text
    member = pages.site.people.members.find(ADA)
    assert member
    assert member.subscription is Subscription.UNCONFIRMED
    assert "You are subscribed" in pages.post(path[1]).text
    member = pages.site.people.members.find(ADA)
    assert member
    assert member.is_active
    assert [topic.name for topic in member.preferences.profile.topics] == ["proteins", "knot theory"]
    (welcome,) = pages.letters()
    assert "Welcome" in str(welcome["Subject"])
    before = pages.dump()
    assert "You are subscribed" in pages.post(path[1]).text
    assert pages.dump() == before


def test_what_a_stranger_wrote_is_in_no_letter(pages: Pages) -> None:
    """Anybody may write it beside anybody's address; she sees it on the page, before she says yes."""
    signed_up(pages, topic="proteins", words="You have won: http://evil.example/\nCall 0900 123456")
    (letter,) = pages.letters()
    text = letter.get_content()
    assert "You would follow: proteins." in text
    assert "evil" not in text
    assert "0900" not in text
    path = re.search(r"https://lab\.example\.org(/confirm/lab/\S+)", text)
    assert path
    assert "Call 0900 123456" in pages.get(path[1]).text


def test_the_answer_tells_nothing_and_takes_nothing_of_the_store(pages: Pages) -> None:
    """The same bytes for a stranger and a member, and the store is not even read for them before the answer."""
    member = pages.member()
    before = pages.dump()
    known = pages.post("/subscribe/lab", {"email": member.address})
    unknown = pages.post("/subscribe/lab", {"email": "bob@example.org"})
    assert known.body.replace(b"ada@", b"bob@") == unknown.body
    assert known.headers == unknown.headers
    assert pages.dump() == before
    subjects = [str(letter["Subject"]) for letter in pages.letters()]
    assert ["already" in subject for subject in subjects] == [True, False]


def test_an_address_is_written_to_once_an_hour(pages: Pages) -> None:
    """However many clients type it in."""
    for number in range(5):
        assert signed_up(pages, {"client": f"192.0.2.{number}"}).status == 200
    assert len(pages.letters()) == 1


@pytest.mark.parametrize("written", ["", "nonsense", "a@b@c", "x" * 400, "ada@example.org\r\nBcc: bob@example.org"])
def test_what_is_no_address_is_said(pages: Pages, written: str) -> None:
    """Beside the field, for screen readers too; nothing is written."""
    answer = pages.post("/subscribe/lab", {"email": written, "words": "knots"})
    assert answer.status == 422
    assert 'aria-invalid="true"' in answer.text
    assert 'role="alert"' in answer.text
    assert ">knots</textarea>" in answer.text
    assert pages.letters() == []


def test_a_client_signs_up_so_often_only(pages: Pages) -> None:
    """Ten an hour; what a client says of other clients counts for nothing, what our proxy says does."""
    for number in range(10):
        assert pages.post("/subscribe/lab", {"email": f"{number}@example.org"}).status == 200
    refused = pages.post("/subscribe/lab", {"email": "last@example.org"}, x_forwarded_for="203.0.113.9")
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    proxied = {"client": "127.0.0.1", "x_forwarded_for": "192.0.2.1, 203.0.113.9"}
    assert pages.post("/subscribe/lab", {"email": "other@example.org"}, **proxied).status == 200


def test_ten_thousand_sign_ups_send_no_more_than_the_limit(tmp_path: Path) -> None:
    """Random addresses from as many clients: 300 letters in an hour, and no more in the next than 300 again."""
    pages, at = Pages(tmp_path), 0.0
    once = Rate(1, 60.0)
    desk = Desk()
    in_all = SlidingWindow(Settings().sign_ups_in_all, lambda: at)
    joining = Joining(desk, SlidingWindow(once, lambda: at), in_all, SlidingWindow(once, lambda: at))
    with pages.hall:
        for number in range(10_000):
            at = number * 0.7  # nearly two hours in all
            form = Form({"email": [f"x{number}@example.org"]})
            with contextlib.suppress(TooOftenError):
                joining.subscribe(pages.site, Call(True, {}, {}, form, f"client {number}", "", False))
        wishes = desk.all()
        assert len(wishes) == 600
        for wish in wishes[:20] * 2:  # and a wish is a letter at most
            pages.site.people.ask(wish.address, wish.preferences)
        assert len(pages.site.people.letters.claim(pages.now)) == 20


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "null"}, 200),
        ({"origin": "https://lab.example.org"}, 200),
        ({}, 200),
    ],
)
def test_another_sites_form_is_refused(pages: Pages, headers: dict[str, str], status: int) -> None:
    """By what browsers say of themselves; who is no browser may post."""
    assert pages.post("/subscribe/lab", {"email": ADA}, **headers).status == status
    assert len(pages.letters()) == (status == 200)


def test_an_origin_that_is_none_is_foreign_without_an_address_of_our_own(tmp_path: Path) -> None:
    """A list that is confirmed by replies alone has no `base_url` whose host could be compared."""
    inbox = '\n[mailbox]\naddress = "lab@example.org"\nhost = "127.0.0.1"\npassword = "x"\n'
    pages = Pages(tmp_path, extra=inbox, base_url="")
    with pages.hall:
        assert signed_up(pages, {"origin": "null"}).status == 403
        assert signed_up(pages, {"origin": "http://lab.example.org"}).status == 200


def test_the_preview_is_what_the_edition_would_have_brought(pages: Pages) -> None:
    """A part of the page for the script, the whole page with the form as it was for everybody else; nothing is kept."""
    before = pages.dump()
    part = pages.post("/preview/lab", {"topic": "proteins", "email": ADA}, x_fragment="1").text
    assert "Folding Under Pressure" in part
    assert "<html" not in part
    whole = pages.post("/preview/lab", {"words": "protein folding", "email": ADA}).text
    assert "Folding Under Pressure" in whole
    assert ">protein folding</textarea>" in whole
    assert "<details" in whole
    assert "open>" in whole
    assert pages.dump() == before
    assert ADA not in part


def test_before_the_first_edition_the_preview_says_so(tmp_path: Path) -> None:
    """It does not judge the words by an edition that there is not."""
    config = write_list(tmp_path)
    config.write_text(config.read_text().replace("[list]\n", '[list]\nbase_url = "https://lab.example.org"\n'))
    with Hall(load([config]).lists, lambda: datetime.fromisoformat(DAY_ONE)) as hall:
        (site,) = hall.sites.values()
        looks = SlidingWindow(Rate(10, 60), time.monotonic)
        joining = Joining(hall.desk, looks, looks, looks)
        for wants_fragment in (True, False):
            call = Call(True, {}, {}, Form({"words": ["knots"]}), "192.0.2.1", "", wants_fragment)
            shown = bytes(joining.preview(site, call).body).decode()
            assert '<h3 class="preview-title">The first edition is still to come</h3>' in shown
            assert "Nothing in the last edition" not in shown


def test_who_is_refused_is_led_back(pages: Pages) -> None:
    """The page that says so is named by what is wrong, and leads to the form."""
    for _ in range(11):
        answer = signed_up(pages)
    assert answer.status == 429
    assert "<title>Too much at once</title>" in answer.text
    assert '<a href="/">Back to the papers</a>' in answer.text
    assert "where you are" not in answer.text, "it may be the limit of all together"
    foreign = signed_up(pages, {"client": "192.0.2.9", "origin": "https://evil.example"})
    assert foreign.status == 403
    assert '<a href="/">Back to the papers</a>' in foreign.text
