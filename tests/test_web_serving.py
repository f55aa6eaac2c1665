"""How pages are served: what every answer says of itself, prefixes, limits, templates of a list's own, the clerk."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from digest.errors import StoreError
from digest.members import Preferences
from digest.model import Address
from digest.settings import ListConfig, load
from digest.subscribe.tokens import Purpose
from digest.web.joining import Wish
from digest.web.serving import Hall, serve
from tests.asking import ADA, PAPER, PUBLIC, Pages, links_in
from tests.lists import write_list
from tests.waiting import PATIENCE


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


def test_a_kept_page_is_known_again(shared: Pages) -> None:
    """Its ETag answers 304 without a body; token pages are never stored."""
    first = shared.get("/")
    again = shared.get("/", if_none_match=f'W/"x", {first.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")
    assert first.headers["cache-control"].startswith("public")
    assert shared.get("/preferences/lab/x").headers["cache-control"] == "no-store"


def test_behind_a_prefix_links_hold_either_way(tmp_path: Path) -> None:
    """Whether the proxy takes the prefix away or leaves it, and every link of ours carries it."""
    pages = Pages(tmp_path, base_url="https://example.org/papers")
    with pages.hall:
        taken, left = pages.get("/archive/lab"), pages.get("/papers/archive/lab")
        assert taken.body == left.body
        assert all(link.startswith("/papers/") for link in links_in(pages.get("/papers/").text))
        feed = pages.get("/papers/feed/lab").text
        assert "https://example.org/papers/paper/lab/" in feed


@pytest.mark.parametrize("base_url", ["https://lab.example.org", "https://example.org/papers"])
def test_a_slash_too_many_at_the_end_leads_nowhere_else(tmp_path: Path, base_url: str) -> None:
    """The page is the same; no answer names the address at which this server is reached by its proxy."""
    pages = Pages(tmp_path, base_url=base_url)
    with pages.hall:
        for path in ("/archive/lab", "/lab", f"/paper/lab/{PAPER}", f"{urlsplit(base_url).path}/archive/lab"):
            plain, slash = pages.get(path), pages.get(f"{path}/")
            assert (slash.status, slash.body) == (200, plain.body)
        signed = pages.link(Purpose.UNSUBSCRIBE, pages.member())
        assert "You are unsubscribed" in pages.post(f"{signed}/").text
        assert pages.get("/archive/lab//").status == 404
        assert pages.get("/archive/lab%2F").status == 404


def test_where_nothing_is_a_way_leads_on(tmp_path: Path) -> None:
    """To the front of all lists; where they have several, which would be told of one is not told."""
    pages = Pages(tmp_path / "one", base_url="https://example.org/papers")
    with pages.hall:
        assert '<a href="/papers/">Back to the papers</a>' in pages.get("/nothing").text
    configs: list[ListConfig] = []
    for name, where in (("a", "https://a.example.org"), ("b", "https://b.example.org")):
        (tmp_path / name).mkdir()
        path = write_list(tmp_path / name)
        text = path.read_text().replace('id = "lab"', f'id = "{name}"')
        path.write_text(text.replace("[list]\n", f'[list]\nbase_url = "{where}"\n', 1))
        configs += load([path]).lists
    with Hall(configs, lambda: pages.now) as hall:
        pages.application = hall.application()
        answer = pages.get("/nothing")
    assert answer.status == 404
    assert "Back to the papers" not in answer.text


def test_a_method_that_a_page_has_not_is_told_those_that_it_has(shared: Pages) -> None:
    """RFC 9110 section 15.5.6; and the page leads back."""
    answer = shared.ask("DELETE", "/archive/lab")
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert '<a href="/">Back to the papers</a>' in answer.text


@pytest.mark.parametrize("path", ["*", "x", "//", "?"])
def test_a_path_that_is_none_leads_nowhere(shared: Pages, path: str) -> None:
    """As scanners send them: no address begins without a slash (RFC 9112 section 3.2 has `*` for OPTIONS alone)."""
    assert shared.get(path).status in {200, 404}


def test_who_goes_in_the_middle_of_a_form_is_no_trouble(pages: Pages) -> None:
    """A telephone that loses its connection while it sends a library: nothing is changed, and nothing is logged."""
    path = pages.link(Purpose.PREFERENCES, pages.member(Preferences("Ada")))
    before = pages.dump()
    pages.breaks_off = True
    assert pages.post(path, b"name=B").status == 400
    assert pages.dump() == before


def test_too_large_a_form_is_refused(pages: Pages) -> None:
    """Two megabytes, also where no length was told."""
    path = pages.link(Purpose.PREFERENCES, pages.member())
    answer = pages.post(path, b"words=" + b"x" * 2_100_000)
    assert answer.status == 413
    assert "Nothing was changed" in answer.text


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
    from digest.web.serving import Hall

    with Hall(load([path]).lists, lambda: pages.now) as hall:
        pages.hall, pages.application, pages.site = hall, hall.application(), hall.sites["lab"]
        assert pages.post("/subscribe/lab", {"email": ADA}).text == f"Lab says thanks to {ADA}"
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


def out_of_reach(monkeypatch: pytest.MonkeyPatch, pages: Pages) -> None:
    """No statement comes through to the store until the patch is undone."""

    def refused() -> None:
        raise StoreError("127.0.0.1/papers: connection refused; check that the server runs")

    database = pages.site.app._database
    for way in ("read", "write"):
        monkeypatch.setattr(database, way, refused)


def test_without_its_store_a_page_says_to_come_again(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """503 for readers, mail programs and monitors; the operator is told in a line, and again of the next time."""
    addresses = [pages.link(purpose, pages.member()) for purpose in (Purpose.PREFERENCES, Purpose.UNSUBSCRIBE)]
    for _ in range(2):
        with monkeypatch.context() as patched:
            out_of_reach(patched, pages)
            for answer in (*map(pages.get, addresses), pages.post(addresses[-1])):
                assert (answer.status, answer.headers["retry-after"]) == (503, "60")
                assert "try again in a few minutes" in answer.text
            told = "lab: the pages: 127.0.0.1/papers: connection refused; check that the server runs\n"
            assert capsys.readouterr().err == told
        followed(pages, monkeypatch, pages.site.app.config.path.read_text(encoding="utf-8"))
        assert [pages.get(address).status for address in addresses] == [200, 200]
    assert not [record for record in caplog.records if record.exc_info]


def test_a_wish_outlasts_the_store(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever signed up while the store was away was told of a letter, and has it when the store is back."""
    with monkeypatch.context() as patched:
        out_of_reach(patched, pages)
        assert pages.post("/subscribe/lab", {"email": ADA}).status == 200
        for _ in range(2):
            asyncio.run(pages.hall.clear_desk())
    assert capsys.readouterr().err.count("a letter could not be written: ") == 1
    assert pages.site.people.members.find(ADA) is None
    asyncio.run(pages.hall.clear_desk())
    assert pages.site.people.members.find(ADA) is not None


