"""The pages: what is on them, what they change and when, and what they tell to whom. Asked in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from digest.errors import StoreError
from digest.members import Ballot, Preferences, Subscription
from digest.model import Address, PaperId, Rate
from digest.model import Pages as Settings
from digest.subscribe.tokens import Purpose
from digest.web.gate import Call, Form, TooOftenError
from digest.web.joining import Desk, Joining, Wish
from digest.web.limits import SlidingWindow
from digest.web.serving import serve
from tests.asking import ADA, Answer, Pages, links_in

PAPER = "arxiv:2606.90887"
ATOM = {"a": "http://www.w3.org/2005/Atom"}
PUBLIC = (
    *("/", "/lab", "/archive/lab", "/archive/lab/2026-06-10", "/archive/lab/2026-W24", "/archive/lab/2026-06"),
    *("/archive/lab?q=video", f"/paper/lab/{PAPER}", "/feed/lab", "/feed/lab/video", "/subscribe/lab", "/robots.txt"),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """For tests that change nothing."""
    pages = Pages(tmp_path_factory.mktemp("pages"))
    with pages.hall:
        yield pages


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    made = Pages(tmp_path)
    with made.hall:
        yield made


def test_the_front_page_has_the_days_papers_and_the_box(shared: Pages) -> None:
    """The newest day's papers with authors, abstract and figures, what trends first; ways to turn; the box on top."""
    page = shared.get("/").text
    assert "Get trending papers in your email inbox!" in page
    assert "Wednesday, 10 June 2026" in page
    assert page.index("The Wastebasket Model") < page.index("Cut on Action")
    assert "287\N{NO-BREAK SPACE}upvotes" in page or "287 upvotes" in page
    assert "Nandini Fairholm" in page
    assert "A chain of thought is written in ink" in page
    paths = links_in(page)
    assert {
        "/archive/lab/2026-06-10",
        "/archive/lab/2026-W24",
        "/archive/lab/2026-06",
        "/archive/lab/2026-06-09",
    } <= set(paths)
    assert shared.get("/lab").body == shared.get("/").body


def test_no_public_page_carries_an_address_or_a_token(shared: Pages) -> None:
    """Pages, feeds and files: of the one reader there is not a trace."""
    for path in PUBLIC:
        text = shared.get(path).text
        assert "reader0" not in text, path
        assert not re.search(r"/(unsubscribe|preferences|vote|confirm)/lab/", text), path


@pytest.mark.parametrize("path", PUBLIC)
def test_pages_are_small(shared: Pages, path: str) -> None:
    """Below 60 KB each, with style and script."""
    answer = shared.get(path)
    files = sum(len(shared.get(file).body) for file in set(links_in(answer.text, "href|src")) if "/static/" in file)
    assert answer.status == 200
    assert len(answer.body) + files < 60_000


def test_every_link_of_ours_leads_somewhere(shared: Pages) -> None:
    """From the front page on, by all links, also in the feeds."""
    seen, waiting = set[str](), ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = shared.get(path)
        assert answer.status == 200, path
        if "html" in answer.headers["content-type"]:
            waiting += {link.partition("#")[0] for link in links_in(answer.text)} - seen - set(waiting) - {""}
    assert len(seen) > 45


def test_the_archive_is_searched_for_all_words(shared: Pages) -> None:
    """In titles, abstracts and authors, whatever their case; names of fields are no words."""
    found = shared.get("/archive/lab?q=FRAMELOOM+lindqvist").text
    assert "FrameLoom++" in found
    assert "Wastebasket" not in found
    assert "No paper has all of these words" in shared.get("/archive/lab?q=observed_at").text
    assert "&lt;script&gt;" in shared.get("/archive/lab?q=<script>").text
    assert "No paper" in shared.get("/archive/lab?q=100%25").text, "a sign of LIKE is a letter"


@pytest.mark.parametrize("path", ["/feed/lab", "/feed/lab/video"])
def test_feeds_are_atom(shared: Pages, path: str) -> None:
    """What RFC 4287 asks of a feed and of each entry is there, once, and every address is whole."""
    answer = shared.get(path)
    assert answer.headers["content-type"].startswith("application/atom+xml")
    feed = etree.fromstring(answer.body)
    entries = feed.findall("a:entry", ATOM)
    assert entries
    for element in (feed, *entries):
        assert [len(element.findall(f"a:{name}", ATOM)) for name in ("id", "title", "updated")] == [1, 1, 1]
        assert all(re.search(r"T.*(Z|[+-]\d\d:\d\d)$", each.text or "") for each in element.findall("a:updated", ATOM))
        links = [link.get("href", "") for link in element.findall("a:link", ATOM)]
        assert links
        assert all(link.startswith("https://lab.example.org/") for link in links)
    ids = [entry.findtext("a:id", namespaces=ATOM) for entry in entries]
    assert len(set(ids)) == len(ids)
    assert feed.find("a:author/a:name", ATOM) is not None


