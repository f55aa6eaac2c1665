"""The demo's invented papers: well-formed, in the publishers' own wire formats, with every promised peculiarity.

Only the standard library reads the files here, so that a mistake in digest's own parsers cannot hide one in the data.
Nothing in this module runs the pipeline.
"""

from __future__ import annotations

import json
import re
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import pytest

DEMO = Path(__file__).parents[1] / "digest" / "demo"
FEEDS = DEMO / "feeds"
DAYS = ("2026-06-09", "2026-06-10")
ARXIV = "{http://arxiv.org/schemas/atom}"
DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
RSS1 = "{http://purl.org/rss/1.0/}"
PRISM = "{http://prismstandard.org/namespaces/basic/2.0/}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}"


def arxiv_id(item: ET.Element) -> str:
    return item.findtext("link", "").removeprefix("https://arxiv.org/abs/")


@cache
def arxiv(day: str) -> dict[str, ET.Element]:
    root = ET.fromstring((FEEDS / "arxiv" / f"{day}.xml").read_bytes())
    items = root.findall("channel/item")
    found = {arxiv_id(item): item for item in items}
    assert len(found) == len(items), "a combined address lists a paper once"
    return found


@cache
def huggingface(day: str) -> dict[str, dict[str, Any]]:
    rows = json.loads((FEEDS / "huggingface" / f"{day}.json").read_bytes())
    return {row["paper"]["id"]: row for row in rows}


@cache
def journal(day: str) -> dict[str, ET.Element]:
    root = ET.fromstring((FEEDS / "journal" / f"{day}.xml").read_bytes())
    return {item.findtext(f"{PRISM}doi", ""): item for item in root.findall(f"{RSS1}item")}


@cache
def config() -> dict[str, Any]:
    return tomllib.loads((DEMO / "config.toml").read_text("utf-8"))


def announce_type(item: ET.Element) -> str:
    return item.findtext(f"{ARXIV}announce_type", "")


def version(item: ET.Element) -> int:
    return int(item.findtext("guid", "").rpartition("v")[2])


def creators(item: ET.Element) -> list[str]:
    return item.findtext(f"{DC}creator", "").split(", ")


def abstract(item: ET.Element) -> str:
    return item.findtext("description", "").partition("\nAbstract: ")[2]


def every_arxiv_item() -> list[ET.Element]:
    return [item for day in DAYS for item in arxiv(day).values()]


def test_sixty_one_papers() -> None:
    """Thirty-four distinct papers on the first day, twenty-seven more on the second; 56 are not mere replacements."""
    seen: set[str] = set()
    fresh = []
    for day in DAYS:
        preprints = set(arxiv(day)) | set(huggingface(day))
        shared = {item.findtext(f"{ARXIV}DOI") for item in every_arxiv_item()}
        today = preprints | (set(journal(day)) - shared)
        fresh.append(len(today - seen))
        seen |= today
    assert fresh == [34, 27]
    replaced = {k for day in DAYS for k, item in arxiv(day).items() if announce_type(item).startswith("replace")}
    first_seen_otherwise = {k for k in replaced if k in arxiv(DAYS[0]) and announce_type(arxiv(DAYS[0])[k]) == "new"}
    assert len(seen - (replaced - first_seen_otherwise)) == 56


@pytest.mark.parametrize("day", DAYS)
def test_arxiv_channel(day: str) -> None:
    """The channel names the day, the combined address and the weekend without announcements."""
    raw = (FEEDS / "arxiv" / f"{day}.xml").read_bytes()
    assert raw.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<rss xmlns:arxiv=")
    assert raw.isascii(), "arXiv writes accents in TeX"
    channel = ET.fromstring(raw).find("channel")
    assert channel is not None
    stamp = date.fromisoformat(day).strftime("%a, %d %b %Y")
    assert channel.findtext("pubDate") == f"{stamp} 00:00:00 -0400"
    assert channel.findtext("lastBuildDate", "").startswith(f"{stamp} 04:00:")
    address = channel.findtext("link", "")
    asked = address.removeprefix("http://rss.arxiv.org/rss/").split("+")
    assert asked == config()["sources"][0]["categories"]
    assert channel.findtext("title") == f"{', '.join(asked)} updates on arXiv.org"
    assert [d.text for d in channel.findall("skipDays/day")] == ["Saturday", "Sunday"]


