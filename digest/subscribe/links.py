"""The addresses that an email leads to, made of the list, its tokens and where it can be answered.

Three cases. With a `base_url`, everything is a page under it. Without, but with a mailbox that is read, votes are
messages to it. With neither there is nothing to click but the list's mailto: a link that leads nowhere is worse than
none. The list's id is in every page's path: several lists may share one `base_url`, and a token holds for one list.

    {base_url}/unsubscribe/{list}/{token}      for people, and for one click (RFC 8058)
    {base_url}/preferences/{list}/{token}
    {base_url}/vote/{list}/{token}/more/{paper}   or less, save
    {base_url}/confirm/{list}/{token}
    {base_url}/archive/{list}
    mailto:{local}+vote@{domain}?subject={token}%20more%20{paper}   (RFC 6068)

Pure, but for the key: it is asked for when the first link is signed. `app.py` calls this; `digest.render` shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote, urlsplit

from digest.model import Address, MailingList, Subscriber, SubscriberId
from digest.render.addresses import ListLinks, ReaderLinks, VoteWords
from digest.render.message import a_labels, wire_address
from digest.subscribe.tokens import Purpose, Tokens

PAGES = VoteWords("more/", "less/", "save/")
MESSAGES = VoteWords("more%20", "less%20", "save%20")
VOTE = "vote"
"""What is added to the mailbox's local part, after a plus (RFC 5233), for votes."""


def list_links(mailing_list: MailingList, tokens: Callable[[], Tokens], mailbox: Address | None) -> ListLinks:
    """What the list's emails link to. `mailbox` is an address that is read, if there is one."""
    if mailing_list.base_url:
        return _pages(_percent_encoded(mailing_list.base_url), quote(mailing_list.id, safe=""), tokens)
    if mailbox:
        return _messages(mailbox, tokens)
    return ListLinks()


def confirmation_page(mailing_list: MailingList, token: str) -> str:
    """The page that confirms an address; empty where the list has no pages."""
    if not mailing_list.base_url:
        return ""
    return f"{_percent_encoded(mailing_list.base_url)}/confirm/{quote(mailing_list.id, safe='')}/{token}"


def mail_to(mailbox: Address, what: str) -> Address:
    """The mailbox's own address for a purpose: `digest+subscribe@example.org` (RFC 5233)."""
    local, _, domain = mailbox.rpartition("@")
    return Address(f"{local}+{what}@{domain}")


def _pages(base: str, list_id: str, tokens: Callable[[], Tokens]) -> ListLinks:
    def links(reader: SubscriberId) -> ReaderLinks:
        sign = tokens().sign
        return ReaderLinks(
            unsubscribe=f"{base}/unsubscribe/{list_id}/{sign(Purpose.UNSUBSCRIBE, reader)}",
            preferences=f"{base}/preferences/{list_id}/{sign(Purpose.PREFERENCES, reader)}",
            vote=f"{base}/vote/{list_id}/{sign(Purpose.VOTE, reader)}/",
        )

    return ListLinks(_once(links), PAGES, f"{base}/archive/{list_id}")


def _messages(mailbox: Address, tokens: Callable[[], Tokens]) -> ListLinks:
    local, _, domain = wire_address(mailbox).rpartition("@")
    # The plus is encoded as well: as it stands, some programs read it as a space.
    to = f"{quote(f'{local}+{VOTE}', safe='')}@{domain}"

    def links(reader: SubscriberId) -> ReaderLinks:
        return ReaderLinks(vote=f"mailto:{to}?subject={tokens().sign(Purpose.VOTE, reader)}%20")

    return ListLinks(_once(links), MESSAGES)


def _once(links: Callable[[SubscriberId], ReaderLinks]) -> Callable[[Subscriber], ReaderLinks]:
    """Header, HTML and text of a message each ask for its reader's links: they are signed once."""
    kept = lru_cache(maxsize=16)(links)
    return lambda subscriber: kept(subscriber.id)


def _percent_encoded(base_url: str) -> str:
    """The address in ASCII (RFC 3986), without a slash at its end."""
    parts = urlsplit(base_url)
    host = a_labels(parts.hostname or "")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{host}{port}{quote(parts.path, safe='/%:@!$&()*+,;=~')}".rstrip("/")
