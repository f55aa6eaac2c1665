"""A reader's language: what the words of emails and pages are in it, and how it writes dates, figures and lists.

Words come from the catalogues in `locale/` (GNU gettext), dates, figures and lists from the CLDR by Babel; neither
asks the process's locale, so the same edition gives the same bytes on any machine. English needs no catalogue: a
message is its own English. A catalogue is read from its `.po` once a process, so there is nothing to compile.

In Python and in templates a message is looked up by `gettext("… %(name)s …", name=…)`, or by `ngettext` where its words
depend on a number; a sign `%` that is none of a placeholder is written twice. To add a language, or after a message has
changed (`tests/test_translation.py` tells, and says what a catalogue lacks):

    pybabel extract -F pyproject.toml -c TRANSLATORS: -s --add-location=file -o digest.pot digest templates
    pybabel init -i digest.pot -d digest/render/locale -D digest -l nl                              # a new one
    pybabel update -i digest.pot -d digest/render/locale -D digest --no-fuzzy-matching --no-wrap    # all there are

and translate every `msgstr`. Called by the other modules of `render/`, by what writes letters and pages, and by whoever
tells a reason in English.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache, reduce
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from babel import Locale

CATALOGUES = Path(__file__).parent / "locale"
ENGLISH = "en"
_WORLD = {"en": "en_GB"}
"""Where a language without a country is read as: English all over the world, where the day stands before the month."""
INITIALS = 2
"""Characters of a weekday's short name, above which its narrow one is taken: a cell of 22 pixels holds no more."""


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """The languages that emails and pages can be in, by their BCP 47 tags, English first."""
    folders = sorted(path.parents[1].name for path in CATALOGUES.glob("*/LC_MESSAGES/digest.po"))
    return ENGLISH, *(name.replace("_", "-") for name in folders)


def speaks(tag: str) -> str | None:
    """The language of `languages` that a tag is served in (RFC 4647 section 3.4: `de-AT` in `de`); None: in none."""
    known = {language.casefold(): language for language in languages()}
    parts = tag.casefold().split("-")
    return next((known[name] for n in range(len(parts), 0, -1) if (name := "-".join(parts[:n])) in known), None)


@lru_cache(maxsize=256)
def language_of(tag: str) -> Language:
    """The language of a BCP 47 tag, with its country's dates and figures; English where emails cannot be in it."""
    from babel import Locale

    spoken = speaks(tag)
    if spoken is None:
        return language_of(ENGLISH)
    name = str(Locale.negotiate([tag], _known_locales(), sep="-") or spoken)
    return _language(spoken, _WORLD.get(name, name))


@lru_cache(maxsize=1)
def _known_locales() -> list[str]:
    from babel.localedata import locale_identifiers

    return [name.replace("_", "-") for name in locale_identifiers()]


@lru_cache(maxsize=256)
def _language(spoken: str, locale: str) -> Language:
    """One object for all tags that come to the same."""
    from babel import Locale

    return Language(Locale.parse(locale), catalogue(spoken))


@lru_cache(maxsize=64)
def catalogue(spoken: str) -> NullTranslations:
    """The messages of one of `languages`."""
    if spoken == ENGLISH:
        return NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    name = spoken.replace("-", "_")
    with (CATALOGUES / name / "LC_MESSAGES" / "digest.po").open("rb") as file:
        read = read_po(file, locale=name)
    compiled = io.BytesIO()
    write_mo(compiled, read)
    compiled.seek(0)
    return GNUTranslations(compiled)


