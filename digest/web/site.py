"""One list as its pages have it: its addresses, its templates, what its editions brought, and the pages made of that.

What everybody sees is made once and kept until there is a new edition; what one reader sees is never kept.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import TypeVar
from urllib.parse import quote, urlsplit

from digest.app import App
from digest.garbage import spare_what_lives
from digest.model import Candidate, Edition, MailingList, PaperId, Remark, Says
from digest.rank.trending import measure
from digest.render.cards import Card, card_of
from digest.render.language import Language, language_of
from digest.render.masthead import postal_line
from digest.render.message import mailbox
from digest.render.remarks import remark
from digest.render.templates import WEB, Templates
from digest.render.text import clip, plain
from digest.sampling import Sampler
from digest.web.spans import Span

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
HTML = "text/html; charset=utf-8"
PAGES_KEPT, SPANS_KEPT, LANGUAGES_KEPT = 300, 4, 8
FRESH = 2.0
"""Seconds for which it is believed that there is no newer edition."""
FILES = {
    "style.css": "text/css; charset=utf-8",
    "status.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""What a page loads beside itself, and what it is."""


@dataclass(frozen=True, slots=True)
class TopicLink:
    """One of the list's topics."""

    name: str
    feed: str


@dataclass(frozen=True, slots=True)
class Masthead:
    """What every page shows of its list; every address is a path, but for `base`."""

    name: str
    language: str
    direction: str
    home: str
    archive: str
    feed: str
    subscribe: str
    preview: str
    style: str
    status_style: str
    """What the page for operators has beside."""
    script: str
    icon: str
    topics: tuple[TopicLink, ...]
    can_subscribe: bool
    """Somebody can confirm: emails have a page to lead to, or a mailbox is read."""
    contact: str
    postal_address: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A paper on a page."""

    card: Card
    page: str
    figures: tuple[str, ...]
    """`128 upvotes`, in the order of their weight."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its figures, in the order of what trends."""

    candidate: Candidate
    figures: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A page as it is sent."""

    body: bytes
    etag: str
    media_type: str


class LruCache(OrderedDict[K, V]):
    """The values that were used last; any thread may ask."""

    def __init__(self, most: int):
        super().__init__()
        self._most = most
        self._lock = threading.Lock()

    def at(self, key: K) -> V | None:
        """The value, if it is still kept."""
        with self._lock:
            if key in self:
                self.move_to_end(key)
                return self[key]
        return None

    def put(self, key: K, value: V) -> None:
        """Keeps a value; the one that was used longest ago may have to go."""
        with self._lock:
            self[key] = value
            while len(self) > self._most:
                self.popitem(last=False)


class Site:
    """One list's part of the pages."""

    def __init__(self, app: App, alone: bool):
        """`alone`: there is no other list, so this one's front page is the first page of all."""
        self.app = app
        self.list: MailingList = app.list
        self.people = app.membership
        self.language: Language = language_of(app.list.language)
        self.prefix = urlsplit(app.list.base_url or "").path.rstrip("/")
        self.is_secure = (app.list.base_url or "").startswith("https://")
        self._alone = alone
        self._templates: LruCache[Language, Templates] = LruCache(LANGUAGES_KEPT)
        self._pages: LruCache[Hashable, Made] = LruCache(PAGES_KEPT)
        self._spans: LruCache[Hashable, tuple[Ranked, ...]] = LruCache(SPANS_KEPT)
        self._newest, self._looked_at = 0, -FRESH - 1
        self._sampler: Sampler | None = None
        self._warming = threading.Lock()

    def path(self, *parts: str) -> str:
        """A path under the prefix; each part is one segment, encoded."""
        return "/".join((self.prefix, *(quote(part, safe=":@!$&'()*+,;=~") for part in parts)))

    @property
    def home(self) -> str:
        """The path of the list's front page."""
        return f"{self.prefix}/" if self._alone else self.path(self.list.id)

    def span_path(self, span: Span) -> str:
        """The path of a day's, a week's or a month's page."""
        return self.path("archive", self.list.id, span.slug)

    def paper_path(self, paper_id: PaperId) -> str:
        """The path of a paper's page."""
        return self.path("paper", self.list.id, paper_id)

    @cached_property
    def files(self) -> dict[str, tuple[bytes, str]]:
        """What pages load, by `HASH/NAME`: content and type. The hash is the content's, so it can be kept for ever."""
        made = {}
        for name, kind in FILES.items():
            content = self._templates_in(self.language).render(name, language=self.language.tag).encode()
            made[f"{_hash(content)}/{name}"] = content, kind
        return made

    @cached_property
    def masthead(self) -> Masthead:
        """What every page shows."""
        file = {key.partition("/")[2]: self.path("static", *key.split("/")) for key in self.files}
        here = self.list.id
        return Masthead(
            name=clip(plain(self.list.name), 120),
            language=self.language.tag,
            direction=self.language.direction,
            home=self.home,
            archive=self.path("archive", here),
            feed=self.path("feed", here),
            subscribe=self.path("subscribe", here),
            preview=self.path("preview", here),
            style=file["style.css"],
            status_style=file["status.css"],
            script=file["page.js"],
            icon=file["icon.svg"],
            topics=tuple(
                TopicLink(topic.name, self.path("feed", here, topic.name)) for topic in self.app.config.topics
            ),
            can_subscribe=bool(self.list.base_url or self.app.config.inbox),
            contact=mailbox(self.list.reply_to or self.list.from_).address,
            postal_address=postal_line(self.list),
        )

    def render(self, template: str, **names: object) -> str:
        """A page of this list, in its language."""
        return self.render_in(self.language, template, **names)

    def render_in(self, language: Language, template: str, **names: object) -> str:
        """A page of this list, in a reader's own language."""
        head = replace(self.masthead, language=language.tag, direction=language.direction)
        return self._templates_in(language).render(template, site=head, **names)

    def _templates_in(self, language: Language) -> Templates:
        if (found := self._templates.at(language)) is None:
            found = Templates(WEB, self.list.templates, language)
            self._templates.put(language, found)
        return found

    def newest(self) -> Edition | None:
        """The list's newest edition."""
        return self.app.editions.latest(self.list.id)

    def keep(self, address: Hashable, made: Made) -> None:
        """Keeps a page that everybody sees, until there is a new edition."""
        self._pages.put((self._newest_id(), address), made)

    def kept(self, address: Hashable) -> Made | None:
        """The page at an address, if it was made since the newest edition."""
        return self._pages.at((self._newest_id(), address))

    def _newest_id(self) -> int:
        """The newest edition's id, as it was a moment ago at most."""
        at = time.monotonic()
        if at - self._looked_at > FRESH:
            newest = self.newest()
            self._looked_at, self._newest = at, newest.id if newest else 0
        return self._newest

    def ranked(self, span: Span) -> tuple[Ranked, ...]:
        """The papers of a span's editions, what trends first, each once and as its newest edition had it."""
        editions = self.app.archive.between(span.first, span.last)

        key = tuple(edition.id for edition in editions)
        if (found := self._spans.at(key)) is not None:
            return found
        papers: dict[PaperId, Candidate] = {}
        for edition in editions:
            for candidate in self.app.editions.candidates(edition):
                papers.setdefault(candidate.paper.id, candidate)
        candidates = tuple(papers.values())
        if not candidates:
            return ()
        trend = measure(candidates, editions[0].cutoff)
        made = tuple(
            Ranked(candidates[row], tuple(told for told, _ in sorted(trend.parts(row), key=lambda part: -part[1])))
            for row in sorted(range(len(candidates)), key=lambda row: -float(trend.trend[row]))
        )
        self._spans.put(key, made)
        return made

    def shown(self, candidate: Candidate, figures: tuple[Remark, ...] = (), why: str = "") -> Shown:
        """A paper as templates see it."""
        told = tuple(remark(self.language, each) for each in figures if each.says is not Says.NO_SIGNAL)
        return Shown(card_of(self.language, candidate), self.paper_path(candidate.paper.id), told, why)

    def sampler(self) -> Sampler | None:
        """The newest edition that is ready to be picked from; made here only where none is. None without an edition."""
        return self._sampler or self.warm()

    def warm(self) -> Sampler | None:
        """Makes the newest edition ready, which takes seconds; until it is, the one before answers."""
        with self._warming:
            newest = self.newest()
            if newest and (self._sampler is None or self._sampler.edition.id != newest.id):
                self._sampler = self.app.making.sampler(newest, self.app.editions.candidates(newest))
                spare_what_lives()  # to look for garbage among thousands of papers would hold a preview up
            return self._sampler


def made(body: str, media_type: str = HTML) -> Made:
    """A page that everybody sees."""
    content = body.encode()
    return Made(content, f'"{_hash(content)}"', media_type)


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=9).hexdigest()