def test_a_kept_page_is_known_again(shared: Pages) -> None:
    """Its ETag answers 304 without a body; token pages are never stored."""
    first = shared.get("/")
    again = shared.get("/", if_none_match=f'W/"x", {first.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")
    assert first.headers["cache-control"].startswith("public")
    assert shared.get("/preferences/lab/x").headers["cache-control"] == "no-store"


def test_a_new_edition_shows_by_itself(pages: Pages) -> None:
    """Kept pages end with the edition that they were made of."""
    from tests.factories import report

    assert "10 June 2026" in pages.get("/").text
    pages.now += timedelta(days=1)
    pages.site.app.editions.freeze(pages.site.list.id, pages.now.date(), pages.now, [report()], lambda a, s: (), ())
    pages.site._looked_at -= 60
    assert "11 June 2026" in pages.get("/").text


def test_every_answer_says_how_it_is_to_be_treated(shared: Pages) -> None:
    """No inline script or style, no frame, no sniffing, https from now on; a token goes to nobody; no cookie."""
    for path in ("/", "/unsubscribe/lab/x", "/nothing", f"/paper/lab/{PAPER}"):
        headers = shared.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["referrer-policy"] == ("no-referrer" if "unsubscribe" in path else "same-origin")
        assert "set-cookie" not in headers
        assert not re.search(r"<style|<script(?! src)| style=| on[a-z]+=", shared.get(path).text)


def test_no_page_asks_another_host(shared: Pages) -> None:
    """Nothing that a browser loads by itself has a scheme."""
    for path in PUBLIC:
        text = shared.get(path).text
        assert not re.search(r'(src|srcset|poster|data)="https?:', text), path
        assert not re.search(r'<link rel="(icon|stylesheet|preload)"[^>]*href="https?:', text), path


# --- signing up -----------------------------------------------------------------------------------------------------


def signed_up(pages: Pages, **form: object) -> Answer:
    return pages.post("/subscribe/lab", {"email": ADA, **form})


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
        assert signed_up(pages, client=f"192.0.2.{number}").status == 200
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


# --- signed links ---------------------------------------------------------------------------------------------------


def personal(pages: Pages) -> list[str]:
    """Every page that a link of Ada's opens."""
    member = pages.member()
    own = pages.link(Purpose.PREFERENCES, member)
    votes = [f"{pages.link(Purpose.VOTE, member)}/{ballot}/{PAPER.replace(':', '%3A')}" for ballot in Ballot]
    confirm = f"/confirm/lab/{pages.site.people.tokens.sign_confirmation(member.id, pages.now)}"
    return [*votes, confirm, pages.link(Purpose.UNSUBSCRIBE, member), own, f"{own}/export", f"{own}/erase"]


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
    assert "Saved." in saved
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
    assert "1 of them was never announced here" in shown


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
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_and_nothing_is_saved(pages: Pages, field: str, written: str) -> None:
    """Beside its field; the other fields keep what was typed."""
    path = pages.link(Purpose.PREFERENCES, pages.member())
    before = pages.dump()
    answer = pages.post(path, {field: written, "words": "knots"} | ({} if field == "name" else {"name": "Bo"}))
    assert answer.status == 422
    assert f'id="{field}-problem"' in answer.text
    assert 'value="Bo"' in answer.text
    assert pages.dump() == before


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


# --- where it is served ---------------------------------------------------------------------------------------------


def test_behind_a_prefix_links_hold_either_way(tmp_path: Path) -> None:
    """Whether the proxy takes the prefix away or leaves it, and every link of ours carries it."""
    pages = Pages(tmp_path, base_url="https://example.org/papers")
    with pages.hall:
        taken, left = pages.get("/archive/lab"), pages.get("/papers/archive/lab")
        assert taken.body == left.body
        assert all(link.startswith("/papers/") for link in links_in(pages.get("/papers/").text))
        feed = pages.get("/papers/feed/lab").text
        assert "https://example.org/papers/paper/lab/" in feed


def test_too_large_a_form_is_refused(pages: Pages) -> None:
    """Two megabytes, also where no length was told."""
    path = pages.link(Purpose.PREFERENCES, pages.member())
    assert pages.post(path, b"words=" + b"x" * 2_100_000).status == 413


def test_a_list_overrides_templates(tmp_path: Path) -> None:
    """A page of its own, and a style, whose address is then another."""
    own = tmp_path / "templates" / "web"
    own.mkdir(parents=True)
    (own / "asked.html").write_text("{{ site.name }} says thanks to {{ address }}", encoding="utf-8")
    (own / "style.css").write_text("body { color: red }", encoding="utf-8")
    text = "[topics.other]\ntext = 'other'\n"
    pages = Pages(tmp_path, extra=text)
    shipped = pages.site.masthead.style
    pages.hall.__exit__(None, None, None)
    path = tmp_path / "config.toml"
    path.write_text(path.read_text().replace("[list]\n", '[list]\ntemplates = "templates"\n', 1), encoding="utf-8")
    from digest.settings import load
    from digest.web.serving import Hall

    with Hall(load([path]).lists, lambda: pages.now) as hall:
        pages.hall, pages.application, pages.site = hall, hall.application(), hall.sites["lab"]
        assert signed_up(pages).text == f"Lab says thanks to {ADA}"
        assert pages.site.masthead.style != shipped
        assert pages.get(pages.site.masthead.style).text == "body { color: red }"


def test_one_wish_that_fails_loses_no_other(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the store says of one address, the others on the desk are asked."""
    people, ask = pages.site.people, pages.site.people.ask

    def failing(address: Address, *rest: object) -> bool:
        if address.startswith("bad@"):
            raise StoreError("database is locked")
        return ask(address, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(people, "ask", failing)
    for address in ("bad@example.org", "good@example.org"):
        pages.hall.desk.put(Wish(pages.site, Address(address), Preferences()))
    asyncio.run(pages.hall.clear_desk())
    assert people.members.find(Address("good@example.org")) is not None
    assert people.members.find(Address("bad@example.org")) is None


def test_the_clerk_ends_when_the_pages_do(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops the pages does not wait until it is next looked for a new edition."""
    monkeypatch.setattr("digest.web.serving.LOOK_EVERY", 3600)

    async def main() -> None:
        stop = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(serve(pages.hall, listening, stop))
            await asyncio.sleep(0.5)
            stop.set()
            await asyncio.wait_for(serving, 30)

    asyncio.run(main())
