"""Text as sources write it to text as people read it: HTML stripped, TeX turned, entities and white space mended.

Pure: `readable` for titles and abstracts, `split_authors` for the author strings of feeds. No I/O, nothing raises.
Every source module calls this on every text it hands on; nothing further down cleans again. TeX is turned in `tex.py`.

A feed does not say whether a title is HTML or plain text, and both kinds hold angle brackets: `<i>E. coli</i>` is
markup, `<Transformer>` and `a<b` are not. So here only what looks exactly like a tag of a known element is markup; the
rest is shielded, then nh3 (a parser of the HTML standard) removes the markup with the content of scripts and styles.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

import nh3

from digest.pull.tex import from_tex

LONGEST = 100_000
"""Characters of one text; the rest of a longer one is cut off. The longest abstract on record has some 10 thousand."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INLINE = _words(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i inf ins kbd label mark math mi mn mo mrow ms msub "
    "msubsup msup mtext nobr q s samp scp small span strike strong sub sup svg time tt u var wbr xref ext-link italic "
    "bold underline inline-formula tex-math mml:math mml:mi mml:mn mml:mo mml:mrow mml:msub mml:msup mml:mtext "
    "jats:italic jats:bold jats:sub jats:sup jats:sc jats:inline-formula jats:ext-link jats:xref"
)
_BLOCK = _words(
    "address article aside blockquote body br button caption center col colgroup dd details div dl dt embed fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html iframe img input li link main meta nav "
    "noscript object ol option p param picture pre section select source style script summary table tbody td textarea "
    "tfoot th thead title tr ul video audio abstract sec jats:p jats:title jats:sec jats:list jats:list-item "
    "abstracttext"
)
_ELEMENTS = _INLINE | _BLOCK
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]*+)"
    r"(?>\s++(?>[A-Za-z_:@][\w:.@-]*+\s*+=\s*+(?>\"[^\"<]{0,4000}+\"|'[^'<]{0,4000}+'|[^\s\"'=<>`]++)"
    r"|(?>allowfullscreen|async|checked|compact|controls|defer|disabled|hidden|noshade|nowrap)\b)){0,60}+\s*+/?>"
)
_DOCTYPE = re.compile(r"<!doctype[^<>]{0,500}+>", re.I)
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LONE_AMPERSAND = re.compile(r"&(?!(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)")
_SCRIPTS = re.compile(r"<(sup|sub)>([\d+\-−()n]{1,6})</\1>", re.I)


def readable(text: str) -> str:
    """Return `text` as one line of readable Unicode (NFC): no markup, no TeX that can be turned, no control characters.

    Never raises; what cannot be turned stays as it was written.
    """
    text = _strip_html(_printable(text[:LONGEST]))
    return _one_line(_printable(from_tex(text)))


def _printable(text: str) -> str:
    """Drop what cannot be seen: controls, surrogates, byte-order marks, marks that turn the direction of text."""
    if text.isascii() and text.isprintable():
        return text
    kept = (c if unicodedata.category(c) not in _UNSEEN or c in _SEEN_AFTER_ALL else "" for c in text)
    return unicodedata.normalize("NFC", "".join(kept))


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SEEN_AFTER_ALL = frozenset("\n\t\r\x0b\x0c\x85\u200c\u200d")
"""White space, folded later, and the two joiners that Persian, Indic scripts and emoji are spelt with."""


