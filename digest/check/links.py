"""Whether what emails link to is there, and who signs the links."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from digest.check.findings import Finding, failed, ok, warning
from digest.errors import SourceError
from digest.hosts import is_loopback
from digest.pull.http import Fetcher
from digest.settings import ListConfig


async def pages(config: ListConfig) -> list[Finding]:
    """Asks for the list's page, if it has any, as a reader would."""
    base = config.mailing_list.base_url
    if base is None:
        return [_without_pages(config)]
    found = [_signing(config)]
    page = f"{base}/{quote(config.mailing_list.id, safe='')}"
    try:
        # A page of one's own may lie on this machine or in this network.
        async with Fetcher(allow_private=True, seconds=20) as fetcher:
            answer = await fetcher.get(page)
    except SourceError as error:
        todo = "start `digest web` or `digest run --web`, and have the server at `base_url` pass requests on to it"
        return [*found, failed("pages", f"{error}, so every link in an email is dead", todo)]
    parts = urlsplit(base)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        says = (
            f"{page} answers, but not by https: one-click unsubscribing needs it (RFC 8058), and so do Gmail and Yahoo"
        )
        return [
            *found,
            failed("pages", says, "put the pages behind a server that speaks https, and say so in `base_url`"),
        ]
    if "html" not in answer.content_type:
        says = f"{page} answers, but with {answer.content_type or 'nothing that has a type'}: no page of ours"
        return [*found, warning("pages", says, "see whether `base_url` leads to `digest web`")]
    return [*found, ok("pages", f"{page} answers")]


def _signing(config: ListConfig) -> Finding:
    if config.keys:
        more = f", {len(config.keys) - 1} more still count" if len(config.keys) > 1 else ""
        return ok("links", f"signed with the key of the config{more}")
    return ok("links", "signed with the key that is kept in the database: back it up, or links die with it")


def _without_pages(config: ListConfig) -> Finding:
    if config.mailbox and config.inbox:
        return ok("links", f"no `base_url`: leaving and votes are messages to {config.mailbox}")
    if config.relays:
        says = "no `base_url` and no [mailbox]: who wants to leave writes to you, and you must do it by hand"
        return ok("links", says)
    return ok("links", "no `base_url`: emails link to no pages")