ITEM_ORDER = re.compile(
    r"title link description guid( category)+ pubDate arxiv:announce_type dc:rights"
    r"( arxiv:DOI)?( arxiv:journal_reference)? dc:creator"
)


@pytest.mark.parametrize("day", DAYS)
def test_arxiv_items(day: str) -> None:
    """Each item has arXiv's elements in arXiv's order, and its id, version and type do not contradict each other."""
    stamp = date.fromisoformat(day).strftime("%a, %d %b %Y 00:00:00 -0400")
    for key, item in arxiv(day).items():
        assert re.fullmatch(r"260[2-6]\.9\d{4}", key)
        names = [child.tag.replace(ARXIV, "arxiv:").replace(DC, "dc:") for child in item]
        assert ITEM_ORDER.fullmatch(" ".join(names)), names
        assert item.findtext("guid") == f"oai:arXiv.org:{key}v{version(item)}"
        opening = f"arXiv:{key}v{version(item)} Announce Type: {announce_type(item)} \nAbstract: "
        assert item.findtext("description", "").startswith(opening)
        assert item.findtext("pubDate") == stamp
        assert item.findtext(f"{DC}rights", "").startswith(
            ("http://creativecommons.org/", "http://arxiv.org/licenses/")
        )


@pytest.mark.parametrize("day", DAYS)
def test_announce_types(day: str) -> None:
    """New, cross, replace and replace-cross come in this order, and fit the version and the categories asked for."""
    types = [announce_type(item) for item in arxiv(day).values()]
    assert set(types) == {"new", "cross", "replace", "replace-cross"}
    assert types == sorted(types, key=["new", "cross", "replace", "replace-cross"].index)
    asked = set(config()["sources"][0]["categories"])
    for item in arxiv(day).values():
        categories = [c.text for c in item.findall("category")]
        assert asked & set(categories)
        assert announce_type(item).endswith("cross") == (categories[0] not in asked)
        assert announce_type(item).startswith("replace") == (version(item) > 1)
    assert Counter(types)["cross"] >= 4


def test_replacement_of_yesterdays_paper() -> None:
    """A paper announced as new on the first day is replaced on the second; version numbers reach 4."""
    again = set(arxiv(DAYS[0])) & set(arxiv(DAYS[1]))
    assert [(announce_type(arxiv(DAYS[1])[k]), version(arxiv(DAYS[1])[k])) for k in again] == [("replace", 2)]
    assert {version(item) for item in every_arxiv_item()} == {1, 2, 3, 4}


def test_tex() -> None:
    """Titles, names and abstracts carry TeX as arXiv leaves it in, and XML's own signs are escaped."""
    titles = " ".join(item.findtext("title", "") for item in every_arxiv_item())
    for formula in (r"$\epsilon$", r"$O(n \log n)$", "$k$", r"$\sqrt{n}$", "$|V|$"):
        assert formula in titles
    names = " ".join(item.findtext(f"{DC}creator", "") for item in every_arxiv_item())
    for accent in (r"\'e", r"\"u", r"\~n", r"\c{c}", r"{\i}", r"{\o}", r"\v{c}", r"\u{g}", r"{\aa}", r"\'S"):
        assert accent in names
    abstracts = " ".join(abstract(item) for item in every_arxiv_item())
    for mark in (r"\emph{", r"\textit{", "$10^{-3}$", r"\%", "Theorem~2", "``", "&", " < "):
        assert mark in abstracts
    raw = "".join((FEEDS / "arxiv" / f"{day}.xml").read_text("utf-8") for day in DAYS)
    assert "Q&amp;A" in raw
    assert "$n &lt; " in raw


def test_author_lists() -> None:
    """One paper has over thirty authors, and some have a single one."""
    sizes = Counter(len(creators(item)) for item in every_arxiv_item())
    assert max(sizes) == 34
    assert sizes[1] == 3


def test_abstract_lengths() -> None:
    """Abstracts have 90 to 200 words, but for one very short note."""
    texts = [abstract(item) for item in every_arxiv_item()]
    texts += [row["summary"] for day in DAYS for row in huggingface(day).values()]
    lengths = sorted(len(text.split()) for text in texts)
    assert lengths[0] < 25
    assert lengths[1] >= 90
    assert lengths[-1] <= 200


