"""Finds, compiles and runs the templates of one theme, or of the pages, in one language; names file and line of a
broken one.

A template is looked for in the list's own folder first, then among the shipped ones; in the theme's folder, and if it
is not there in that of the theme `daily`: a theme holds only what differs. The pages' are in `web`, and
`digest/web/site.py` says what they see. The list's templates run in a sandbox. What each template sees:

    edition.html, edition.txt     edition, slot (summary, body, follows, window, address, unsubscribe, preferences;
                                  html: preheader)
    heading.html, heading.txt     edition, slot (title)
    card.html, card.txt           edition, card, told, slot (number, why; html: byline, vote; txt: read)
    line.html, line.txt           edition, card, told, slot (number, why; txt: read)
    miss.html, miss.txt           edition, card, told, slot (missing)
    news.html, news.txt           edition, card, told
    week.html                     edition, slot (topics)
    topic.html, topic.txt         edition, slot (name, days, told)
    day.html                      edition, level (0 to 4), slot (count)
    more.html                     edition, slot (names)
    quiet.html, quiet.txt         edition
    links.txt                     edition, slot (links)

`edition` is a `masthead.Masthead`, `card` a `cards.Card`, `told` what became of a paper. What is in `slot` differs from
reader to reader and is filled in later: a template shows it, and can do nothing else with it.

Words are translated by `_("…")`, by `ngettext("…", "…", number)` and by `{% trans %}`, as `jinja2.ext.i18n` has them in
its new style: `_("Sent to %(address)s.", address=slot.address)`; there `%(num)s` is the number as
the language writes it. Words of a list's own templates that no catalogue has
stay as they are. Called by `edition.py`, and by `digest.web`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.bccache import Bucket
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from digest.errors import TemplateError
from digest.model import Theme
from digest.render.language import Language
from digest.render.text import wrap


def shipped_templates() -> Path:
    """The folder of the shipped templates: in the installed package, else at the top of the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def out_of_place(own: Path) -> dict[str, str]:
    """Files of a list's own folder that are called as a shipped one and do not stand in for it: where they would."""
    root = shipped_templates()
    shipped = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    meant = {place.rpartition("/")[2]: place for place in sorted(shipped, key=lambda p: p.startswith("email/daily/"))}
    found = sorted(path.relative_to(own).as_posix() for path in own.rglob("*") if path.is_file())
    return {path: meant[name] for path in found if path not in shipped and (name := path.rpartition("/")[2]) in meant}


WEB = ("web",)
"""The folder of the pages' templates."""


def email_folders(theme: Theme) -> tuple[str, ...]:
    """The folders in which a theme's templates are looked for, in this order."""
    return tuple(f"email/{name}" for name in dict.fromkeys((theme, Theme.DAILY)))


class _Compiled(jinja2.BytecodeCache):
    """Templates as Jinja has compiled them, for all editions and pages of this process; known by their source."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fills what Jinja asks for; one whose source has changed since it leaves empty."""
        if found := self._known.get(bucket.key):
            bucket.bytecode_from_string(found)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps what Jinja has compiled."""
        self._known[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Templates:
    """The templates of some folders in one language, and what a list overrides of them."""

    def __init__(self, folders: Sequence[str], own: Path | None, language: Language):
        """Raises TemplateError if the list's own folder does not exist."""
        if own and not own.is_dir():
            raise TemplateError(f"{own}: no such folder; correct list.templates or leave it out")
        roots = [*([own] if own else []), shipped_templates()]
        themes = [root / folder for folder in folders for root in roots]
        # The roots last: a theme's file can include another theme's, `email/daily/style.css`.
        self._places = [*themes, *roots]
        self._environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FileSystemLoader(self._places),
            undefined=jinja2.StrictUndefined,
            autoescape=jinja2.select_autoescape(("html",), default=False),
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=_COMPILED,
        )
        self._environment.filters["wrap"] = wrap
        self._environment.install_gettext_translations(language.messages, newstyle=True)  # type: ignore[attr-defined]
        self._environment.globals["ngettext"] = _counting(self._environment.globals["ngettext"], language)  # type: ignore[arg-type]

    def render(self, template: str, **names: object) -> str:
        """The template with these names. Raises TemplateError with file and line."""
        try:
            return self._environment.get_template(template).render(names)
        except Exception as error:
            self._blame(error, template)

    def place(self, template: str) -> str:
        """The file that the template is read from."""
        return str(next((p / template for p in self._places if (p / template).is_file()), template))

    def check_names(self, template: str, names: Collection[str]) -> None:
        """Raises TemplateError if the template reads a name that it is not given, in any branch."""
        try:
            self._environment.get_template(template)
            source, file, _ = self._loader.get_source(self._environment, template)
            tree = self._environment.parse(source, template, file)
        except Exception as error:
            self._blame(error, template)
        unknown = meta.find_undeclared_variables(tree) - set(names)
        for name in tree.find_all(nodes.Name):
            if name.name in unknown:
                raise TemplateError(f"{file}:{name.lineno}: '{name.name}' is undefined; there are {', '.join(names)}")

    @property
    def _loader(self) -> jinja2.BaseLoader:
        loader = self._environment.loader
        assert loader is not None  # noqa: S101 - set in __init__
        return loader

    def _blame(self, error: Exception, path: str) -> NoReturn:
        if isinstance(error, jinja2.TemplateNotFound):
            looked = " or ".join(str(place) for place in self._places)
            raise TemplateError(f"template {error.name} is missing: looked in {looked}") from error
        if isinstance(error, jinja2.TemplateSyntaxError):
            raise TemplateError(f"{error.filename or path}:{error.lineno}: {error.message}") from error
        where = next(self._template_frames(error), path)
        what = str(error) or type(error).__name__
        raise TemplateError(f"{where}: {what}") from error

    def _template_frames(self, error: Exception) -> Iterator[str]:
        """`file:line` of each template on the error's stack, the innermost first; Jinja puts them there."""
        places = tuple(f"{place}/" for place in self._places)
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename.startswith(places):
                yield f"{frame.filename}:{frame.lineno}"


def _counting(ngettext: Callable[..., str], language: Language) -> Callable[..., str]:
    """Jinja's `ngettext`, with its number as the language writes it."""

    @jinja2.pass_context
    def counting(context: Context, one: str, many: str, number: int, **values: object) -> str:
        return ngettext(context, one, many, number, **{"num": language.number(number)} | values)

    return counting
