"""PubMed: the answers of NCBI's E-utilities to announcements: `esearch` for the ids, `efetch` for the records.

Format: https://www.ncbi.nlm.nih.gov/books/NBK25499/ and https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd. The
records are XML, read by lxml with entities, external documents and huge trees switched off. Asked for is what was added
to PubMed in the window. Tool, contact and key go into the address, as NCBI asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from lxml import etree

from digest.errors import SourceError
from digest.model import Announcement
from digest.pull import api
from digest.pull.addresses import shown
from digest.pull.conversation import Ask, Conversation, Task, ask, ask_each
from digest.pull.http import Response
from digest.pull.parsed import Parsed, joined

UTILITIES = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
PAGE = "https://pubmed.ncbi.nlm.nih.gov/"
AT_ONCE = 200
"""Records of one answer, as NCBI advises."""
MOST = 2000
"""Records of one pull."""
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: f"{number:02}" for number, name in enumerate(_NAMES, start=1)}


def converse(task: Task) -> Conversation:
    """Ask for the ids of what was added in the window, then for the records."""
    own = task.files if task.files is not None else [(None, task.source.url)] if task.source.url else None
    if own is not None:
        return (yield from ask_each(own, lambda body, where, _: parse(body, task, where=where)))
    first, last = (day.replace("-", "/") for day in api.span(task))
    search = {"term": task.source.query or "", "datetype": "edat", "mindate": first, "maxdate": last}
    url = _address("esearch.fcgi", task, **search, retmode="json", retmax=str(MOST))
    ids: list[str] = []

    def read_ids(answer: Response) -> Parsed:
        found, note = identifiers(answer.body, shown(url))
        ids.extend(found)
        return Parsed(notes=(note,) if note else ())

    parts = [(yield from ask(Ask(url), read_ids))]
    addresses = [
        (None, _address("efetch.fcgi", task, id=",".join(ids[at : at + AT_ONCE]), retmode="xml"))
        for at in range(0, len(ids), AT_ONCE)
    ]
    parts.append((yield from ask_each(addresses, lambda body, where, _: parse(body, task, where=where))))
    return joined(parts)


def _address(utility: str, task: Task, **asked: str) -> str:
    asked = {"db": "pubmed", "tool": "papers-digest", **asked}
    asked |= {"email": task.contact} if "@" in task.contact else {}
    asked |= {"api_key": task.api_key} if task.api_key else {}
    return f"{UTILITIES}/{utility}?{urlencode(asked)}"


def identifiers(body: bytes, where: str) -> tuple[list[str], str | None]:
    """Read the answer of `esearch`: (ids, a note where there are more). Raises `SourceError`."""
    result = api.load(body, where, key="esearchresult")["esearchresult"]
    if not isinstance(result, dict) or not isinstance(result.get("idlist"), list):
        words = result.get("ERROR") if isinstance(result, dict) else None
        raise SourceError(f"{where} answers: {str(words or 'no list of ids')[:200]}")
    ids = [str(number) for number in result["idlist"] if str(number).isdecimal()][:MOST]
    total = str(result.get("count") or "")
    note = f"{len(ids):,} of {int(total):,} papers were taken" if total.isdecimal() and int(total) > len(ids) else None
    return ids, note


def parse(body: bytes, task: Task, *, where: str) -> Parsed:
    """Read the answer of `efetch`. Raises `SourceError` if it is none."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SourceError(f"{where} is no XML, or breaks off: expected PubMed's records") from error
    if root.tag != "PubmedArticleSet":
        raise SourceError(f"{where} is XML, but not PubMed's records: it begins with <{root.tag}>")
    records = [{"pmid": _text(record, ".//PMID"), "record": record} for record in root.iterfind("PubmedArticle")]
    return api.each(records, where, lambda entry: _read(entry["record"], entry["pmid"], task), "pmid")


def _read(record: etree._Element, pmid: str, task: Task) -> Announcement:
    article = record.find(".//Article")
    if article is None:
        raise ValueError("has no article")
    doi = next((i.text for i in article.iterfind("ELocationID") if i.get("EIdType") == "doi"), None)
    doi = doi or next((i.text for i in record.iterfind(".//ArticleIdList/ArticleId") if i.get("IdType") == "doi"), None)
    kinds = [_inner(kind) for kind in article.iterfind("PublicationTypeList/PublicationType")]
    return api.announce(
        task.source,
        title=_text(article, "ArticleTitle").rstrip("."),
        abstract=" ".join(_paragraphs(article)),
        authors=list(_authors(article)),
        doi=doi,
        published=_date(article.find("ArticleDate")) or _date(article.find("Journal/JournalIssue/PubDate")),
        page=PAGE + pmid if pmid else None,
        journal=_text(article, "Journal/Title"),
        keywords=tuple(word for k in record.iterfind(".//KeywordList/Keyword") if (word := api.text_of(_inner(k)))),
        withdrawn="Retracted Publication" in kinds,
    )


def _paragraphs(article: etree._Element) -> Iterator[str]:
    """Yield the parts of a structured abstract with their labels."""
    for part in article.iterfind("Abstract/AbstractText"):
        label = part.get("Label")
        text = _inner(part)
        yield f"{label}: {text}" if label and label.upper() != "UNLABELLED" and text else text


def _authors(article: etree._Element) -> Iterator[str]:
    for author in article.iterfind("AuthorList/Author"):
        name = f"{_text(author, 'ForeName') or _text(author, 'Initials')} {_text(author, 'LastName')}".strip()
        yield name or _text(author, "CollectiveName")


def _date(date: etree._Element | None) -> str | None:
    """Return a date only as far as it is known; MedlineDate ("2026 Spring") is none."""
    if date is None:
        return None
    year, month, day = (_text(date, name) for name in ("Year", "Month", "Day"))
    month = _MONTHS.get(month[:3].title(), month.zfill(2) if month.isdecimal() else "")
    if not year.isdecimal() or not month:
        return None
    return f"{year}-{month}-{day.zfill(2)}" if day.isdecimal() else f"{year}-{month}"


def _text(element: etree._Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else _inner(found)


def _inner(element: etree._Element) -> str:
    """Return an element's text with that of what stands inside (<i>, <sup>)."""
    return " ".join("".join(str(text) for text in element.itertext()).split())
