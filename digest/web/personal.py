"""The pages behind a signed link: confirm, choose, vote, leave, and be told or forgotten.

Opening one shows what its button does; only the button, or a mail program's one click (RFC 8058), does it. The same
again changes nothing. A link that proves nothing raises NoSuchPageError, whatever is wrong with it. No page leads to
one that its own link does not open: who was forwarded a vote must not come to choose, export or erase with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.responses import Response

from digest.members import Ballot, Member, Preferences, Subscription
from digest.model import Frequency, PaperId
from digest.render.language import ENGLISH, Language, language_of, languages, speaks
from digest.render.text import plain
from digest.subscribe.tokens import Purpose
from digest.web import forms
from digest.web.gate import Call, Form, NoFormError, NoSuchPageError, html
from digest.web.joining import Desk
from digest.web.site import Site


@dataclass(frozen=True, slots=True)
class Option:
    """One of a field's choices."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Fields:
    """The page of preferences as it is filled in."""

    name: str
    topics: tuple[Option, ...]
    words: str
    authors: str
    examples: str
    frequency: tuple[Option, ...]
    hour: tuple[Option, ...]
    language: tuple[Option, ...]
    timezone: str
    paused_until: str


class Personal:
    """The pages of one reader each; `desk` sends the letters that follow."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def confirm(self, site: Site, call: Call) -> Response:
        """Asks to confirm; the button does. Who is subscribed already is told so."""
        token = call.path["token"]
        member_id = site.people.tokens.confirmed(token, site.app.now())
        member = site.people.members.get(member_id) if member_id is not None else None
        if member is None:
            raise NoSuchPageError
        own = ""
        if call.is_post:
            member = site.people.confirm(token)
            if member is None:
                raise NoSuchPageError
            self._desk.ring()
            own = _own_path(site, Purpose.PREFERENCES, member)
        topics = [topic.name for topic in member.preferences.profile.topics]
        return _page(site, member, "confirm.html", done=member.is_reached, topics=topics, preferences=own)

    def unsubscribe(self, site: Site, call: Call) -> Response:
        """Asks; the button, or one click of a mail program, does. Who has left already is told so."""
        member = _member(site, call, Purpose.UNSUBSCRIBE)
        if call.is_post:
            site.people.unsubscribe(member)
        has_left = call.is_post or member.subscription is Subscription.UNSUBSCRIBED
        return _page(site, member, "unsubscribe.html", done=has_left)

    def vote(self, site: Site, call: Call) -> Response:
        """Asks; the button votes. Only for papers that were ever announced."""
        member = _member(site, call, Purpose.VOTE)
        paper_id = PaperId(call.path["paper"])
        paper = site.app.papers.known([paper_id]).get(paper_id)
        if paper is None or call.path["ballot"] not in set(Ballot):
            raise NoSuchPageError
        ballot = Ballot(call.path["ballot"])
        if call.is_post:
            site.people.vote(member, paper_id, ballot)
        return _page(
            site,
            member,
            "vote.html",
            done=call.is_post,
            ballot=ballot,
            title=plain(paper.title),
            page=site.paper_path(paper_id) if site.app.archive.paper(paper_id) else "",
        )

    def preferences(self, site: Site, call: Call) -> Response:
        """What she gets, in a form; sent, it is what she gets from now on."""
        member = _member(site, call, Purpose.PREFERENCES)
        if not call.is_post:
            return _preferences_page(site, call, member, member.preferences)
        if call.form == Form():  # else everything that she has chosen would be gone
            raise NoFormError
        language = site.people.language(member.preferences)
        choice = forms.choice(call.form, member.preferences, site.people.topics, language)
        if choice.problems:
            return _preferences_page(site, call, member, choice.preferences, choice.problems)
        chosen = site.people.choose(member, choice.preferences)
        if chosen is None:
            raise NoSuchPageError
        return _preferences_page(site, call, chosen, chosen.preferences, saved=True, read=choice.read)

    def export(self, site: Site, call: Call) -> Response:
        """Everything that is held about her, as a file."""
        member = _member(site, call, Purpose.PREFERENCES)
        body = json.dumps(site.people.held(member), ensure_ascii=False, indent=2)
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{site.list.id}.json"'}
        return Response(body, 200, headers, "application/json")

    def erase(self, site: Site, call: Call) -> Response:
        """Asks once more; the button erases, and with that every link of hers ends."""
        member = _member(site, call, Purpose.PREFERENCES)
        if call.is_post:
            site.people.erase(member)
        own = "" if call.is_post else _own_path(site, Purpose.PREFERENCES, member)
        return _page(site, member, "erase.html", done=call.is_post, preferences=own)


def _page(site: Site, member: Member, template: str, status: int = 200, **names: object) -> Response:
    """A page for her, in her language."""
    language = site.people.language(member.preferences)
    told = {"address": member.address, "active": member.is_active, "suppressed": member.suppressed, **names}
    return html(site.render_in(language, template, **told), status)


def _member(site: Site, call: Call, purpose: Purpose) -> Member:
    member = site.people.member(purpose, call.path["token"])
    if member is None:
        raise NoSuchPageError
    return member


def _own_path(site: Site, purpose: Purpose, member: Member) -> str:
    return site.path(purpose.value, site.list.id, site.people.tokens.sign(purpose, member.id))


def _preferences_page(
    site: Site,
    call: Call,
    member: Member,
    shown: Preferences,
    problems: dict[str, str] | None = None,
    *,
    saved: bool = False,
    read: int = 0,
) -> Response:
    known = site.app.papers.known(shown.profile.examples)
    # What cannot be used is hers to correct: it is shown again as she typed it.
    wrong = {name: call.form.one(name) for name in problems or ()}
    return _page(
        site,
        member,
        "preferences.html",
        422 if problems else 200,
        fields=_fields(site, shown, site.people.language(member.preferences), wrong),
        problems=problems or {},
        saved=saved,
        read=read,
        unknown=len(set(shown.profile.examples) - known.keys()),
        votes=len(site.people.members.votes(member.id)),
        zone=site.list.timezone,
        own=site.path("preferences", site.list.id, call.path["token"]),
        unsubscribe=_own_path(site, Purpose.UNSUBSCRIBE, member),
    )


def _fields(site: Site, shown: Preferences, language: Language, wrong: Mapping[str, str]) -> Fields:
    """The page as `shown` fills it in; fields of text that cannot be used as they were typed, by their names."""
    profile = shown.profile
    _ = language.gettext
    as_listed = Option("", _("As the list"), chosen=False)
    names = {Frequency.DAILY: _("Daily"), Frequency.WEEKLY: _("Weekly"), Frequency.MONTHLY: _("Monthly")}
    listed = {topic.name for topic in site.people.topics}
    followed = {topic.name for topic in profile.topics}

    def options(values: Sequence[str], label: Callable[[str], str], chosen: str | None) -> tuple[Option, ...]:
        made = [Option(value, label(value), value == chosen) for value in values]
        return (replace(as_listed, chosen=not any(option.chosen for option in made)), *made)

    hour = None if shown.hour is None else str(shown.hour)
    # A country's, which only the config or an import can give her, is hers to keep.
    own = language_of(shown.language).tag if shown.language and speaks(shown.language) else None
    tags = tuple(dict.fromkeys((*languages(), own or ENGLISH)))
    return Fields(
        name=wrong.get("name", shown.name),
        topics=tuple(Option(topic.name, topic.name, topic.name in followed) for topic in site.people.topics),
        words=wrong.get("words", "\n".join(topic.name for topic in profile.topics if topic.name not in listed)),
        authors=wrong.get("authors", "\n".join(profile.authors)),
        examples=wrong.get("examples", "\n".join(profile.examples)),
        frequency=options(tuple(names), lambda value: names[Frequency(value)], shown.frequency),
        hour=options([str(n) for n in range(24)], lambda value: language.hour(int(value)), hour),
        language=options(tags, lambda tag: _capital(language.name(tag)), own),
        timezone=wrong.get("timezone", shown.timezone or ""),
        paused_until=shown.paused_until.isoformat() if shown.paused_until else "",
    )


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
