"""What templates see of an edition and its list: the same for all readers of a language. Called by `edition.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from digest.model import Edition, MailingList, SourceSummary
from digest.render import wording
from digest.render.addresses import ListLinks, VoteWords
from digest.render.language import Language
from digest.render.message import mailbox
from digest.render.text import clip, plain

SOURCES_SHOWN = 30
DAYS = 7


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source's line in the footer."""

    text: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Masthead:
    """What templates see of the edition and its list; every text is one line of plain text."""

    name: str
    language: str
    """BCP 47."""
    direction: str
    """`ltr` or `rtl`."""
    start: str
    """`left` or `right`: where a line begins."""
    end: str
    date: str
    number: int
    announced: int
    quiet: str
    days: tuple[str, ...]
    """The last seven days by short names, the edition's last."""
    sources: tuple[SourceLine, ...]
    more_sources: int
    votes: VoteWords | None
    """What stands in a vote's address between `slot.vote` and `card.vote`; None where votes are not offered."""
    preferences: bool
    """Whether `slot.preferences` leads somewhere."""
    archive: str
    one_click: bool
    """Whether `slot.unsubscribe` is the reader's own; else it writes to those who answer for the list."""
    unsubscribe_subject: str
    contact: str
    postal_address: str


def masthead_of(
    language: Language,
    mailing_list: MailingList,
    edition: Edition,
    announced: int,
    sources: Sequence[SourceSummary],
    links: ListLinks,
    has_own_links: bool,
) -> Masthead:
    """What is said of the edition to everyone. `has_own_links`: readers have addresses of their own.

    Raises ConfigError if the list has no usable address.
    """
    start, end = ("right", "left") if language.direction == "rtl" else ("left", "right")
    days = [edition.due_on - timedelta(days=back) for back in reversed(range(DAYS))]
    return Masthead(
        name=clip(plain(mailing_list.name), 120),
        language=language.tag,
        direction=language.direction,
        start=start,
        end=end,
        date=language.long_date(edition.due_on),
        number=edition.number,
        announced=announced,
        quiet=wording.quiet(language, announced, sources),
        days=tuple(language.initials(day) for day in days),
        sources=tuple(
            SourceLine(wording.source_line(language, s), s.error is not None) for s in sources[:SOURCES_SHOWN]
        ),
        more_sources=max(0, len(sources) - SOURCES_SHOWN),
        votes=links.votes,
        preferences=has_own_links,
        archive=links.archive,
        one_click=has_own_links,
        unsubscribe_subject=f"unsubscribe {plain(mailing_list.id)}",
        contact=mailbox(mailing_list.reply_to or mailing_list.from_).address,
        postal_address=clip(postal_line(mailing_list), 300),
    )


def postal_line(mailing_list: MailingList) -> str:
    """The list's postal address in one line, empty where it has none.

    Without the list's name where it begins with it, as addresses do: templates write the name before it.
    """
    lines = ", ".join(filter(None, map(plain, (mailing_list.postal_address or "").splitlines())))
    return lines.removeprefix(f"{plain(mailing_list.name)}, ")