def _one_line(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _strip_html(text: str) -> str:
    """Remove markup and resolve entities until nothing changes: feeds escape once, twice or not at all."""
    for _ in range(4):
        before = text
        if "<" in text:
            text = _without_tags(text)
        if "&" in text:
            text = _REFERENCE.sub(lambda m: html.unescape(m[0]), text.replace("&amp;amp;", "&amp;"))
        if text == before:
            break
    return text


def _without_tags(text: str) -> str:
    text = _DOCTYPE.sub(" ", _without_comments(text))
    if "<![CDATA[" in text:
        text = text.replace("<![CDATA[", "").replace("]]>", "")
    if not any(m["name"].lower() in _ELEMENTS for m in _TAG.finditer(text)):
        return text
    text = _SCRIPTS.sub(lambda m: "$" + ("^" if m[1].lower() == "sup" else "_") + "{" + m[2] + "}$", text)
    shielded = []
    at = 0
    for tag in _TAG.finditer(text):
        name = tag["name"].lower()
        if name in _ELEMENTS:
            shielded += [text[at : tag.start()].replace("<", "&lt;"), " " if name in _BLOCK else "", tag[0]]
            at = tag.end()
    shielded.append(text[at:].replace("<", "&lt;"))
    joined = _LONE_AMPERSAND.sub("&amp;", "".join(shielded))
    return nh3.clean(joined, tags=set(), clean_content_tags={"script", "style"}, strip_comments=True)


def _without_comments(text: str) -> str:
    """Remove HTML comments; one that does not end is none."""
    kept = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return " ".join([*kept, text[at:]])


_MARKS = re.compile(r"<sup\b[^<>]{0,100}>[^<>]{0,100}</sup>|&lt;sup&gt;[^<>&]{0,100}&lt;/sup&gt;", re.I)
"""Numbers of affiliations."""
_PARENTHESES = re.compile(r"\s*\((?:[^()]|\([^()]*\)){0,500}\)")
_ET_AL = re.compile(r"(?<![\s,;])[\s,;]*+\b(?:et\.? al\b\.?|and others\b)", re.I)
_AND = re.compile(r"(?:^|\s+)(?:and|und|et|&)\s+")
_SUFFIX = re.compile(r"(?:Jr|Sr|Junior|Senior|II|III|IV|Ph\.?\s?D|M\.?D)\.?", re.I)
_BY = re.compile(r"^(?:by:?\s+|authors?(?:\(s\))?:\s*)", re.I)


def split_authors(text: str) -> tuple[str, ...]:
    """Split one author string into names, first name first, in the order given.

    Takes arXiv's "A B, C D and E F, Jr.", with affiliations in parentheses, "Surname, I.; Surname, I." and bioRxiv's
    "Surname, I., Surname, I.,". TeX accents and HTML are turned first, affiliations dropped.
    """
    text = _ET_AL.sub("", _BY.sub("", _PARENTHESES.sub("", readable(_MARKS.sub("", text[:LONGEST])))))
    if ";" in text:
        return _names([_first_name_first(part) for part in text.split(";")])
    parts = [part.strip() for part in _AND.sub(", ", text).split(",")]
    parts = [part for part in parts if part]
    surnames, initials = parts[::2], parts[1::2]
    if (
        surnames
        and len(surnames) == len(initials)
        and not any(map(_is_initials, surnames))
        and all(map(_is_initials, initials))
    ):
        return _names([f"{first} {last}" for last, first in zip(surnames, initials, strict=True)])
    names: list[str] = []
    for part in parts:
        if names and _SUFFIX.fullmatch(part):
            names[-1] += f", {part}"
        else:
            names.append(part)
    return _names(names)


def _is_initials(part: str) -> bool:
    """Say whether `part` is "M.", "J.-P.", "ABC" or "a." rather than a name."""
    letters = [c for c in part if c not in ". -"]
    return 1 <= len(letters) <= 4 and all(c.isupper() or (c.isalpha() and f"{c}." in part) for c in letters)


def _first_name_first(name: str) -> str:
    last, comma, first = name.partition(",")
    if not comma or "," in first or not first.strip() or _SUFFIX.fullmatch(first.strip()):
        return name
    return f"{first.strip()} {last.strip()}"


def _names(names: Sequence[str]) -> tuple[str, ...]:
    """Drop empty names, repetitions and what holds no letter."""
    tidy = (" ".join(name.split()).strip(" ;,*†‡§¶0123456789⁰¹²³⁴⁵⁶⁷⁸⁹") for name in names)
    return tuple(dict.fromkeys(name for name in tidy if any(c.isalpha() for c in name)))
