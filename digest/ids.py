"""What makes two announcements the same paper: arXiv ids, DOIs, and a hash of the title where there is neither.

Pure. Called by every source module, by `dedupe.py`, and by whoever reads papers or their names from elsewhere: config
files, BibTeX libraries, the batch form of `digest rank`. Forms of arXiv ids:
https://info.arxiv.org/help/arxiv_identifier.html; of DOIs: ISO 26324 and
https://www.crossref.org/blog/dois-and-matching-regular-expressions/.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

from digest.model import Link, LinkKind, Paper, PaperId

_ID = r"(?P<id>\d{4}\.\d{4,5}|[a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?/\d{7})(?:v(?P<version>\d{1,3}))?"
_ARXIV = re.compile(rf"(?:oai:)*+(?:arxiv(?:\.org)?:)*+(?:oai:arxiv\.org:)?{_ID}", re.I)
_ARXIV_INSIDE = re.compile(
    rf"(?:arxiv\.org/(?:abs|pdf|html|format|ps)/|oai:arxiv\.org:|\barxiv:\s?|10\.48550/arxiv\."
    rf"|huggingface\.co/papers/|alphaxiv\.org/abs/){_ID}(?![\d.]*\d)",
    re.I,
)
_DOI = re.compile(r"(?<![\d.])10\.\d{4,9}/[^\s\"'<>?#&|]{1,400}+(?![^\s\"'<>?#&|])", re.I)
"""What goes on for longer is none: the end of one is looked for in quadratic time."""
_DOI_TAIL = re.compile(r"(?:[.,;:]|/(?:abstract|full|full-text|fulltext|pdf|epdf|html|meta)|\.pdf)+$", re.I)


def arxiv_id(text: str) -> tuple[str, int | None] | None:
    """Read `2403.15527v1`, `arXiv:hep-th/9901001`, `oai:arXiv.org:2403.15527v1`: (id without version, version)."""
    match = _ARXIV.fullmatch(text.strip())
    return _arxiv_parts(match) if match else None


def find_arxiv_id(text: str) -> tuple[str, int | None] | None:
    """Find an arXiv id in an address, a DOI or a guid that names arXiv: (id without version, version)."""
    match = _ARXIV_INSIDE.search(text)
    return _arxiv_parts(match) if match else None


def _arxiv_parts(match: re.Match[str]) -> tuple[str, int | None]:
    identifier = match["id"]
    if "/" in identifier:
        archive, _, number = identifier.partition("/")
        identifier = f"{archive.partition('.')[0].lower()}/{number}"  # math.GT/0309136 is math/0309136
    return identifier, int(match["version"]) if match["version"] else None


def find_doi(text: str) -> str | None:
    """Find a DOI in an address, an identifier or a text, in lower case; None if there is none."""
    match = _DOI.search(unquote(text)) if "10." in text else None
    if not match:
        return None
    doi = _DOI_TAIL.sub("", match[0])
    while doi.endswith(")") and doi.count("(") < doi.count(")"):
        doi = _DOI_TAIL.sub("", doi[:-1])
    if doi.startswith(("10.1101/", "10.64898/")):
        doi = re.sub(r"v\d+$", "", doi)  # bioRxiv's and medRxiv's addresses add the version to the DOI
    return doi.lower() if doi.partition("/")[2] else None


_VERSION = re.compile(r"[./]v\d{1,2}$|(?<=chemrxiv-\d{4}-[a-z0-9]{5})-v\d{1,2}$")
"""What Research Square, Preprints.org, ChemRxiv and others add to the DOI of each version of a preprint."""


def doi_id(doi: str) -> PaperId:
    """Return `doi:` and the DOI in lower case, without the version of a preprint: all versions are one paper."""
    return PaperId(f"doi:{_VERSION.sub('', doi.lower())}")


def title_id(title: str, first_author: str = "") -> PaperId:
    """Return `title:` and 16 hex digits, a hash of title and first author without case, accents and punctuation."""
    return PaperId("title:" + _hash(_plain(title), _plain(first_author)))


def _hash(title: str, author: str) -> str:
    return hashlib.sha256(f"{title}\n{author}".encode()).hexdigest()[:16]


def keys_of(paper: Paper) -> frozenset[str]:
    """Return all keys under which the same paper may be met again: its id, its DOI's, its title's with first author.

    `same` tells from two papers' keys whether they are one; without a shared key they are not.
    """
    keys = {str(paper.id)}
    if paper.doi:
        keys.add(doi_id(paper.doi))
    if paper.authors:
        keys.add(title_id(paper.title, paper.authors[0]))
        if key := title_key(paper.title, paper.authors[0]):
            keys.add(key)
    return frozenset(keys)


def same(one: Iterable[str], other: Iterable[str]) -> bool:
    """Say whether two papers with these keys are one: by arXiv id if both have one, else by DOI, else by title.

    A short title (no key `titled:`) is enough only where one of them is known by nothing else.
    """
    one, other = frozenset(one), frozenset(other)
    for kind in ("arxiv:", "doi:"):
        these, those = ({key for key in keys if key.startswith(kind)} for keys in (one, other))
        if these and those:
            return not these.isdisjoint(those)
    bare = any(not any(key.startswith(("arxiv:", "doi:")) for key in keys) for keys in (one, other))
    return any(bare or key.startswith("titled:") for key in one & other)


_FEWEST_WORDS = 4
"""Shorter titles ("Editorial", "In this issue") are given to many papers, by one author too."""


def title_key(title: str, first_author: str) -> str | None:
    """Return what two records of one paper share although one gives its arXiv id and the other its DOI.

    That is the title without case, accents and punctuation, and the first author's surname and initial, as some write
    "Ann Lee", others "A. Lee" or "Lee A". None where this is too little to tell papers apart.
    """
    plain = _plain(title)
    author = _surname_and_initial(first_author)
    if not author or len(plain.split()) < _FEWEST_WORDS:
        return None
    return "titled:" + _hash(plain, author)


def _surname_and_initial(name: str) -> str:
    names = name.split()
    if len(names) > 1 and names[-1].isupper() and len(names[-1]) <= 3 and not names[0].isupper():
        names = [names[-1], *names[:-1]]  # Lee A
    surname = _plain(names[-1]) if names else ""
    return f"{surname} {_plain(names[0])[:1]}" if surname else ""


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    words = "".join(c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c)).split()
    # A title of nothing but signs is its own plain form: "???" and "!!!" are two titles.
    return " ".join(words) or "".join(text.split())


def paper_id(*, arxiv: str | None = None, doi: str | None = None, title: str = "", first_author: str = "") -> PaperId:
    """Return the id of a paper: by arXiv id (without version), else by DOI, else by title and first author."""
    if doi and not arxiv and (found := find_arxiv_id(doi)):
        arxiv = found[0]
    if arxiv:
        return PaperId(f"arxiv:{arxiv}")
    if doi:
        return doi_id(doi)
    return title_id(title, first_author)


def arxiv_links(identifier: str) -> tuple[Link, ...]:
    """Return arXiv's own pages for an id without version; HTML is made only for new-style ids."""
    links = [Link(LinkKind.ABS, f"https://arxiv.org/abs/{identifier}")]
    links.append(Link(LinkKind.PDF, f"https://arxiv.org/pdf/{identifier}"))
    if "/" not in identifier:
        links.append(Link(LinkKind.HTML, f"https://arxiv.org/html/{identifier}"))
    return tuple(links)


def doi_link(doi: str) -> Link:
    """Return the resolver's address of a DOI."""
    return Link(LinkKind.DOI, f"https://doi.org/{doi}")
