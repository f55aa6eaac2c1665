"""Publishers' feeds, read."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.model import LinkKind, Paper, Source, SourceKind
from digest.pull import feeds
from digest.pull.parsed import Parsed, read_date, web_address

SOURCE = Source(SourceKind.FEED, "Journal", url="https://journal.example/rss")

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/"><channel><title>Journal</title>"""
TAIL = "</channel></rss>"


def parse(*items: str, day: date | None = None) -> Parsed:
    body = HEAD + "".join(f"<item>{item}</item>" for item in items) + TAIL
    return feeds.parse(body.encode("utf-8"), SOURCE, where="feed", day=day)


def paper(item: str) -> Paper:
    """The one paper of a feed with one item."""
    (announcement,) = parse(item).announcements
    return announcement.paper


def test_an_article_with_prism_and_dublin_core() -> None:
    """Title, abstract, authors, DOI, date and link of a publisher's item."""
    parsed = parse(
        """<title>Why &lt;i&gt;E. coli&lt;/i&gt; swims</title><link>https://journal.example/a/1?af=R</link>
        <content:encoded><![CDATA[<p>Journal, Published online: 03 June 2026; <a href="https://journal.example/a/1">
        doi:10.1234/J-1</a></p>It swims because it can.]]></content:encoded>
        <dc:creator>Ann Lee</dc:creator><dc:creator>Bo Li</dc:creator>
        <dc:date>2026-06-03</dc:date><prism:doi>10.1234/J-1</prism:doi>"""
    )
    (announcement,) = parsed.announcements
    article = announcement.paper
    assert article.id == "doi:10.1234/j-1"
    assert (article.title, article.abstract) == ("Why E. coli swims", "It swims because it can.")
    assert article.authors == ("Ann Lee", "Bo Li")
    assert (article.published, announcement.announced_on) == (datetime(2026, 6, 3, tzinfo=UTC), date(2026, 6, 3))
    assert [(link.kind, link.url) for link in article.links] == [
        (LinkKind.ABS, "https://journal.example/a/1?af=R"),
        (LinkKind.DOI, "https://doi.org/10.1234/j-1"),
    ]


@pytest.mark.parametrize(
    ("field", "doi"),
    [
        ("<dc:identifier>doi:10.1234/ABC</dc:identifier>", "10.1234/abc"),
        ("<guid>https://doi.org/10.1234/abc</guid>", "10.1234/abc"),
        ("<link>https://onlinelibrary.example/doi/abs/10.1234/abc?af=R</link>", "10.1234/abc"),
        ("<link>https://journal.example/articles/10.1234/abc/full</link>", "10.1234/abc"),
        ("<link>https://www.biorxiv.org/content/10.1101/2026.06.01.1v2?rss=1</link>", "10.1101/2026.06.01.1"),
        ("<link>https://www.biorxiv.org/content/10.64898/2026.06.01.1v2</link>", "10.64898/2026.06.01.1"),
        ("<description>&lt;p&gt;DOI: 10.1234/abc&lt;/p&gt;&lt;p&gt;Abstract: X&lt;/p&gt;</description>", "10.1234/abc"),
        (
            "<link>https://x.example/doi/10.1234/abc/99/Title</link><description>A. DOI: 10.1234/abc, B</description>",
            "10.1234/abc",
        ),
        (
            "<link>https://j.example/10.9999/x</link><description>A.&lt;br/&gt;DOI: 10.1234/abc</description>",
            "10.1234/abc",
        ),
        ("<link>https://j.example/doi/10.1234/ABC/1288875/On-walks</link>", "10.1234/abc"),
        ("<link>https://j.example/doi/10.1234/journal/1288875</link>", "10.1234/journal/1288875"),
        ("<description>Our data are at https://doi.org/10.5281/zenodo.1</description>", None),
        ("<link>https://journal.example/10.html</link>", None),
    ],
)
def test_a_doi_is_found_where_publishers_put_it(field: str, doi: str | None) -> None:
    """An article's own DOI is found, never one that its abstract mentions."""
    assert paper(f"<title>T</title>{field}").doi == doi


@pytest.mark.parametrize(
    "field",
    [
        "<link>https://arxiv.org/abs/2606.00001v2</link>",
        "<guid>oai:arXiv.org:2606.00001v2</guid>",
        "<guid>https://doi.org/10.48550/arXiv.2606.00001v2</guid>",
    ],
)
def test_an_arxiv_paper_in_another_feed_is_arxivs(field: str) -> None:
    """An arXiv id in link, guid or DOI makes it the same paper as arXiv's own."""
    found = paper(f"<title>T</title>{field}")
    assert (found.id, found.version, found.doi) == ("arxiv:2606.00001", 2, None)
    assert found.links[0].url == "https://arxiv.org/abs/2606.00001"


