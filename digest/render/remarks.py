"""Remarks in words: why a paper is in, why it just is not. Each is short enough for a line, and no whole sentence.

Pure. Called by `cards.py` and `bodies.py`, and in English by `console/` and `commands/batch.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from digest.model import Remark, Says
from digest.render.language import ENGLISH, Language, language_of
from digest.render.text import plain


def remark(language: Language, of: Remark) -> str:
    """The remark in words, on one line."""
    told = _WORDS[of.says](language, of)
    if told.isprintable() and "  " not in told:
        # Nearly always: there is nothing in the names that `plain` would take out.
        return told
    return _WORDS[of.says](language, of._replace(names=tuple(map(plain, of.names))))


def english(of: Remark) -> str:
    """The remark for those who run the program."""
    return remark(language_of(ENGLISH), of)


def _topic(language: Language, of: Remark) -> str:
    names = of.names
    words = ", ".join(names[1:]) or language.gettext("in other words")
    # TRANSLATORS: a reader's topic, and words of a paper that belong to it
    return language.gettext("%(topic)s: %(words)s", topic=names[0], words=words)


def _excluded(language: Language, of: Remark) -> str:
    return language.gettext("%(topic)s: %(phrase)s is excluded", topic=of.names[0], phrase=of.names[1])


def _like_more(language: Language, of: Remark) -> str:
    return language.ngettext("like %(num)s more of your papers", "like %(num)s more of your papers", int(of.figures[0]))


def _like_more_liked(language: Language, of: Remark) -> str:
    return language.ngettext("like %(num)s more that you liked", "like %(num)s more that you liked", int(of.figures[0]))


def _sources(language: Language, of: Remark) -> str:
    return language.ngettext("announced by %(num)s source", "announced by %(num)s sources", int(of.figures[0]))


def _sent_before(language: Language, of: Remark) -> str:
    day = language.short_date(of.day) if of.day else ""
    return language.gettext("nearly the same as “%(title)s”, which you got on %(day)s", title=of.names[0], day=day)


def _place(language: Language, of: Remark) -> str:
    place, room = map(language.number, of.figures)
    # TRANSLATORS: a paper's place in the order of all, and how many the email has room for
    return language.gettext("number %(place)s, with room for %(room)s", place=place, room=room)


def _irrelevant(language: Language, of: Remark) -> str:
    """With as many digits as tell the two figures apart."""
    relevance, needed = of.figures
    digits = 2
    while digits < 6 and f"{relevance:.{digits}f}" == f"{needed:.{digits}f}":
        digits += 1
    # Rounded, they are figures that came before; a new one takes longer to write out than a whole card.
    return language.gettext(
        "relevance %(relevance)s, under your %(needed)s",
        relevance=language.number(round(relevance, digits), digits),
        needed=language.number(round(needed, digits), digits),
    )


def _signal(language: Language, of: Remark) -> str:
    """`412 upvotes`, `12.5 stars a day`."""
    (name,), (value,) = of.names, of.figures
    whole = value == int(value)
    figure = language.number(value, 0 if whole else 1)
    # A figure with a fraction takes the plural.
    return _FIGURES[name](language, int(value) if whole else 2, figure) if name in _FIGURES else f"{figure} {name}"


def _no_signal(language: Language, of: Remark) -> str:
    names = [_NAMES[name](language) if name in _NAMES else name for name in of.names]
    return language.gettext("no %(figures)s known", figures=language.listed(names, "or"))


_FIGURES: Mapping[str, Callable[[Language, int, str], str]] = {
    "upvotes": lambda say, n, figure: say.ngettext("%(num)s upvote", "%(num)s upvotes", n, num=figure),
    "comments": lambda say, n, figure: say.ngettext("%(num)s comment", "%(num)s comments", n, num=figure),
    "stars": lambda say, n, figure: say.ngettext("%(num)s star", "%(num)s stars", n, num=figure),
    "stars_per_day": lambda say, n, figure: say.ngettext("%(num)s star a day", "%(num)s stars a day", n, num=figure),
    "points": lambda say, n, figure: say.ngettext("%(num)s point", "%(num)s points", n, num=figure),
    "citations": lambda say, n, figure: say.ngettext("%(num)s citation", "%(num)s citations", n, num=figure),
}
_NAMES: Mapping[str, Callable[[Language], str]] = {
    "upvotes": lambda say: say.gettext("upvotes"),
    "comments": lambda say: say.gettext("comments"),
    "stars": lambda say: say.gettext("stars"),
    "stars_per_day": lambda say: say.gettext("stars a day"),
    "points": lambda say: say.gettext("points"),
    "citations": lambda say: say.gettext("citations"),
}
_WORDS: Mapping[Says, Callable[[Language, Remark], str]] = {
    Says.WRITTEN: lambda _, of: of.names[0],
    Says.NO_TOPICS: lambda say, _: say.gettext("you have set no topics"),
    Says.TOPIC: _topic,
    Says.EXCLUDED: _excluded,
    Says.LIKE: lambda say, of: say.gettext("like “%(title)s”", title=of.names[0]),
    Says.LIKE_MORE: _like_more,
    Says.LIKE_LIKED: lambda say, of: say.gettext("like “%(title)s”, which you liked", title=of.names[0]),
    Says.LIKE_MORE_LIKED: _like_more_liked,
    Says.NEAR_DISLIKED: lambda say, of: say.gettext("near “%(title)s”, which you disliked", title=of.names[0]),
    Says.AUTHORS: lambda say, of: say.gettext("by %(authors)s", authors=say.listed(of.names)),
    Says.CATEGORIES: lambda say, of: say.gettext("in %(categories)s", categories=say.listed(of.names)),
    Says.SIGNAL: _signal,
    Says.SOURCES: _sources,
    Says.NO_SIGNAL: _no_signal,
    Says.INTEREST_WAITED: lambda say, _: say.gettext("exploring: an interest of yours that had no place"),
    Says.JUST_UNDER: lambda say, _: say.gettext("exploring: just under your threshold, and trending"),
    Says.SENT_BEFORE: _sent_before,
    Says.IN_PROFILE: lambda say, of: say.gettext(
        "nearly the same as “%(title)s”, which is in your profile", title=of.names[0]
    ),
    Says.SAME_AS_PICK: lambda say, of: say.gettext("nearly the same as “%(title)s”, which is above", title=of.names[0]),
    Says.SAME_AS_DISPLACED: lambda say, of: say.gettext(
        "nearly the same as “%(title)s”, which gave its place to an exploration", title=of.names[0]
    ),
    Says.CLOSE_TO_PICK: lambda say, of: say.gettext("close to “%(title)s”, which is above", title=of.names[0]),
    Says.CLOSE_TO_DISPLACED: lambda say, of: say.gettext(
        "close to “%(title)s”, which gave its place to an exploration", title=of.names[0]
    ),
    Says.DISPLACED: lambda say, _: say.gettext("gave its place to an exploration"),
    Says.TOPIC_PREFERRED: lambda say, _: say.gettext("gave its place to another of your topics"),
    Says.PLACE: _place,
    Says.IRRELEVANT: _irrelevant,
}
