"""Words on their way into an email: made harmless, cut to length, wrapped.

Pure functions over strings; no markup, no headers, no templates. Called by the other modules of `render/`.
Whatever comes from outside passes through `plain` once: afterwards it is one line without control characters, lone
surrogates or marks that reverse the direction of the text around them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

TEXT_WIDTH = 72
ELLIPSIS = "…"

_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FORBIDDEN = re.compile("[\ud800-\udfff\ufeff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s+[^\sa-z])|[。！？]")
# Full stops that end no sentence, though a capital or a figure may follow.
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|et al|cf|vs|Figs?|Eqs?|Secs?|No|approx|resp|Dr|Prof|St)|\b[A-Z])\.$")
_CONTRIBUTION = re.compile(
    r"\b(?:[Ww]e|[Tt]his (?:paper|work|article|study)|[Hh]ere,? we)(?: \w+){0,2} (?:propose|present|introduce|show|"
    r"demonstrate|develop|prove|describe|report|find|design|release|establish|derive)(?:s|ed)?\b"
)
_OURS = re.compile(r"\b[Ww]e [a-z]+")
_ASIDE = re.compile(
    r"(?i)\b(?:code|data|project page)\b.*\b(?:available|released|https?)\b|^(?:however|for example)\b|previous work"
)
# From the first combining character on, a character may take no column, or two; quotation marks and dashes take one.
_UNEVEN = re.compile("[\u0300-\u200f\u2060-\U0010ffff]")
# A line may break after each of these characters: scripts that are written without spaces.
_WIDE_RUN = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")


def plain(value: str) -> str:
    """The text as one line: white space and control characters become single spaces, what can mislead is dropped."""
    if value.isprintable() and "  " not in value:
        # Nearly always: what the patterns look for is not printable, but for spaces.
        return value.strip()
    return _SPACES.sub(" ", _FORBIDDEN.sub("", value)).strip()


def clip(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut between words where that is near, with an ellipsis."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > limit * 2 // 3 else cut).rstrip(" ,;:.–—-") + ELLIPSIS


def opening(text: str, about: int) -> str:
    """The first sentences of the text, in about so many characters; an ellipsis says that there is more.

    Ends with a sentence where one ends between half and a quarter more of `about`, else between words.
    """
    if len(text) <= about * 5 // 4:
        return text
    ends = [
        m.end() for m in _SENTENCE_END.finditer(text, 0, about * 5 // 4) if not _ABBREVIATION.search(text[: m.end()])
    ]
    fitting = [end for end in ends if end <= about] or ends[:1]
    if fitting and fitting[-1] >= about // 2:
        return f"{text[: fitting[-1]]}\N{NO-BREAK SPACE}{ELLIPSIS}"
    return clip(text, about)


class Excerpt(NamedTuple):
    """The beginning of a text with its key sentence: `before` and `after` stand around it."""

    before: str
    key: str
    after: str


def excerpt(text: str, about: int, title: str = "") -> Excerpt:
    """The opening of an abstract in about so many characters, and in it the sentence that says most.

    Where that sentence comes later, the opening is shorter and the sentence follows it, after an ellipsis.
    """
    key = key_sentence(text, title)
    start = text.find(key)
    whole = opening(text, about)
    if not key or len(key) > about or key == text:
        return Excerpt(whole, "", "")
    if start + len(key) <= len(whole) and whole.startswith(text[: start + len(key)]):
        return Excerpt(text[:start], key, whole[start + len(key) :])
    lead = opening(text[:start].rstrip(), max(about - len(key), about // 3))
    more = f"\N{NO-BREAK SPACE}{ELLIPSIS}" if text[start + len(key) :].strip() else ""
    return Excerpt(f"{lead} " if lead else "", key, more)


def sentences(text: str) -> list[str]:
    """The sentences of a text, each without the space around it."""
    found, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[: match.end()]):
            found.append(text[start : match.end()].strip())
            start = match.end()
    return [sentence for sentence in (*found, text[start:].strip()) if sentence]


def key_sentence(text: str, title: str = "") -> str:
    """The sentence of an abstract that says what the paper does: by its cues, then by the words of the title.

    Empty where there are not at least three sentences to choose from.
    """
    found = sentences(text)
    if len(found) < 3:
        return ""
    named = set(re.findall(r"\w{4,}", title.casefold()))

    def weight(sentence: str) -> float:
        words = re.findall(r"\w{4,}", sentence.casefold())
        shared = len(named.intersection(words)) / max(len(named), 1)
        said = 2 if _CONTRIBUTION.search(sentence) else 1 if _OURS.search(sentence) else 0
        return said + shared - bool(_ASIDE.search(sentence))

    return max(found, key=weight)


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: East Asian wide characters two, combining ones none."""
    if not _UNEVEN.search(text):
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, column: int = 0, width: int = TEXT_WIDTH) -> str:
    """The text in lines of `width` columns. It begins at `column`, and its further lines are indented as far.

    A word too long for a line keeps a line to itself: a web address must not be broken.
    """
    room = max(width - column, 20)
    uneven = _UNEVEN.search(text)
    if (columns(text) if uneven else len(text)) <= room:
        return text
    lines: list[str] = []
    if not uneven and "  " not in text and text == text.strip(" "):
        # Nearly always: a column for each character, and one space between words. Lines are cut, no words counted.
        while len(text) > room:
            cut = text.rfind(" ", 0, room + 1)
            cut = cut if cut >= 0 else text.find(" ")
            if cut < 0:
                break
            lines.append(text[:cut])
            text = text[cut + 1 :]
        return ("\n" + " " * column).join([*lines, text])
    line, used = "", 0
    for gap, word in _breakable(text):
        size = columns(word)
        if line and used + len(gap) + size > room:
            lines.append(line)
            line, used = word, size
        else:
            line, used = line + gap + word, used + len(gap) + size
    return ("\n" + " " * column).join([*lines, line])


def _breakable(text: str) -> Iterable[tuple[str, str]]:
    """The words with the gap before each; a run of a script without spaces falls into its characters."""
    for index, word in enumerate(text.split(" ")):
        gap = " " if index else ""
        if word.isascii() or not _WIDE_RUN.search(word):
            yield gap, word
            continue
        for part in re.findall(rf"{_WIDE_RUN.pattern}|(?:(?!{_WIDE_RUN.pattern}).)+", word):
            yield gap, part
            gap = ""