OUTER = {"paper", "publishedAt", "title", "summary", "thumbnail", "numComments", "submittedBy", "isAuthorParticipating"}
INNER = {"id", "authors", "publishedAt", "submittedOnDailyAt", "title", "submittedOnDailyBy", "summary"}
INNER |= {"upvotes", "discussionId"}
OPTIONAL = {
    "projectPage",
    "githubRepo",
    "githubRepoAddedBy",
    "githubStars",
    "ai_summary",
    "ai_keywords",
    "organization",
}


@pytest.mark.parametrize("day", DAYS)
def test_huggingface_rows(day: str) -> None:
    """Rows have the service's two layers; upvotes and stars are only inside, and the two dates differ."""
    for key, row in huggingface(day).items():
        paper = row["paper"]
        assert set(row) - {"organization"} == OUTER
        assert set(paper) >= INNER
        assert set(paper) <= INNER | OPTIONAL
        assert (row["title"], row["summary"]) == (paper["title"], paper["summary"])
        assert row.get("organization") == paper.get("organization")
        assert row["publishedAt"] < paper["publishedAt"] < paper["submittedOnDailyAt"]
        assert paper["submittedOnDailyAt"] == f"{day}T00:00:00.000Z"
        assert row["thumbnail"].endswith(f"/{key}.png")
        assert ("githubStars" in paper) == ("githubRepo" in paper)
        assert "$" not in paper["title"] + paper["summary"], "the service drops TeX's dollars"
        for author in paper["authors"]:
            assert set(author) >= {"_id", "name", "hidden"}


def test_huggingface_spread() -> None:
    """Upvotes range from 3 to about 400; one author is hidden; some rows lack optional fields."""
    papers = [row["paper"] for day in DAYS for row in huggingface(day).values()]
    votes = [paper["upvotes"] for paper in papers]
    assert min(votes) == 3
    assert 350 < max(votes) < 450
    authors = [author for paper in papers for author in paper["authors"]]
    assert sum(author["hidden"] for author in authors) == 1
    assert any("user" in author for author in authors)
    for optional in OPTIONAL:
        assert 0 < sum(optional in paper for paper in papers) < len(papers)


def test_same_paper_from_two_sources() -> None:
    """Eight papers are announced by arXiv and Hugging Face on one day; one gets to Hugging Face only a day later."""
    assert len(set(arxiv(DAYS[0])) & set(huggingface(DAYS[0]))) == 5
    assert len(set(arxiv(DAYS[1])) & set(huggingface(DAYS[1]))) == 3
    late = set(arxiv(DAYS[0])) & set(huggingface(DAYS[1]))
    assert late == {"2606.90140"}
    assert not late & (set(arxiv(DAYS[1])) | set(huggingface(DAYS[0])))


def test_shared_doi() -> None:
    """One arXiv item names the DOI of a journal item of the same day, and the journal shows it again on the next."""
    shared = [item for item in every_arxiv_item() if item.find(f"{ARXIV}DOI") is not None]
    assert len(shared) == 1
    assert shared[0].findtext(f"{ARXIV}journal_reference")
    doi = shared[0].findtext(f"{ARXIV}DOI", "")
    assert shared[0] in arxiv(DAYS[0]).values()
    assert doi in journal(DAYS[0])
    assert doi in journal(DAYS[1])
    assert journal(DAYS[0])[doi].findtext(f"{RSS1}title", "").lower() == shared[0].findtext("title", "").lower()


@pytest.mark.parametrize("day", DAYS)
def test_journal(day: str) -> None:
    """The journal's RSS 1.0 lists its items in rdf:Seq, and gives each one's DOI, date and authors."""
    root = ET.fromstring((FEEDS / "journal" / f"{day}.xml").read_bytes())
    listed = [li.get(f"{RDF}resource") for li in root.iter(f"{RDF}li")]
    items = list(journal(day).items())
    assert listed == [item.get(f"{RDF}about") for _, item in items]
    assert len(items) == 6
    for doi, item in items:
        assert doi.startswith("10.5555/tb.2026.")
        assert item.findtext(f"{DC}identifier") == f"doi:{doi}"
        assert item.findtext(f"{DC}date", "") <= day
        assert item.findall(f"{DC}creator")
        content = item.findtext(f"{CONTENT}encoded", "").strip()
        assert content.startswith("<p>Tidemark Biology, Published online: ")
        assert f">doi:{doi}</a></p>" in content