def test_the_clerk_ends_when_the_pages_do(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops the pages does not wait until it is next looked for a new edition."""
    monkeypatch.setattr("digest.web.serving.LOOK_EVERY", 3600)

    async def main() -> None:
        stop = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(serve(pages.hall, listening, stop))
            await asyncio.sleep(0.5)
            stop.set()
            await asyncio.wait_for(serving, PATIENCE)

    asyncio.run(main())


def followed(pages: Pages, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Writes the config anew, and has the clerk look once."""
    pages.site.app.config.path.write_text(text, encoding="utf-8")
    stop = asyncio.Event()

    async def has_looked(_: float) -> None:
        stop.set()

    monkeypatch.setattr(pages.hall.desk, "rung", has_looked)
    asyncio.run(pages.hall.attend(stop))


def test_a_changed_config_is_taken_up(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, language, topics and where the pages are, without a new start; pages that were kept are made anew."""
    assert "<title>Lab, Wednesday" in pages.get("/").text
    text = pages.site.app.config.path.read_text(encoding="utf-8")
    text = text.replace('name = "Lab"', 'name = "Labor"').replace('language = "en"', 'language = "de"')
    text = text.replace("[topics.video]", "[topics.film]").replace(
        "https://lab.example.org", "http://lab.example.org/x"
    )
    style = pages.site.masthead.style
    followed(pages, monkeypatch, re.sub(r'topics = \["\w+"\]', 'topics = ["film"]', text))
    page = pages.get("/x/")
    assert "<title>Labor, Mittwoch" in page.text
    assert 'value="film"' in page.text
    assert all(link.startswith("/x/") for link in links_in(page.text))
    assert "strict-transport-security" not in page.headers
    assert "Hier ist nichts" in pages.get("/nothing").text
    assert pages.get(style).status == 200, "what is on pages that somebody reads"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda text: text + "[lisst]\n", "the config as it was goes on"),
        (lambda text: text.replace('id = "lab"', 'id = "lob"'), "which is another list"),
        (lambda text: text.replace("[list]\n", '[list]\ntemplates = "templates"\n', 1), "style.css:1"),
    ],
)
def test_a_broken_config_ends_nothing(
    pages: Pages,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: Callable[[str], str],
    told: str,
) -> None:
    """The pages stay as they were, which is told once; mended, it counts."""
    path = pages.site.app.config.path
    (path.parent / "templates" / "web").mkdir(parents=True)
    (path.parent / "templates" / "web" / "style.css").write_text("{{ nonsense }}", encoding="utf-8")
    text, before = path.read_text(encoding="utf-8"), pages.get("/").body
    followed(pages, monkeypatch, broken(text))
    assert pages.get("/").body == before
    assert capsys.readouterr().err.count(told) == 1
    followed(pages, monkeypatch, text.replace('name = "Lab"', 'name = "Labor"'))
    assert "<title>Labor," in pages.get("/").text
