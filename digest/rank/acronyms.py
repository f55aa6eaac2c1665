"""Short forms that papers define, such as "large language models (LLMs)". Pure; called by `index`.

A definition is found as in Schwartz and Hearst, "A Simple Algorithm for Identifying Abbreviation Definitions in
Biomedical Text" (2003): a short form in parentheses whose signs stand, in their order and the first one at the
beginning of a word, in the few words before. Forms are compared by their stems.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

from digest.rank.text import stems

_IN_PARENTHESES = re.compile(r"\(\s*([^\W_][\w/-]{1,9})\s*\)")
MOST_WORDS = 6
AGREED = 0.5
"""A short form of which no long form has more than this share of the definitions is ambiguous, and left alone."""
DEFINED = 0.05
"""A short form that is defined in a smaller share of the papers that hold it is a common word too, such as "aim"."""


class Acronyms:
    """The short forms of a set of papers, each with the long form that most of its definitions give."""

    def __init__(self, texts: Iterable[str], holding: Callable[[str], int]):
        """`holding` tells how many of the texts hold a stem."""
        defined: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        for text in texts:
            for short, long in set(definitions(text)):
                defined[short][long] += 1
        self._long: dict[str, tuple[str, ...]] = {}
        self._short: dict[tuple[str, ...], str] = {}
        for short, forms in sorted(defined.items(), key=lambda item: item[1].total()):
            long, count = forms.most_common(1)[0]
            if count > AGREED * forms.total() and count >= max(2, DEFINED * holding(short)):
                self._long[short] = long
                self._short[long] = short

    def items(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        """(short form, long form), both as stems."""
        return self._long.items()

    def shortened(self, phrase: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield (long form, short form) for each long form that stands in some stems that follow each other."""
        for start, end in combinations(range(len(phrase) + 1), 2):
            if (long := phrase[start:end]) in self._short:
                yield long, self._short[long]

    def variants(self, phrase: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Yield a phrase and, for each short or long form in it, the phrase with the other form."""
        yield phrase
        for start, word in enumerate(phrase):
            if word in self._long:
                yield (*phrase[:start], *self._long[word], *phrase[start + 1 :])
        for start, end in combinations(range(len(phrase) + 1), 2):
            if (long := phrase[start:end]) in self._short:
                yield (*phrase[:start], self._short[long], *phrase[end:])


def definitions(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (the short form's stem, the long form's stems) for each definition in a text."""
    if "(" not in text:
        return
    for found in _IN_PARENTHESES.finditer(text):
        written = found[1]
        short = written[:-1] if len(written) > 2 and written[-1] == "s" and written[-2].isupper() else written
        letters = "".join(sign for sign in short if sign.isalnum())
        if not any(sign.isupper() for sign in short) or len(letters) < 2:
            continue
        before = re.findall(r"[^\s()]+", text[: found.start()][-200:])[-min(len(letters) + 5, 2 * len(letters)) :]
        if long := _long_form(letters.lower(), " ".join(before)):
            name, words = stems(short), tuple(stems(long))
            if len(name) == 1 < len(words) <= MOST_WORDS and name[0] not in words:
                yield name[0], words


def _long_form(letters: str, before: str) -> str:
    """The shortest end of `before` in which the letters stand; empty if they do not."""
    text = before.lower()
    at = len(text)
    for place in range(len(letters) - 1, -1, -1):
        at -= 1
        while at >= 0 and (text[at] != letters[place] or (place == 0 and at > 0 and text[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return ""
    return before[at:]
