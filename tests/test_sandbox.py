"""A list's own templates: text with gaps, and no way from them to files, to the program or to its secrets.

Whoever may write a template need not be who runs digest: a theme is downloaded, a designer has the folder.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from digest.errors import TemplateError
from digest.model import Theme
from digest.render.language import language_of
from digest.render.templates import Templates, email_folders
from tests.asking import Pages
from tests.render_samples import ADA, paper, renderer, whole_selection

PAPERS = [paper(number) for number in range(1, 5)]
SECRET = "root:x:0:0"
OUT = (
    "''.__class__",
    "''['__class__']",
    "''|attr('__class__')",
    "''|attr('_' ~ '_class_' ~ '_')",
    "''.__class__.__mro__[1].__subclasses__()",
    "'{0.__class__}'.format('')",
    "'{0.__class__.__mro__}'.format('')",
    "'%s'.__mod__",
    "'{x.__class__}'.format_map({'x': ''})",
    "('{0.__class' ~ '__}').format('')",
    "'%(a)s'|format(a=''.__class__)",
    "(['']|map(attribute='__class__')|list)[0].mro()",
    "([['']]|map('first')|map(attribute='__class__')|first).mro()",
    "([{'a': ''}]|map(attribute='a.__class__')|first).mro()",
    "([('',)]|map(attribute='0.__class__')|first).mro()",
    "([('',)]|sum(attribute='0.__class__', start=0))",
    "(['']|groupby('__class__')|first).grouper.mro()",
    "(['']|selectattr('__class__')|list|first).x",
    "lipsum.__globals__['os']",
    "lipsum|attr('__globals__')",
    "cycler.__init__.__globals__.os",
    "joiner.__init__.__globals__",
    "namespace.__init__.__globals__",
    "_.__globals__",
    "ngettext.__globals__",
    "ngettext.__closure__[0].cell_contents",
    "gettext.__code__.co_consts",
    "range.__self__",
    "self.__init__.__globals__",
    "self._TemplateReference__context.environment",
    "self.x._TemplateReference__context",
    "edition.__class__",
    "edition.__init__.__globals__",
    "edition.votes.__init__.__globals__",
    "card.__dataclass_fields__",
    "(edition|attr('__class__'))|attr('__init__')",
    "dict.__base__.__subclasses__()",
    "dict.mro()",
    "(1).__add__.__self__.__class__",
    "(namespace() if namespace(x=namespace) else 0).__class__",
    "caller.__globals__",
    "(x for x in ()).gi_frame",
    "loop.__init__",
    "config.items()",
    "open('/etc/passwd').read()",
    "__import__('os')",
    "get_flashed_messages.__globals__",
    "url_for.__globals__",
    "request.application",
    "_('%(a.__class__)s')",
    "_('{0.__class__}').format('')",
    "ngettext('{0.__class__}', '', 1).format('')",
    "(['a'].append('b') or [])",
    "edition.sources.__class__",
    "range(10 ** 9)|list",
)
"""Each is known to lead out of a template that is not in a sandbox, or to names that others have."""
FILES = (
    '{% include "/etc/passwd" %}',
    '{% include "../../../../../../../../etc/passwd" %}',
    '{% include "email/../../../../../../../etc/passwd" %}',
    '{% include "..\\\\..\\\\etc\\\\passwd" %}',
    '{% include ["/etc/passwd", "../secret.txt"] %}',
    '{% include "../secret.txt" %}',
    '{% include "./../secret.txt" %}',
    '{% import "../secret.txt" as s %}{{ s }}',
    '{% from "/etc/passwd" import root %}',
    '{% extends "../../secret.txt" %}',
    '{% extends "/etc/passwd" %}',
    '{% import "os" as os %}{{ os }}',
)


def own(folder: Path, source: str) -> Templates:
    """Templates of a list whose own card is this."""
    file = folder / "own" / "email" / "daily" / "card.txt"
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    (folder / "secret.txt").write_text(SECRET)
    (folder / "own" / "email" / "secret.txt").symlink_to(folder / "nowhere")
    return Templates(email_folders(Theme.DAILY), folder / "own", language_of("en"))


@cache
def names() -> dict[str, object]:
    """What a card's template is given."""
    given: dict[str, object] = {}
    edition = renderer(PAPERS)

    def noted(self: Templates, template: str, **names: object) -> str:
        if template == "card.html":
            given.update(names)
        return before(self, template, **names)

    before = Templates.render
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Templates, "render", noted)
        edition.render(ADA, whole_selection(PAPERS))
    assert {"edition", "card", "slot"} <= given.keys()
    return given


@pytest.mark.parametrize("way", OUT)
def test_no_expression_leads_out(tmp_path: Path, way: str) -> None:
    """Classes, globals, frames, modules, more than a page's worth of memory: each way is refused with file and line."""
    for source in (f"{{{{ {way} }}}}", f"{{% set x = {way} %}}{{{{ x }}}}"):
        folder = tmp_path / str(len(source))
        templates = own(folder, source)
        with pytest.raises(TemplateError, match=r"card\.txt:1: |is undefined") as refused:
            templates.render("card.txt", **names())
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize("source", FILES)
def test_no_other_file_is_read(tmp_path: Path, source: str) -> None:
    """A template includes, imports and extends templates of the list's folder and of the shipped ones alone."""
    templates = own(tmp_path, source)
    with pytest.raises(TemplateError) as refused:
        templates.render("card.txt", **names())
    assert SECRET not in str(refused.value)


def test_what_may_be_done_still_can(tmp_path: Path) -> None:
    """The tests above fail for what they say: the same template with a harmless expression is rendered."""
    source = "{{ card.title | upper }} {{ '{0}'.format(1) }} {{ [2]|map('string')|first }}"
    assert own(tmp_path, source).render("card.txt", **names()).endswith(" 1 2")


PLAIN = (str, bytes, int, float, bool, date, datetime, time, timedelta, enum.Enum, type(None))


def reached(value: object, path: str, seen: set[int]) -> Iterator[str]:
    """What of a value, and of all that can be got from it by name, is more than data."""
    if isinstance(value, PLAIN) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        parts: list[tuple[str, Any]] = [(f"{path}[]", each) for item in value.items() for each in item]
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [(f"{path}.{field.name}", getattr(value, field.name)) for field in fields(value)]
    elif isinstance(value, Collection):
        parts = [(f"{path}[]", each) for each in value]
    else:
        yield f"{path}: {type(value).__name__}"
        return
    for name, part in parts:
        yield from reached(part, name, seen)


def test_templates_are_given_nothing_but_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of emails and of pages: no path, file, function, store or password can be got from a name that they are given.

    A sandbox lets every public method be called: `path.read_text()` would be one.
    """
    found: dict[str, set[str]] = {}
    before = Templates.render

    def noted(self: Templates, template: str, **names: object) -> str:
        told = {line for name, value in names.items() for line in reached(value, name, set())}
        found.setdefault(template, set()).update(told)
        return before(self, template, **names)

    monkeypatch.setattr(Templates, "render", noted)
    selection = whole_selection(PAPERS)
    edition = renderer(PAPERS)
    edition.render(ADA, selection)
    pages = Pages(tmp_path)
    with pages.hall:
        for path in ("/lab", "/archive/lab", "/subscribe/lab", "/nothing/here"):
            pages.get(path)
    assert {"card.html", "edition.txt", "list.html", "archive.html"} <= found.keys()
    assert {template: told for template, told in found.items() if told} == {}
