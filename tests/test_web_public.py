"""The pages that everybody sees, and the feeds: what is on them, and that they are small and lead somewhere."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from lxml import etree

from tests.asking import PUBLIC, Pages, links_in

ATOM = {"a": "http://www.w3.org/2005/Atom"}


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


def test_a_new_edition_shows_by_itself(pages: Pages) -> None:
    """Kept pages end with the edition that they were made of."""
    from tests.factories import report

    assert "10 June 2026" in pages.get("/").text
    pages.now += timedelta(days=1)
    pages.site.app.editions.freeze(pages.site.list.id, pages.now.date(), pages.now, [report()], lambda a, s: (), ())
    pages.site._looked_at -= 60
    assert "11 June 2026" in pages.get("/").text