class Language:
    """What is said, and how it is written, in one language of one country. Equal only to itself."""

    def __init__(self, locale: Locale, messages: NullTranslations):
        self._locale = locale
        self.messages = messages
        """For templates."""
        self.tag = str(locale).replace("_", "-") if str(locale) != _WORLD[ENGLISH] else ENGLISH
        """BCP 47, as HTML's `lang` has it."""
        self.direction = locale.text_direction
        """`ltr` or `rtl`, as HTML's `dir` has it."""
        self._plainly = self.direction == "ltr"
        self.number = lru_cache(maxsize=4096)(self._number)
        self._joints = lru_cache(maxsize=4)(self._made_joints)
        self.short_date = lru_cache(maxsize=512)(self._short_date)
        self.short_days = lru_cache(maxsize=512)(self._short_days)
        self.clock = lru_cache(maxsize=512)(self._clock)

    def gettext(self, message: str, **values: object) -> str:
        """The message with its values, in this language."""
        return self.messages.gettext(message) % (values if self._plainly else _isolated(values))

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """The message for a number, which is `%(num)s` in it; `one` and `many` are its English forms."""
        values.setdefault("num", self.number(number))
        return self.messages.ngettext(one, many, number) % (values if self._plainly else _isolated(values))

    def _number(self, value: float, digits: int = 0) -> str:
        """`1,204`; `12.50` with two digits after the decimal sign."""
        from babel.numbers import format_decimal

        return format_decimal(value, f"#,##0.{'0' * digits}" if digits else None, self._locale)

    def listed(self, words: Sequence[str], style: str = "standard") -> str:
        """`a`, `a and b`, `a, b and c`; `or` between the last two if that is the style."""
        if len(words) < 2:
            return "".join(words)
        two, start, middle, end = self._joints(style)
        if len(words) == 2:
            return two.format(*words)
        return start.format(words[0], end.format(reduce(middle.format, words[1:-1]), words[-1]))

    def _made_joints(self, style: str) -> tuple[str, ...]:
        patterns = self._locale.list_patterns[style]
        return tuple(str(patterns[place]) for place in ("2", "start", "middle", "end"))

    def weekday(self, day: date) -> str:
        """`Wednesday`."""
        return self._day_name(day, "wide")

    def initials(self, day: date) -> str:
        """`We`."""
        short = self._day_name(day, "short").rstrip(".")
        return short if len(short) <= INITIALS else self._day_name(day, "narrow")

    def _day_name(self, day: date, width: Literal["wide", "short", "narrow"]) -> str:
        from babel.dates import get_day_names

        return str(get_day_names(width, "stand-alone", self._locale)[day.weekday()])

    def _short_date(self, day: date) -> str:
        """`10 June`."""
        from babel.dates import format_skeleton

        return format_skeleton("MMMMd", day, locale=self._locale)

    def _short_days(self, first: date, last: date) -> str:
        """`8 – 14 June`, both included; `10 June` where they are one. Fit for a header, which has no thin spaces."""
        from babel.dates import format_interval

        if first == last:
            return self.short_date(first)
        return format_interval(first, last, "MMMMd", locale=self._locale).replace("\N{THIN SPACE}", " ")

    def long_date(self, day: date) -> str:
        """`Wednesday, 10 June 2026`."""
        from babel.dates import format_date

        return format_date(day, "full", self._locale)

    def days(self, first: date, last: date) -> str:
        """`8 – 14 Jun 2026`, both included; with both years where there are two."""
        from babel.dates import format_interval

        return format_interval(first, last, "yMMMd", locale=self._locale)

    def month(self, day: date) -> str:
        """`June 2026`."""
        from babel.dates import format_skeleton

        return format_skeleton("yMMMM", day, locale=self._locale)

    def hour(self, hour: int) -> str:
        """`07:00`."""
        from babel.dates import format_time

        return format_time(time(hour), "short", locale=self._locale)

    def name(self, tag: str) -> str:
        """What a language is called in this one: `German`."""
        from babel import Locale

        return Locale.parse(tag, sep="-").get_display_name(self._locale) or tag

    def _clock(self, moment: datetime, zone: ZoneInfo) -> str:
        """`10 June, 08:00`, in the zone."""
        from babel.dates import format_time

        local = moment.astimezone(zone)
        clock = format_time(local, "short", locale=self._locale)
        day = self.short_date(local.date()).replace(" ", "\N{NO-BREAK SPACE}")
        # TRANSLATORS: a moment, such as "10 June, 08:00"
        return self.gettext("%(day)s, %(time)s", day=day, time=clock)


def _isolated(values: Mapping[str, object]) -> Mapping[str, object]:
    """From right to left, each value is set apart (UAX #9, FSI and PDI): a Latin name must not reorder the rest."""
    return {name: f"\u2068{value}\u2069" for name, value in values.items()}
