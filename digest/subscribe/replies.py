"""What is answered to commands by mail, in the reader's language; the commands themselves are English everywhere. Pure.

`letters.py` has what the pages write as well, and the wire form. `mailroom/answering.py` decides who gets which.
"""

from __future__ import annotations

from collections.abc import Sequence

from digest.members import Preferences
from digest.model import Address, Frequency, MailingList, Profile, Topic
from digest.render import wording
from digest.render.language import Language
from digest.render.text import clip, plain
from digest.roundup import coarser
from digest.subscribe.letters import Text

_SHOWN = 30
"""Topics that are named, one on a line."""


def confirm(language: Language, mailing_list: MailingList, command: str, token: str) -> Text:
    """Asks whether a command is hers; the reply's subject has it, and the token."""
    _ = language.gettext
    return Text(
        # TRANSLATORS: a subject; what follows the colon is a command in English
        _("Confirm: %(command)s [%(token)s]", command=command, token=token),
        (
            _("Somebody, we hope you, wrote to %(list)s in your name: %(command)s", list=mailing_list.name,
              command=command),
            _("Yes, that was me: reply to this message; nothing needs to be written."),
            _("If it was not you, do nothing: nothing changes. The question holds for 72 hours."),
        ),
    )  # fmt: skip


def followed(
    language: Language, mailing_list: MailingList, preferences: Preferences, offered: Sequence[Topic], token: str
) -> Text:
    """What she follows; her reply changes it."""
    _ = language.gettext
    return Text(
        _("What you follow on %(list)s [%(token)s]", list=mailing_list.name, token=token),
        (
            *_state(language, mailing_list, preferences),
            *((_("These are your topics:"), _lines(preferences.profile)) if preferences.profile.topics else ()),
            _("To follow others, reply to this message with all the topics that you want, one on each line and "
              "nothing before them. A topic can be in words of your own."),
            *((_("The list's own topics:"), "\n".join(f"  {clip(plain(t.name), 80)}" for t in offered[:_SHOWN]))
              if offered else ()),
            _("The reply counts for 72 hours."),
        ),
    )  # fmt: skip


def changed(language: Language, mailing_list: MailingList, command: str, preferences: Preferences) -> Text:
    """After a command that changed what she gets."""
    _ = language.gettext
    return Text(
        # TRANSLATORS: a subject; what follows the colon is a command in English
        _("Done: %(command)s", command=clip(command, 80)),
        (
            _("This is what you get of %(list)s from now on.", list=mailing_list.name),
            *_state(language, mailing_list, preferences),
            *([_lines(preferences.profile)] if preferences.profile.topics else []),
        ),
    )


def goodbye(language: Language, mailing_list: MailingList, mailbox: Address) -> Text:
    """After the end of a subscription."""
    _ = language.gettext
    return Text(
        _("You are unsubscribed from %(list)s", list=mailing_list.name),
        (
            _("Nothing more of %(list)s will be sent to this address.", list=mailing_list.name),
            _("Should you want it again, write to %(contact)s: subscribe", contact=mailbox),
        ),
    )


def stranger(language: Language, mailing_list: MailingList, mailbox: Address) -> Text:
    """To somebody who does not get the list, and wants something of it changed."""
    _ = language.gettext
    return Text(
        _("You do not get %(list)s", list=mailing_list.name),
        (
            _("Somebody wrote to %(list)s from this address, which does not get it.", list=mailing_list.name),
            _("If you do get it, then at another address: write from that one. Or use the links in the emails."),
            _("To get it here, write to %(contact)s: subscribe", contact=mailbox),
        ),
    )


def help_(language: Language, lists: Sequence[MailingList], mailbox: Address, *, puzzled: bool = False) -> Text:
    """Which commands there are; `puzzled` after a message that was not understood. Several lists are told apart."""
    _ = language.gettext
    names = language.listed([each.name for each in lists])
    lead = (
        (_("Your message was not understood, and nothing has changed."),) if puzzled
        else ()
    )  # fmt: skip
    which = (
        (
            _("Several lists have this address: put the word in brackets behind the command."),
            "\n".join(f"  {clip(plain(each.name), 60)} ({each.id})" for each in lists),
        )
        if len(lists) > 1
        else ()
    )
    return Text(
        _("How to write to %(list)s", list=names),
        (
            *lead,
            _("Write to %(contact)s, with one of these as the subject:", contact=mailbox),
            "\n".join(
                f"  {command}\n      {told}"
                for command, told in (
                    ("subscribe", _("all of the list's topics")),
                    ("subscribe: video, knot theory", _("these topics, the list's own or in your words")),
                    ("topics", _("what you follow, and how to change it")),
                    ("pause until 2030-01-31", _("nothing until that day; or: pause 2 weeks")),
                    ("resume", _("the end of a pause")),
                    ("daily, weekly, monthly", _("how often you want it")),
                    ("unsubscribe", _("nothing any more")),
                )
            ),
            *which,
            _("You may be asked to confirm by a reply. Within an hour only one such question is sent."),
        ),
    )


def _state(language: Language, mailing_list: MailingList, preferences: Preferences) -> tuple[str, ...]:
    """What else there is to say of what she gets."""
    _ = language.gettext
    said = [wording.follows(language, preferences.profile)]
    wanted = preferences.frequency
    if wanted and wanted is not mailing_list.frequency:
        often = {Frequency.DAILY: _("daily"), Frequency.WEEKLY: _("weekly"), Frequency.MONTHLY: _("monthly")}[wanted]
        if wanted in coarser(mailing_list.frequency):
            said.append(_("It comes %(often)s.", often=often))
        else:
            said.append(_("You asked for it %(often)s; it comes as often as the list does.", often=often))
    if preferences.paused_until:
        said.append(_("Nothing is sent before %(day)s.", day=language.long_date(preferences.paused_until)))
    return tuple(said)


def _lines(profile: Profile) -> str:
    return "\n".join(f"  {clip(plain(topic.name), 100)}" for topic in profile.topics[:_SHOWN])
