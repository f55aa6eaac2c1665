"""What a list's editions are made with: how papers are merged and ranked, and who renders and composes the messages.

One for each `App`, over its store. It fetches nothing, keeps nothing but sentence vectors and a key that signs, and
decides nothing about what is sent when. Called by `app.py` for editions that are kept, by `commands/proofing.py` for
others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from email.utils import parseaddr
from functools import cached_property

from digest import edition as life
from digest.edition import Draft
from digest.meaning import CachedEmbed, is_semantic
from digest.model import (
    Address,
    Announcement,
    Candidate,
    Claim,
    DeliveryId,
    Edition,
    EditionId,
    Envelope,
    Frequency,
    Paper,
    PaperId,
    Profile,
    Signal,
    SourceSummary,
    Subscriber,
)
from digest.pull.dedupe import merge
from digest.rank import Ranker
from digest.rank.embedding import Embed, Embedder
from digest.render import EditionRenderer
from digest.results import Progress, Pulled
from digest.roundup import NOTHING
from digest.sampling import Borrowed, Sampler
from digest.settings import ListConfig
from digest.store import Editions, Papers, Secrets, Vectors
from digest.subscribe.links import list_links
from digest.subscribe.tokens import Tokens
from digest.ways_out import signer


class Making:
    """Makes drafts, rankers, renderers and messages of one list."""

    def __init__(
        self,
        config: ListConfig,
        now: Callable[[], datetime],
        papers: Papers,
        editions: Editions,
        vectors: Vectors,
        secrets: Secrets,
    ):
        self.semantic = is_semantic(config)
        """Whether meaning counts beside words."""
        self.library: dict[PaperId, Paper] = {p.id: p for s in config.subscribers for p in s.library}
        """Papers that subscribers have in their libraries, announced or not."""
        self._config = config
        self._list = config.mailing_list
        self._sender = self._list.bounces or parseaddr(self._list.from_)[1]
        self._now = now
        self._papers = papers
        self._editions = editions
        self._vectors = vectors
        self._secrets = secrets
        self._sign = signer(config)
        self._links = list_links(self._list, lambda: self.tokens, config.mailbox)

    def draft(self, pulled: Pulled, day: date, frequency: Frequency | None = None) -> Draft:
        """The day's edition of what was pulled, as it would be now: the list's own, or a round-up."""
        latest = self._editions.latest(self._list.id)
        rounding = self._editions.material(self._list.id, day, frequency) if frequency else NOTHING
        return life.draft(
            self._list,
            self._papers,
            latest,
            pulled.reports,
            pulled.figures,
            self.merge,
            day,
            self._now(),
            frequency,
            rounding,
        )

    def merge(self, announcements: Sequence[Announcement], signals: Sequence[Signal]) -> Sequence[Candidate]:
        """The candidates of what was announced: each paper once, and only what the sources' limits let in."""
        return life.merge_wanted(merge, self._config.sources)(announcements, signals)

    def ranker(
        self, candidates: Sequence[Candidate], people: Sequence[Subscriber], cutoff: datetime, progress: Progress
    ) -> Ranker:
        """What ranks these candidates for these people."""
        profiles = [s.profile for s in people]
        embed = self.embed(progress)
        return life.rank_for(self._list, self._papers, candidates, profiles, cutoff, self.library, embed)

    def embed(self, progress: Progress, stopped: Callable[[], bool] = lambda: False) -> Embed | None:
        """How texts become vectors, each once; None where words alone count. Costs nothing until the first text."""
        return CachedEmbed(Embedder().embed, self._vectors, progress.on_embedded, stopped) if self.semantic else None

    def sampler(self, edition: Edition, candidates: Sequence[Candidate]) -> Sampler:
        """What a frozen edition would have brought others; nothing is kept. Takes seconds."""
        memory = Borrowed(self._vectors)
        embed = CachedEmbed(Embedder().embed, memory) if self.semantic else None
        made = Sampler(self._list, edition, candidates, self._papers, embed)
        made.picks(Profile(self._config.topics))  # what is asked first is slow: it is asked now
        memory.return_it()
        return made

    def renderer(self, edition: Edition) -> EditionRenderer:
        """What renders a frozen edition."""
        candidates = {c.paper.id: c for c in self._editions.candidates(edition)}
        return self.rendering(edition, candidates, self._editions.sources(edition))

    def rendering(
        self, edition: Edition, candidates: Mapping[PaperId, Candidate], sources: Sequence[SourceSummary]
    ) -> EditionRenderer:
        """What renders an edition of these candidates."""
        in_use = dict.fromkeys(subscriber.language for subscriber in self._config.subscribers)
        return EditionRenderer(self._list, edition, candidates, sources, self._links, self._sign, in_use)

    def compose(self, claim: Claim, renderers: dict[EditionId, EditionRenderer]) -> tuple[Envelope, bytes]:
        """A delivery's message. `renderers` by edition; what is missing is added."""
        edition_id = claim.delivery.edition_id
        if edition_id not in renderers:  # an edition that was finished, and has a held delivery reopened
            renderers[edition_id] = self.renderer(self._editions.get(edition_id))
        message = renderers[edition_id].compose(claim.subscriber, claim.delivery)
        return self.envelope(claim.delivery.address, claim.delivery.id), message

    def envelope(self, recipient: Address, delivery_id: DeliveryId | None = None) -> Envelope:
        """A delivery's bounces carry its tag (VERP); a test, which is no delivery, has the plain address."""
        if not self._list.bounces or delivery_id is None:
            return Envelope(self._sender, recipient)
        local, _, domain = self._sender.rpartition("@")
        return Envelope(f"{local}+{self.tokens.bounce_tag(delivery_id)}@{domain}", recipient)

    @cached_property
    def tokens(self) -> Tokens:
        """The list's signatures; their key is made by the first command that needs one and keeps something."""
        return Tokens(self._secrets.signing_keys(self._config.keys), self._list.id)
