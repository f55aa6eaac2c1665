"""A catalogue in a language that is written from right to left: Arabic letters instead of Latin ones, no Arabic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from digest.render import language

_LETTERS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ابتثجحخدذرزسشصضطظعغفقكلمنه")


def mirrored(message: str) -> str:
    """The message in Arabic letters, its placeholders kept."""
    parts = re.split(r"(%\(\w+\)s)", message.lower())
    return "".join(part if index % 2 else part.translate(_LETTERS) for index, part in enumerate(parts))


@contextmanager
def arabic(folder: Path) -> Iterator[str]:
    """While this lasts, emails can be in Arabic, and in no other language than English; the language's tag."""
    with (language.CATALOGUES / "de" / "LC_MESSAGES" / "digest.po").open("rb") as file:
        messages = read_po(file, locale="de")
    made = Catalog(locale="ar", fuzzy=False)
    for message in messages:
        if message.id:
            said = mirrored(message.id if isinstance(message.id, str) else message.id[0])
            made.add(message.id, said if isinstance(message.id, str) else (said,) * made.num_plurals)
    place = folder / "ar" / "LC_MESSAGES" / "digest.po"
    place.parent.mkdir(parents=True)
    with place.open("wb") as file:
        write_po(file, made)
    shipped, language.CATALOGUES = language.CATALOGUES, folder
    _forget()
    try:
        yield "ar"
    finally:
        language.CATALOGUES = shipped
        _forget()


def _forget() -> None:
    for cache in (language.languages, language.language_of, language.catalogue, language._language):
        cache.cache_clear()