def test_journal_repeats_and_correction() -> None:
    """The second day repeats three items of the first unchanged; one item is a correction; one title has markup."""
    repeated = set(journal(DAYS[0])) & set(journal(DAYS[1]))
    assert len(repeated) == 3
    for doi in repeated:
        assert ET.tostring(journal(DAYS[0])[doi]).strip() == ET.tostring(journal(DAYS[1])[doi]).strip()
    titles = [item.findtext(f"{RSS1}title", "") for day in DAYS for item in journal(day).values()]
    assert sum(title.startswith("Author Correction: ") for title in titles) == 1
    assert any("<i>" in title for title in titles)


def test_nearly_equal_titles() -> None:
    """FrameLoom and FrameLoom++ are different papers of different days and sources."""
    old = {k for k, item in arxiv(DAYS[0]).items() if item.findtext("title", "").startswith("FrameLoom: ")}
    new = {k for k, row in huggingface(DAYS[1]).items() if row["title"].startswith("FrameLoom++: ")}
    assert len(old) == len(new) == 1
    assert old != new


def test_links() -> None:
    """No link leads to a real page other than arXiv's and Hugging Face's own forms; code lives in a made-up account."""
    allowed = re.compile(r"(.+\.)?(example\.(org|net)|huggingface\.co)|(rss\.)?arxiv\.org|doi\.org")
    vocabularies = {
        "www.w3.org",
        "purl.org",
        "prismstandard.org",
        "webns.net",
        "www.rssboard.org",
        "creativecommons.org",
    }
    for path in FEEDS.rglob("*.*"):
        for url in re.findall(r"https?://[^\s\"'<>\])}]+", path.read_text("utf-8")):
            parts = urlsplit(url)
            if parts.netloc == "github.com":
                assert parts.path.startswith("/example-lab/"), url
            else:
                assert parts.netloc in vocabularies or allowed.fullmatch(parts.netloc), url


def test_files_are_readable() -> None:
    """Each source has one file a day, with line breaks and indents, and ends with a line break."""
    for folder, suffix in (("arxiv", "xml"), ("huggingface", "json"), ("journal", "xml")):
        assert sorted(p.name for p in (FEEDS / folder).iterdir()) == [f"{day}.{suffix}" for day in DAYS]
        for day in DAYS:
            text = (FEEDS / folder / f"{day}.{suffix}").read_text("utf-8")
            assert text.endswith("\n")
            assert text.count("\n    ") > 100
            assert "\r" not in text


def test_config() -> None:
    """The sample list names the three feeds, defines every topic it uses, and leaves relay and store out."""
    settings = config()
    assert set(settings) == {"list", "sources", "topics", "subscribers"}
    assert [(DEMO / source["url"]).is_dir() for source in settings["sources"]] == [True, True, True]
    assert settings["list"]["timezone"] in available_timezones()
    assert sum(bool(topic.get("exclude")) for topic in settings["topics"].values()) == 1
    assert len(settings["subscribers"]) == 4
    for person in settings["subscribers"]:
        assert person["email"].rpartition("@")[2] in {"example.org", "example.net"}
        assert person.get("timezone", "UTC") in available_timezones()
        for topic in person["topics"]:
            assert topic["text"] if isinstance(topic, dict) else topic in settings["topics"]
    assert not all(person["name"].isascii() for person in settings["subscribers"])
    assert any(isinstance(topic, dict) for person in settings["subscribers"] for topic in person["topics"])


def test_config_meets_the_feeds() -> None:
    """The examples and the followed authors of the subscribers, and the excluded word, occur in the feeds."""
    people = config()["subscribers"]
    examples = [key for person in people for key in person.get("examples", [])]
    assert examples
    assert {key.removeprefix("arxiv:") for key in examples} <= set(arxiv(DAYS[0]))
    followed = [name for person in people for name in person.get("authors", [])]
    in_tex = {"Zsófia Keresztély": r"Zs\'ofia Kereszt\'ely"}
    for day in DAYS:
        named = {name for item in arxiv(day).values() for name in creators(item)}
        named |= {author["name"] for row in huggingface(day).values() for author in row["paper"]["authors"]}
        assert {in_tex.get(name, name) for name in followed} <= named
    excluded = [word for topic in config()["topics"].values() for word in topic.get("exclude", [])]
    texts = " ".join(item.findtext("title", "") + abstract(item) for item in arxiv(DAYS[0]).values()).lower()
    assert all(word in texts for word in excluded)
