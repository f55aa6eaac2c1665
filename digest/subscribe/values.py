"""What a person may write about a subscriber: plain text in, a normalised value out.

Pure, no I/O, no pydantic. `importing.py` reads CSV cells with it and `digest.settings` the `[[subscribers]]` tables, so
that one mistake gets one message. Every function raises `WrongValue`, which says what the value must be.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from zoneinfo import ZoneInfo, available_timezones

from digest import ids
from digest.members import Standing
from digest.model import Address, Frequency, PaperId


class WrongValue(ValueError):  # noqa: N818 - read as the sentence "this is a wrong value"
    """A value that cannot be used: `must` continues "`papers` of [list] …", `hint` says what to write instead.

    `shown=False` where repeating the value would not help the reader.
    """

    def __init__(self, must: str, hint: str = "", *, shown: bool = True):
        self.must, self.hint, self.shown = must, hint, shown
        super().__init__(must)

    def about(self, subject: str, value: object) -> str:
        """The whole sentence: "`papers` of [list] must be …, not "twelve"; did you mean …?"."""
        sentence = f"{subject} {self.must}"
        if self.shown:
            sentence += f", not {show(value)}"
        return f"{sentence}; {self.hint}" if self.hint else sentence


NO_OTHERS: Mapping[str, str] = {}
_USERINFO = re.compile(r"//[^/\s]*@")


def show(value: object) -> str:
    """A value as its writer would recognise it in a message, on one line and not too long."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = printable(json.dumps(_USERINFO.sub("//…@", value), ensure_ascii=False))
        return text if len(text) <= 72 else f'{text[:68]}…"'
    return str(value)


def printable(text: str) -> str:
    """A text that a terminal shows on one line: what it would obey instead is written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "did you mean `schedule`?", or an empty string where nothing comes near."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one; None where nothing comes near."""
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    return names[near[0]] if near else None


def one_line(value: str) -> str:
    """A text that may stand in a header or a table cell: no line breaks or other control characters."""
    if any(unicodedata.category(c) == "Cc" for c in value):
        raise WrongValue("must be one line without control characters")
    return " ".join(value.split())


def email_address(value: str) -> Address:
    """An address as `email-validator` normalises it. The domain is not looked up."""
    from email_validator import EmailNotValidError, validate_email

    # A group on one machine or behind one router has no public domain.
    is_internal = re.search(r"@([^@]+\.)?(localhost|local)$", value, re.I) is not None
    try:
        found = validate_email(
            value.strip(), check_deliverability=False, test_environment=True, globally_deliverable=not is_internal
        )
    except EmailNotValidError as error:
        reason = str(error).rstrip(".")
        raise WrongValue("must be an email address", reason[:1].lower() + reason[1:]) from None
    return Address(found.normalized)


def same_mailbox(address: str) -> str:
    """A key that is equal for addresses that reach one person: hardly any server tells capitals apart."""
    return address.casefold()


def time_zone(value: str) -> str:
    """The name of a zone of the IANA database, `Europe/Berlin`."""
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):  # a path out of the database, a folder of it, no such name
        near = zone_near(value)
        raise WrongValue(
            "must be an IANA time zone such as `Europe/Berlin`", f"did you mean `{near}`?" if near else ""
        ) from None
    return value


def zone_near(value: str) -> str | None:
    """The zone that is meant by its city alone, `New York`, or by nearly its name; None where that cannot be said.

    No offset is one: `GMT+1` is not `Etc/GMT+1`, which is behind Greenwich, nor is `UTC+2` `UTC`.
    """
    if re.search(r"\d", value):
        return None
    zones = sorted(available_timezones())
    city = "_".join(value.split()).casefold()
    named = (zone for zone in zones if zone.casefold().rpartition("/")[2] == city)
    return next(named, None) or nearest(value, zones)


_CATEGORY = re.compile(r"[a-z]+(-[a-z]+)?(\.[A-Z]{2})?|(cond-mat|physics)\.[a-z]+(-[a-z]+)?")


def arxiv_category(value: str) -> str:
    """The form of an arXiv archive (`hep-th`) or category (`cs.CV`, `cond-mat.str-el`): https://arxiv.org/category_taxonomy."""
    if _CATEGORY.fullmatch(value):
        return value
    archive, dot, subject = value.strip().partition(".")
    better = archive.lower() + dot + (subject.upper() if len(subject) == 2 else subject.lower())
    hint = f"did you mean `{better}`?" if _CATEGORY.fullmatch(better) else ""
    raise WrongValue("must be an arXiv category such as `cs.CV`, `astro-ph.GA` or `hep-th`", hint)


def language_tag(value: str) -> str:
    """The form of a BCP 47 language tag: `en`, `de`, `pt-BR`."""
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise WrongValue("must be a language tag such as `en`, `de` or `pt-BR`")
    return value


def one_of(value: str, allowed: Iterable[str], other_names: Mapping[str, str] = NO_OTHERS) -> str:
    """One word of a fixed set. `other_names`: what people call some of them, and which is meant."""
    allowed = tuple(allowed)
    if value not in allowed:
        meant = other_names.get(value.casefold(), value)
        raise WrongValue(f"must be one of {', '.join(allowed)}", did_you_mean(meant, allowed))
    return value


def frequency(value: str) -> Frequency:
    """`daily`, `weekly` or `monthly`."""
    return Frequency(one_of(value, Frequency))


def hour(value: str) -> int:
    """An hour of the day, 0 to 23."""
    if not re.fullmatch(r"0?\d|1\d|2[0-3]", value, re.ASCII):
        raise WrongValue("must be an hour of the day from 0 to 23")
    return int(value)


def day(value: str) -> date:
    """A day as ISO 8601 has it."""
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise WrongValue("must be a day such as `2026-08-31`") from None


def standing(value: str) -> Standing:
    """How somebody stands with a list: `confirmed`, `unsubscribed` and so on."""
    return Standing(one_of(value, Standing))


# Four digits after the dot until 2014, five since: https://info.arxiv.org/help/arxiv_identifier.html
_ARXIV_NUMBER = (
    r"((?:0[7-9]|1[0-4])(?:0[1-9]|1[0-2])\.\d{4}|(?:1[5-9]|[2-9]\d)(?:0[1-9]|1[0-2])\.\d{5}"
    r"|[a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?"
)
_ARXIV = re.compile(
    rf"(?:arxiv:\s*|(?:https?://)?(?:www\.)?arxiv\.org/(?:abs|pdf|html)/|(?:doi:|https?://(?:dx\.)?doi\.org/)?"
    rf"10\.48550/arxiv\.)?{_ARXIV_NUMBER}(?:\.pdf)?",
    re.I,
)
_DOI = re.compile(r"(?:doi:\s*|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.I)


def paper_id(value: str) -> PaperId:
    """The id of a paper named by arXiv id or DOI, bare, with its prefix or as an address. Versions are one paper."""
    text = value.strip()
    if found := _ARXIV.fullmatch(text):
        arxiv = ids.arxiv_id(found[1])
        return ids.paper_id(arxiv=arxiv[0] if arxiv else None)
    if found := _DOI.fullmatch(text):
        return ids.paper_id(doi=found[1])
    raise WrongValue("must be an arXiv id such as `arxiv:2406.04325` or a DOI such as `doi:10.1038/nature14539`")
