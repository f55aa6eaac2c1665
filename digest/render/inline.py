"""CSS into style attributes, once for a page and the cards on it.

Only rendered HTML is inlined: Jinja's own syntax does not survive it. Cards are inlined inside the page that will hold
them, so that a selector may name the page's elements; none may span cards (`:first-child`, `+`), since each is cut
out afterwards and joined with others. A `<style data-premailer="ignore">` stays in the head as it is: there the
media queries for phones and dark mode keep their `!important`.

Called by `edition.py`. The format of a page is the templates' own; nothing here names a tag but comments.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from markupsafe import Markup

from digest.errors import TemplateError

CARDS_PER_PASS = 20


_HOW: dict[str, Any] = {
    "strip_important": False,
    "allow_network": False,
    "disable_validation": True,
    # A template's own width is for Outlook on Windows, which takes a picture's from nowhere else; premailer would
    # put a style's "100%" in its place, and height="auto", which is no height.
    "disable_basic_attributes": ["width", "height"],
    "cssutils_logging_level": logging.CRITICAL,
}


class Inlined(NamedTuple):
    """A page cut open where its cards were."""

    head: str
    cards: tuple[str, ...]
    tail: str


def inline_css(page: str) -> str:
    """The HTML page with its style rules as attributes. Fetches nothing."""
    from lxml import etree

    # Parsed and written here: premailer writes bytes, and to those some versions of libxml2 add a charset of their own.
    tree = etree.fromstring(page.strip(), etree.HTMLParser())
    inlined = _inliner()(tree, **_HOW).transform()
    return str(etree.tostring(inlined, method="html", encoding="unicode"))


@cache
def _inliner() -> type[Any]:
    """premailer, which takes each style sheet apart once: most of a pass went into that."""
    from premailer import Premailer

    @lru_cache(maxsize=32)
    def rules_of(css: str, number: int) -> Any:
        return Premailer("", **_HOW)._parse_style_rules(css, number)

    class Inliner(Premailer):  # type: ignore[misc]  # premailer has no types
        def _parse_style_rules(self, css_body: str, ruleset_index: int) -> Any:
            return rules_of(css_body, ruleset_index)

    return Inliner


def inline_cards(page: Callable[[Markup], str], cards: Sequence[str], nonce: str, depth: int = 0) -> Inlined:
    """One pass over the page with these cards on it. `page` renders the page around a body.

    `depth`: how many times what `page` puts around the body went through `cut_around`; that alone comes back.
    Raises TemplateError if the page does not hold the cards as they are.
    """
    cut = _cut(nonce)
    body = cut + "".join(card + cut for card in cards)
    parts = inline_css(page(Markup(body))).split(cut)  # noqa: S704 - rendered templates
    if len(parts) != len(cards) + 2 + 2 * depth:
        raise TemplateError("edition.html: slot.body must stand where paragraphs and tables may stand")
    parts = parts[depth : len(parts) - depth]
    return Inlined(parts[0], tuple(parts[1:-1]), parts[-1])


def cut_around(part: Markup, nonce: str) -> Markup:
    """A part of a page, so marked that it can be cut out of it."""
    cut = Markup(_cut(nonce))  # noqa: S704 - our own comment
    return cut + part + cut


def _cut(nonce: str) -> str:
    return f"<!--cut{nonce}-->"


def passes(cards: Sequence[str]) -> Iterator[Sequence[str]]:
    """The cards in groups of one pass each."""
    for start in range(0, len(cards), CARDS_PER_PASS):
        yield cards[start : start + CARDS_PER_PASS]
