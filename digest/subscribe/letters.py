"""Messages to single people: what they say, in the reader's language, and their wire form. Pure.

They are short and plain text: who reads them wants to click or to answer, in any program. Each says that a program
wrote it (RFC 3834), so that no other program answers. `digest/membership.py` decides who gets which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from digest.model import Address, MailingList
from digest.render.language import Language
from digest.render.message import Mailbox, Sign, mailbox, mailbox_field, subject_field, wire_address
from digest.render.text import wrap


@dataclass(frozen=True, slots=True)
class Text:
    """What a letter says. A paragraph that is an address, or has line breaks of its own, is not wrapped."""

    subject: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Headers:
    """What stands around a letter's text."""

    to: Address
    name: str
    message_id: str
    """With its angle brackets. Programs quote it in a reply, so it may hold a token."""
    at: datetime
    reply_to: Address | None = None
    in_reply_to: str = ""
    """The Message-ID of what is answered; empty where nothing is."""


def wire_form(mailing_list: MailingList, headers: Headers, text: Text, sign: Sign | None = None) -> bytes:
    """The letter as it goes over the wire, signed if there is a key."""
    fields = [
        mailbox_field("From", mailbox(mailing_list.from_)),
        mailbox_field("To", Mailbox(headers.name, wire_address(headers.to))),
        subject_field(text.subject),
    ]
    if headers.reply_to:
        fields.append(mailbox_field("Reply-To", Mailbox("", wire_address(headers.reply_to))))
    message = EmailMessage(policy=SMTP)
    message["Date"] = format_datetime(headers.at.astimezone(ZoneInfo(mailing_list.timezone)))
    message["Message-ID"] = headers.message_id
    if headers.in_reply_to:
        message["In-Reply-To"] = message["References"] = headers.in_reply_to
    message["Auto-Submitted"] = "auto-replied" if headers.in_reply_to else "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content("\n\n".join(map(_set, text.paragraphs)) + "\n", cte="quoted-printable")
    rest, _, body = message.as_bytes().partition(b"\r\n\r\n")
    head = b"".join([*fields, rest, b"\r\n"])
    return b"".join([sign(head, body) if sign else b"", head, b"\r\n", body])


def _set(paragraph: str) -> str:
    if "\n" in paragraph or paragraph.startswith(("http://", "https://")):
        return paragraph
    return wrap(paragraph)


def confirmation(
    language: Language, mailing_list: MailingList, page: str, token: str, topics: Sequence[str], *, by_reply: bool
) -> Text:
    """Asks whether she wants the list, which she says on a page, or `by_reply`: that has the `token` in its subject."""
    _ = language.gettext
    follows = _("You would follow: %(topics)s.", topics=language.listed(topics)) if topics else ""
    also_by_reply = (_("Or simply reply to this message; nothing needs to be written."),) if by_reply else ()
    by_page = (_("Yes, that was me: open this page and confirm."), page, *also_by_reply)
    return Text(
        _("Confirm your subscription to %(list)s", list=mailing_list.name) + (f" [{token}]" if by_reply else ""),
        (
            _("Somebody, we hope you, asked for %(list)s to be sent to this address.", list=mailing_list.name),
            *([follows] if follows else []),
            *(by_page if page else (_("Yes, that was me: reply to this message; nothing needs to be written."),)),
            _("If it was not you, do nothing: you will not be subscribed. The question holds for 72 hours."),
        ),
    )


def subscribed_already(language: Language, mailing_list: MailingList, page: str) -> Text:
    """To somebody who asks, or in whose name somebody asked, to be subscribed a second time."""
    _ = language.gettext
    return Text(
        _("You get %(list)s already", list=mailing_list.name),
        (
            _("Somebody asked for %(list)s to be sent to this address. You get it already, and nothing has changed.",
                 list=mailing_list.name),
            *((_("What you follow, and how often, is on your own page:"), page) if page else ()),
        ),
    )  # fmt: skip


def welcome(language: Language, mailing_list: MailingList, page: str, topics: Sequence[str]) -> Text:
    """After the confirmation."""
    _ = language.gettext
    return Text(
        _("Welcome to %(list)s", list=mailing_list.name),
        (
            _("You are subscribed to %(list)s. Your first edition comes with the next one that is sent.",
                 list=mailing_list.name),
            *([_("You follow: %(topics)s.", topics=language.listed(topics))] if topics else []),
            *((_("You can change that, and everything else, on your own page:"), page) if page else ()),
        ),
    )  # fmt: skip