@pytest.mark.parametrize(
    ("description", "abstract"),
    [
        ("<p>We did it.</p>", "We did it."),
        ("<h4>ABSTRACT</h4><p>We did <b>it</b>.</p>", "We did it."),
        ("Abstract We did it.", "We did it."),
        ("<p>J. Exam. 1: 2-3</p><p>Authors: A B</p><p>Abstract: We did it.</p>", "We did it."),
        (
            "<p>Front Exam. 2021;12:7. doi: 10.1/2</p><p>ABSTRACT</p><p>We did it.</p><p>PMID:1 | DOI:10.1234/2</p>",
            "We did it.",
        ),
        ("Volume 7, Issue 6, Page 1-2, June 2026.", ""),
        ("<p><b>Edge Article</b> — 10 June 2026</p><p>Ann Lee; Bo Li</p><p>DOI: 10.1234/2</p>", ""),
        ("<div><cite>J. Exam.</cite></div><div>DOI: 10.1234/2</div>", "J. Exam."),
        ("<div><cite>Exam J</cite></div><div>DOI: 10.1234/2</div>", ""),
        ("We did it. <a>HTML</a> <a>XML</a> <a>PDF</a>", "We did it."),
        ("Ann LEE;Bo LI;</br>We did it.", "We did it."),
        ("N/A", ""),
        ("No abstract available.", ""),
        ("<p>Publication date: June 2026</p><p><b>Source:</b> J</p><p>Author(s): Ann Lee, Bo Li</p>", ""),
        ("A title", ""),
        ("Summary statistics are new. We did it.", "Summary statistics are new. We did it."),
    ],
)
def test_an_abstract_is_freed_of_its_bibliography(description: str, abstract: str) -> None:
    """Lines of bibliography around the abstract, and the title again, are no abstract."""
    assert paper(f"<title>A title</title><description><![CDATA[{description}]]></description>").abstract == abstract


def test_the_longest_of_several_abstracts_counts() -> None:
    """Feeds carry a teaser and a full text; the full one is the abstract."""
    item = "<title>T</title><description>Short.</description><content:encoded>Short, but longer.</content:encoded>"
    assert paper(item).abstract == "Short, but longer."


@pytest.mark.parametrize(
    ("field", "authors"),
    [
        ("<dc:creator>Ann Lee, Bo Li and Jo Day</dc:creator>", ("Ann Lee", "Bo Li", "Jo Day")),
        ("<author>ann@example.org (Ann Lee)</author>", ("Ann Lee",)),
        ("<dc:creator>Lee, A., Li, B.,</dc:creator>", ("A. Lee", "B. Li")),
        (
            "<dc:creator>Lee, Ann</dc:creator><dc:creator>de la Cruz, Bo X.</dc:creator>",
            ("Ann Lee", "Bo X. de la Cruz"),
        ),
        ("<dc:creator>Lee, Ann</dc:creator>", ("Ann Lee",)),
        ("<dc:creator>Ann Lee, Bo Li</dc:creator>", ("Ann Lee", "Bo Li")),
        ("<dc:creator>Ann Lee, PhD</dc:creator><dc:creator>Bo Li, Jr.</dc:creator>", ("Ann Lee, PhD", "Bo Li, Jr.")),
        ("<dc:creator>李安,王波</dc:creator>", ("李安", "王波")),
        ("<dc:creator>Ann Lee&lt;sup&gt;1,2&lt;/sup&gt;, Bo Li*</dc:creator>", ("Ann Lee", "Bo Li")),
        ("<description>Ann LEE;Bo LI;&lt;/br&gt;We did it.</description>", ("Ann LEE", "Bo LI")),
        (
            "<description>&lt;b&gt;Lee, Ann; Li, Bo&lt;/b&gt;&lt;br/&gt;Abstract: It.</description>",
            ("Ann Lee", "Bo Li"),
        ),
        ("<description>&lt;p&gt;Author(s): Ann Lee, Bo Li&lt;/p&gt;</description>", ("Ann Lee", "Bo Li")),
        ('<dc:creator>&lt;a href="https://x.example"&gt;Ann Lee&lt;/a&gt;, Bo Li</dc:creator>', ("Ann Lee", "Bo Li")),
    ],
)
def test_authors_as_publishers_write_them(field: str, authors: tuple[str, ...]) -> None:
    """Authors come repeated, in one string, as an address, or inside the description."""
    assert paper(f"<title>T</title>{field}").authors == authors


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Wed, 10 Jun 2026 00:00:00 -0400", "2026-06-10T00:00:00-04:00"),
        ("10 Jun 2026 07:05 GMT", "2026-06-10T07:05:00+00:00"),
        ("Wed, 10 Jun 2026 07:05:00 Z", "2026-06-10T07:05:00+00:00"),
        ("Thu, 09 Dec 2021 11:48:31 EST", "2021-12-09T11:48:31-05:00"),
        ("2026-06-10", "2026-06-10T00:00:00+00:00"),
        ("2026-06-10T07:05:00+0900", "2026-06-10T07:05:00+09:00"),
        ("2026-06-10t07:05:00.123z", "2026-06-10T07:05:00.123000+00:00"),
        ("2026-06", "2026-06-01T00:00:00+00:00"),
        ("2021/10/16 9:23:28", None),
        ("Mi, 30 Jun 2021 00:00:00 +0000", None),
        ("Do, 07 Okt 2021 19:15:22 +0000", None),
        ("Thu, 02 Dec 2021 14:37:34 HST", None),
        ("31 Feb 2026 00:00:00 GMT", None),
        ("2026-13-01", None),
        ("10/06/2026", None),
        ("0001-01-01", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_are_read_or_left_out(text: str, moment: str | None) -> None:
    """What is neither RFC 822 nor ISO 8601 is no date, rather than a wrong one."""
    read = read_date(text)
    assert (read.isoformat() if read else None) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021/10/16 9:23:28", "2021-10-16T09:23:28+00:00"),
        ("2021/11/9", "2021-11-09T00:00:00+00:00"),
        ("2021/13/09", None),
        ("09/11/2021", None),
        ("Mi, 30 Jun 2021 00:00:00 +0000", "2021-06-30T00:00:00+00:00"),
        ("Do, 07 Okt 2021 19:15:22 +0200", "2021-10-07T17:15:22+00:00"),
        ("Mo, 01 Mär 2021 00:00:00 +0000", "2021-03-01T00:00:00+00:00"),
        ("Do, 31 Feb 2021 00:00:00 +0000", None),
        ("mié, 30 fév 2021 00:00:00 +0000", None),
        ("Thu, 02 Dec 2021 14:37:34 HST", "2021-12-03T00:37:34+00:00"),
        ("Thu, 02 Dec 2021 14:37:34 IST", None),
    ],
)
def test_dates_written_otherwise(text: str, moment: str | None) -> None:
    """Dates with the year first, German ones and Hawaii's are read, as they can mean one day only; others are not."""
    published = paper(f"<title>T</title><pubDate>{text}</pubDate>").published
    assert (published.isoformat() if published else None) == moment


