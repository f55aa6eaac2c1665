"""Text as the ranking sees it: words, their stems, and where they stand. Pure; called by `index`, `profile`, `reasons`.

A word is a run of letters and digits, without case and accents; "text-to-video" is three words, each Han, kana or
Hangul sign is one. Stems are Snowball's English stems (https://snowballstem.org/algorithms/english/stemmer.html).
Stop words carry no meaning and are left out everywhere, so the phrases "text-to-video" and "text to video" are one.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

import snowballstemmer

from digest.model import Paper

TITLE_LENGTH = 60

_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_SINGLE}]|(?:(?![{_SINGLE}])[^\W_])(?:(?![{_SINGLE}])[^\W_\u0300-\u036f]|[\u0300-\u036f])*")
_ASCII_WORD = re.compile("[A-Za-z0-9]+")
"""The same for a text of ASCII alone, four times faster."""
_ASCII_WORDS = bytes(ord(chr(c).lower()) if chr(c).isalnum() and c < 128 else 32 for c in range(256))
"""For `bytes.translate`: letters and digits in lower case, a space for all else."""
_UNDECOMPOSED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})

_CONSONANTS = re.compile("[b-df-hj-np-tv-xz]{2,}[b-df-hj-np-rtv-xz]s")
"""An acronym in the plural; not three letters, such as "gps", and not "css"."""

_STOP_WORDS = """
    a about above across after again against ain all almost along already also although always am among an and another
    any are aren around as at be became because become been before behind being below beside between beyond both but by
    can cannot could couldn did didn do does doesn doing don done down during each either else enough etc even ever
    every few for from further had hadn has hasn have haven having he hence her here hers herself him himself his how
    however i if in indeed instead into is isn it its itself just ll may me might mine more moreover most much must my
    myself namely near neither never nevertheless no nobody none nor not nothing now of off often on once one only onto
    or other others otherwise our ours ourselves out over own per perhaps quite rather re really s same shall she should
    shouldn since so some somehow something sometimes still such t than that the their theirs them themselves then
    there thereby therefore these they this those though through throughout thus to together too toward towards under
    unless until up upon us ve very via was wasn we were weren what whatever when where whereas wherein whether which
    while who whom whose why will with within without won would wouldn yet you your yours yourself yourselves
"""
_COMMON_WORDS = """
    achieve address advance allow analysis analyze apply approach area available base best better case challenge compare
    compute consider contribution current data demonstrate describe design develop different effect effective efficient
    enable evaluate evidence example existing experiment explore extend extensive field find framework general good
    great help high identify impact important improve include increase influence information introduce investigate issue
    key large lead level limit low main make many measure method model multiple need new novel number obtain outperform
    paper perform performance possible potential present previous problem process propose provide quality range recent
    reduce relate relation report require research result review robust set several show significant simple single
    small solution specific standard state strategy strong study superior support system task technique test theory
    three time tool two type understand use useful value various way well wide work year
"""


STOP_WORDS = frozenset(_STOP_WORDS.split())


@lru_cache(maxsize=1 << 18)
def fold(text: str) -> str:
    """Return a short text without case, accents and typographic variants: "Łódź" and "lodz" are the same."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold().translate(_UNDECOMPOSED)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


class _Stemmers(threading.local):
    """One stemmer for each thread: a Snowball stemmer keeps the word that it works on in itself."""

    def __init__(self) -> None:
        self.english = snowballstemmer.stemmer("english")


_stemmers = _Stemmers()


@lru_cache(maxsize=1 << 18)
def stem(word: str) -> str:
    """Return the stem of one word as it stands in a text; empty for a stop word."""
    folded = fold(word)
    # Snowball takes no plural off a word without vowels, as many acronyms are.
    if (word[-1:] == "s" and word[-2:-1].isupper()) or _CONSONANTS.fullmatch(folded):
        folded = folded[:-1]
    return "" if folded in STOP_WORDS else str(_stemmers.english.stemWord(folded))


def stems(text: str) -> list[str]:
    """Return the stems of a text in their order, without stop words."""
    found = (_ASCII_WORD if text.isascii() else _WORD).findall(text)
    return list(filter(None, map(stem, found)))


def placed_stems(text: str) -> list[tuple[str, int, int]]:
    """Return the stems of a text in their order, each with the start and end of its word in `text`."""
    return [(found, m.start(), m.end()) for m in _WORD.finditer(text) if (found := stem(m[0]))]


COMMON_STEMS = frozenset(stems(_COMMON_WORDS))
"""Stems that a fair share of all abstracts contains, whatever their field."""


def words(text: str) -> list[str]:
    """Return the words of a text in their order, without case and accents; stop words stay, nothing is stemmed."""
    if text.isascii():
        return text.encode("ascii").translate(_ASCII_WORDS).decode("ascii").split()  # the same, ten times faster
    return [fold(word) for word in _WORD.findall(text)]


def short_title(paper: Paper) -> str:
    """What a paper is called in a remark about another."""
    return shorten(paper.title.strip() or paper.abstract.strip() or paper.id, TITLE_LENGTH)


def shorten(text: str, limit: int) -> str:
    """Return `text` in at most `limit` characters, cut between words where there is one, with an ellipsis."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > limit // 2 else cut).rstrip(" ,;:.–—-") + "…"
