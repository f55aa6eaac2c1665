"""Which features of HTML and CSS an email uses, and what caniemail.com knows of them in the mail programs that count.

Only the data of the npm package `caniemail` is read: its own search looks into no media query, and so would miss dark
mode. Names of features are its slugs: `css-padding`, `html-table`. Nothing here asserts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

DATA = Path(__file__).parent / "tools" / "node_modules" / "caniemail" / "data" / "caniemail.json"
CLIENTS = (
    *(("gmail", kind) for kind in ("desktop-webmail", "mobile-webmail", "ios", "android")),
    *(("outlook", kind) for kind in ("windows", "macos")),
    *(("apple-mail", kind) for kind in ("macos", "ios")),
    *(("yahoo", kind) for kind in ("desktop-webmail", "ios", "android")),
)
SUPPORT = {"y": "fully", "a": "partly", "n": "not", "u": "unknown"}
_HEADINGS = {f"h{level}" for level in range(1, 7)}
_SEMANTIC = ("article", "aside", "figure", "footer", "header", "main", "mark", "nav", "section", "summary", "time")
_RULE = re.compile(r"([^{}]*)([{}])")
_OTHER_NAMES = {
    **dict.fromkeys(("border-top", "border-right", "border-bottom", "border-left", "border-color"), "border"),
    **dict.fromkeys(("margin-top", "margin-bottom", "margin-left", "margin-right"), "margin"),
    **dict.fromkeys(("padding-top", "padding-bottom", "padding-left", "padding-right"), "padding"),
    "font-family": "font",
    "ul": "lists",
    "ol": "lists",
    "b": "strong",
    **dict.fromkeys(_HEADINGS, "h1-h6"),
    **dict.fromkeys(_SEMANTIC, "semantics"),
}
"""Where one entry of the data speaks for several properties or elements."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A feature in a mail program."""

    feature: str
    client: str
    support: str

    def __str__(self) -> str:
        return f"{self.feature} in {self.client}: {self.support}"


def pairs(used: Iterable[str]) -> list[Pair]:
    """What the newest version of each mail program makes of each feature; where nothing is known, there is no pair."""
    known = {feature["slug"]: feature["stats"] for feature in json.loads(DATA.read_text(encoding="utf-8"))["data"]}
    found = []
    for slug in sorted(set(used) & known.keys()):
        for family, platform in CLIENTS:
            versions = known[slug].get(family, {}).get(platform)
            if versions and (support := SUPPORT[[*versions.values()][-1][0]]) != "unknown":
                found.append(Pair(slug, f"{family} {platform}", support))
    return found


def features(page: str) -> set[str]:
    """The slugs of everything that the page uses; some of them the data may not know."""
    tree = etree.fromstring(page, etree.HTMLParser())
    used = {"html-doctype"} if page.lstrip().lower().startswith("<!doctype html>") else set()
    for element in tree.iter():
        if element.tag is etree.Comment:
            used.add("html-comments")
        else:
            used.update(_of_element(element.tag, dict(element.attrib)))
        if element.tag == "style":
            used.update(_of_sheet(element.text or ""))
    return used


def _of_element(tag: str, attributes: dict[str, str]) -> Iterator[str]:
    yield f"html-{_OTHER_NAMES.get(tag, tag)}"
    yield from (f"html-{name}" for name in attributes if name != "style")
    yield from _of_declarations(attributes.get("style", ""))
    address = attributes.get("href", "")
    if address.startswith(("mailto:", "#")):
        yield "html-mailto-links" if address[0] == "m" else "html-anchor-links"
    if tag == "meta" and attributes.get("name") == "color-scheme":
        yield "html-meta-color-scheme"
    if tag == "img":
        yield f"image-{attributes.get('src', '').rpartition('.')[2].lower()}"


def _of_sheet(sheet: str) -> Iterator[str]:
    open_rules: list[str] = []
    for before, brace in _RULE.findall(re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)):
        if brace == "{":
            open_rules.append(before.strip())
            yield from _of_at_rule(before.strip()) if before.strip().startswith("@") else _of_selector(before)
        else:
            yield from _of_declarations(before)
            open_rules.pop()
    assert not open_rules, f"never closed: {open_rules}"


def _of_at_rule(rule: str) -> Iterator[str]:
    name = rule.split(maxsplit=1)[0][1:]
    yield f"css-at-{name}"
    yield from (f"css-at-{name}-{asked}" for asked in re.findall(r"\(\s*([a-z-]+)", rule))


def _of_selector(selector: str) -> Iterator[str]:
    if "," in selector:
        yield "css-selector-grouping"
    for one in (part.strip() for part in selector.split(",")):
        if re.search(r"\.[\w-]", one):
            yield "css-selector-class"
        if re.match(r"[a-z]", one):
            yield "css-selector-type"
        if "[" in one:
            yield "css-selector-attribute"
        yield from (f"css-pseudo-class-{name}" for name in re.findall(r"(?<!:):([a-z-]+)", one))
        signs = {" ": "descendant", ">": "child", "+": "adjacent-sibling", "~": "general-sibling", "#": "id"}
        yield from (f"css-selector-{name}" for sign, name in signs.items() if sign in one)


def _of_declarations(declarations: str) -> Iterator[str]:
    for name, value in re.findall(r"([\w-]+)\s*:\s*([^;]+)", declarations):
        yield f"css-{_OTHER_NAMES.get(name, name)}"
        if name == "display":
            yield f"css-display-{value.split()[0]}"
        if "!important" in value:
            yield "css-important"
        units = re.findall(r"(?<![#\w])[\d.]+(%|[a-z]+)", value)
        yield from (f"css-unit-{'percent' if unit == '%' else unit}" for unit in units)
        yield from (f"css-{function}" for function in re.findall(r"\b([a-z-]+)\(", value))
