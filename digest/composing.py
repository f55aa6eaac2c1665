"""Makes a list's messages: what the renderer needs of config and store, and who each one is from.

`app.py` shows editions with it, and `outbox.py` composes with it what leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import parseaddr
from functools import cached_property

from digest.model import (
    Address,
    Candidate,
    Claim,
    DeliveryId,
    Edition,
    EditionId,
    Envelope,
    PaperId,
    SourceSummary,
)
from digest.render import EditionRenderer
from digest.render.message import Sign
from digest.settings import ListConfig
from digest.store import Database, Editions, Secrets
from digest.subscribe.links import list_links
from digest.subscribe.tokens import Tokens

Compose = Callable[[Claim], tuple[Envelope, bytes]]


class Composer:
    """One list's messages."""

    def __init__(
        self,
        config: ListConfig,
        database: Database,
        sign: Sign | None,
        now: Callable[[], datetime],
        *,
        keep: bool = True,
    ):
        """`sign` is what signs each message (DKIM), if anything does; `keep` as for `Secrets`."""
        self._config = config
        self._list = config.mailing_list
        self._editions = Editions(database)
        self._secrets = Secrets(database, now, keep=keep)
        self._sign = sign
        self._links = list_links(self._list, lambda: self.tokens, config.mailbox)
        self._sender = self._list.bounces or parseaddr(self._list.from_)[1]

    @cached_property
    def tokens(self) -> Tokens:
        """The list's signatures; their key is made by the first command that needs one and keeps something."""
        return Tokens(self._secrets.signing_keys(self._config.keys), self._list.id)

    def renderer(
        self, edition: Edition, candidates: Mapping[PaperId, Candidate], sources: Sequence[SourceSummary]
    ) -> EditionRenderer:
        """What renders an edition, whether or not it is frozen."""
        in_use = dict.fromkeys(subscriber.language for subscriber in self._config.subscribers)
        return EditionRenderer(self._list, edition, candidates, sources, self._links, self._sign, in_use)

    def composing(self, editions: Iterable[Edition] = ()) -> Compose:
        """What composes claims; what these editions need is made now, so that a broken template is found now."""
        renderers: dict[EditionId, EditionRenderer] = {edition.id: self._frozen(edition) for edition in editions}

        def compose(claim: Claim) -> tuple[Envelope, bytes]:
            edition_id = claim.delivery.edition_id
            if edition_id not in renderers:  # an edition that was finished, and has a held delivery reopened
                renderers[edition_id] = self._frozen(self._editions.get(edition_id))
            message = renderers[edition_id].compose(claim.subscriber, claim.delivery)
            return self.envelope(claim.delivery.address, claim.delivery.id), message

        return compose

    def envelope(self, recipient: Address, delivery_id: DeliveryId | None = None) -> Envelope:
        """A delivery's bounces carry its tag (VERP); a test, which is no delivery, has the plain address."""
        if not self._list.bounces or delivery_id is None:
            return Envelope(self._sender, recipient)
        local, _, domain = self._sender.rpartition("@")
        return Envelope(f"{local}+{self.tokens.bounce_tag(delivery_id)}@{domain}", recipient)

    def _frozen(self, edition: Edition) -> EditionRenderer:
        candidates = {candidate.paper.id: candidate for candidate in self._editions.candidates(edition)}
        return self.renderer(edition, candidates, self._editions.sources(edition))
