"""The addresses that an email leads to, made of the list, its tokens and where it can be answered.

Three cases. With a `base_url`, everything is a page under it. Without, but with a mailbox that is read, everything is a
message to it; with both, a message is the other way to leave. With neither there is nothing to click but the list's
mailto: a link that leads nowhere is worse than none. The list's id is in every page's path: several lists may share
one `base_url`, and a token holds for one list.

    {base_url}/unsubscribe/{list}/{token}      for people, and for one click (RFC 8058)
    {base_url}/preferences/{list}/{token}
    {base_url}/vote/{list}/{token}/more/{paper}   or less, save
    {base_url}/confirm/{list}/{token}
    {base_url}/archive/{list}
    mailto:{local}+vote@{domain}?subject={token}%20more%20{paper}   (RFC 6068)
    mailto:{local}+unsubscribe@{domain}?subject={token}             for people, and for mail programs (RFC 2369)
    mailto:{local}+topics@{domain}?subject=topics%20{list}
    mailto:{local}+help@{domain}?subject=help%20{list}

Pure, but for the key: it is asked for when the first link is signed. `making.py` calls this; `digest.render` shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlsplit

from digest.model import Address, MailingList, Subscriber
from digest.render.addresses import ListLinks, ReaderLinks, VoteWords
from digest.render.message import a_labels, wire_address
from digest.subscribe.tokens import Purpose, Tokens

PAGES = VoteWords("more/", "less/", "save/")
MESSAGES = VoteWords("more%20", "less%20", "save%20")


def list_links(mailing_list: MailingList, tokens: Callable[[], Tokens], mailbox: Address | None) -> ListLinks:
    """What the list's emails link to. `mailbox` is an address that is read, if there is one."""
    list_id = quote(mailing_list.id, safe="")
    if mailing_list.base_url:
        return _pages(_percent_encoded(mailing_list.base_url), list_id, tokens, mailbox)
    if mailbox:
        return _messages(mailbox, list_id, tokens)
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


def _pages(base: str, list_id: str, tokens: Callable[[], Tokens], mailbox: Address | None) -> ListLinks:
    def links(subscriber: Subscriber) -> ReaderLinks:
        sign, reader = tokens().sign, subscriber.id
        return ReaderLinks(
            unsubscribe=f"{base}/unsubscribe/{list_id}/{(leave := sign(Purpose.UNSUBSCRIBE, reader))}",
            unsubscribe_by_mail=_mailto(mailbox, "unsubscribe", leave) if mailbox else "",
            preferences=f"{base}/preferences/{list_id}/{sign(Purpose.PREFERENCES, reader)}",
            vote=f"{base}/vote/{list_id}/{sign(Purpose.VOTE, reader)}/",
        )

    helping = _mailto(mailbox, "help", f"help%20{list_id}") if mailbox else ""
    return ListLinks(links, PAGES, f"{base}/archive/{list_id}", helping)


def _messages(mailbox: Address, list_id: str, tokens: Callable[[], Tokens]) -> ListLinks:
    def links(subscriber: Subscriber) -> ReaderLinks:
        sign, reader = tokens().sign, subscriber.id
        leave = _mailto(mailbox, "unsubscribe", sign(Purpose.UNSUBSCRIBE, reader))
        return ReaderLinks(
            unsubscribe=leave,
            unsubscribe_by_mail=leave,
            preferences=_mailto(mailbox, "topics", f"topics%20{list_id}"),
            vote=_mailto(mailbox, "vote", f"{sign(Purpose.VOTE, reader)}%20"),
        )

    return ListLinks(links, MESSAGES, help=_mailto(mailbox, "help", f"help%20{list_id}"))


def _mailto(mailbox: Address, what: str, subject: str) -> str:
    local, _, domain = wire_address(mail_to(mailbox, what)).rpartition("@")
    # The plus is encoded as well: as it stands, some programs read it as a space.
    return f"mailto:{quote(local, safe='')}@{domain}?subject={subject}"


def _percent_encoded(base_url: str) -> str:
    """The address in ASCII (RFC 3986), without a slash at its end."""
    parts = urlsplit(base_url)
    host = a_labels(parts.hostname or "")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{host}{port}{quote(parts.path, safe='/%:@!$&()*+,;=~')}".rstrip("/")