def test_an_entry_without_a_date_takes_the_day_of_its_file() -> None:
    """Where an entry has no date to trust, its day is the one asked for, and it has no date of publication."""
    (announcement,) = parse("<title>T</title><pubDate>10/06/2021</pubDate>", day=date(2026, 6, 10)).announcements
    assert (announcement.announced_on, announcement.paper.published) == (date(2026, 6, 10), None)


def test_an_entry_without_a_title_is_rejected_by_name() -> None:
    """Rejections name an entry by its guid, its link, else its place; the others are read."""
    parsed = parse(
        "<guid>g-1</guid>",
        "<title> </title><link>https://x.example/2</link>",
        "<description> </description>",
        "<title>T</title>",
    )
    assert [(r.entry, r.reason) for r in parsed.rejected] == [
        ("g-1", "has no title"),
        ("https://x.example/2", "has no title"),
        ("entry 3", "has no title"),
    ]
    assert len(parsed.announcements) == 1


@pytest.mark.parametrize(
    ("description", "title"),
    [
        ("We walk on graphs. The walks are short.", "We walk on graphs."),
        ("&lt;p&gt;No end in sight", "No end in sight"),
        ("word " * 100, "word " * 23 + "word…"),
    ],
)
def test_an_entry_without_a_title_takes_its_first_sentence(description: str, title: str) -> None:
    """Where there is a text but no title, the first sentence stands for it, cut at a word if it is long."""
    assert paper(f"<description>{description}</description>").title == title


def test_entries_that_are_no_papers_are_skipped() -> None:
    """A pattern of the source's `skip` is looked for in title, section, category and DOI, whatever the case."""
    source = replace(SOURCE, skip=("^author correction", "^editorial$", "d41586", "corrigend"))
    items = [
        "<title>Author Correction: T</title>",
        "<title>In this volume</title><prism:section>EDITORIAL</prism:section>",
        "<title>Career advice</title><prism:doi>10.1038/d41586-026-1</prism:doi>",
        "<title>On walks</title><category>Corrigenda</category>",
        "<title>The author correction of walks</title><prism:section>Editorial methods</prism:section>",
    ]
    body = HEAD + "".join(f"<item>{item}</item>" for item in items) + TAIL
    parsed = feeds.parse(body.encode(), source, where="feed")
    assert parsed.skipped == 4
    assert [a.paper.title for a in parsed.announcements] == ["The author correction of walks"]
    assert not parsed.rejected


def test_a_retracted_article_is_marked() -> None:
    """A publisher's mark in the title marks the paper; the notice of the retraction is another paper."""
    assert paper("<title>RETRACTED ARTICLE: On walks</title>").withdrawn
    assert not paper("<title>Retraction Note: On walks</title>").withdrawn


def test_the_mark_of_acs_is_no_part_of_a_title() -> None:
    """The American Chemical Society's `[ASAP]` goes, so that the title is the article's."""
    assert paper("<title>[ASAP] On walks</title>").title == "On walks"


def test_markup_of_a_title_is_text() -> None:
    """Scripts do not come through, angle brackets that are no markup do."""
    title = "&lt;script&gt;alert(1)&lt;/script&gt;The &amp;lt;Transformer&amp;gt; of &lt;Transformer&gt;"
    assert paper(f"<title>{title}</title>").title == "The <Transformer> of <Transformer>"


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://x.example/a b?c=d e", "https://x.example/a%20b?c=d%20e"),
        ("http://x.example/ü", "http://x.example/ü"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("file:///etc/passwd", None),
        ("/relative", None),
        ("//x.example/a", None),
        ("https://", None),
        ("https://x.example:99999/", None),
        ("https://[::1", None),
        ('https://x.example/"onmouseover="x', None),
        ("https://x.example/" + "a" * 3000, None),
        (None, None),
    ],
)
def test_only_web_addresses_become_links(address: str | None, link: str | None) -> None:
    """A link is an absolute http(s) address with nothing in it that ends an attribute."""
    assert web_address(address) == link


def test_a_cut_feed_keeps_what_came_before() -> None:
    """The entries before the cut are kept, the half one is named, and the report has an error."""
    body = (HEAD + "<item><title>One</title></item><item><title>Two</title><descr").encode()
    parsed = feeds.parse(body, SOURCE, where="feed")
    assert [a.paper.title for a in parsed.announcements] == ["One"]
    assert [(r.entry, r.reason) for r in parsed.rejected] == [("Two", "is cut off")]
    assert "breaks off after 1 entries" in (parsed.error or "")


def test_a_feed_that_is_merely_malformed_is_read() -> None:
    """A bare ampersand makes a feed ill-formed, not unreadable."""
    parsed = parse("<title>Q & A</title>", "<title>Two</title>")
    assert [a.paper.title for a in parsed.announcements] == ["Q & A", "Two"]
    assert parsed.error is None


def test_an_empty_feed_is_a_note() -> None:
    """A feed without entries is no fault."""
    assert parse().notes == ("feed has no entries",)


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>404</body></html>", b"[]", b"/etc/hostname", b"https://x.example/"]
)
def test_what_is_no_feed_is_an_error(body: bytes) -> None:
    """A page, JSON, a path or an address in place of a feed is refused; nothing is opened that a body names."""
    with pytest.raises(SourceError, match=r"^feed is "):
        feeds.parse(body, SOURCE, where="feed")


def test_a_body_that_is_a_path_is_not_opened(tmp_path: Path) -> None:
    """An answer that holds the name of a file here, even of a feed, is text, and no feed."""
    (tmp_path / "feed.xml").write_text(HEAD + "<item><title>Secret</title></item>" + TAIL)
    with pytest.raises(SourceError, match="is something else"):
        feeds.parse(str(tmp_path / "feed.xml").encode(), SOURCE, where="feed")


def test_an_xml_bomb_is_not_set_off() -> None:
    """Entities that grow a thousandfold are not expanded."""
    entities = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{inner};" * 10}">' for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    body = f"<!DOCTYPE rss [{entities}]><rss version='2.0'><channel><item><title>T &i;</title></item></channel></rss>"
    parsed = feeds.parse(body.encode(), SOURCE, where="feed")
    assert all(len(a.paper.title) < 1000 for a in parsed.announcements)


def test_a_feed_without_end_is_refused() -> None:
    """A feed of more entries than anyone reads is refused before it is parsed."""
    with pytest.raises(SourceError, match="more than 20,000 entries"):
        feeds.parse((HEAD + "<item>" * 20_001).encode(), SOURCE, where="feed")


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_noise_is_read_or_refused(noise: bytes) -> None:
    """Random bytes, bare or inside a feed, never crash the reader."""
    for body in (noise, HEAD.encode() + b"<item>" + noise + b"</item>" + TAIL.encode()):
        try:
            parsed = feeds.parse(body, SOURCE, where="feed")
        except SourceError:
            continue
        assert all(a.paper.title for a in parsed.announcements)
