"""The pages of a small list in this process, and a way to ask for them: a request is a call, nothing listens."""

from __future__ import annotations

import asyncio
import atexit
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlencode, urlsplit

from starlette.types import Message

from digest.app import App
from digest.members import Ballot, Member, Preferences
from digest.model import Address
from digest.settings import load
from digest.store import Database, Subscribers
from digest.subscribe.tokens import Purpose
from digest.web.serving import Hall
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.render_samples import read

ADA = Address("ada@example.org")
PAPER = "arxiv:2606.90887"
PUBLIC = (
    *("/", "/lab", "/archive/lab", "/archive/lab/2026-06-10", "/archive/lab/2026-W24", "/archive/lab/2026-06"),
    *("/archive/lab?q=video", f"/paper/lab/{PAPER}", "/feed/lab", "/feed/lab/video", "/subscribe/lab", "/robots.txt"),
)
"""The addresses that everybody may ask for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@cache
def _sent() -> Path:
    """A folder with a list of which two editions were sent; each test has a copy."""
    folder = Path(tempfile.mkdtemp(prefix="digest-pages-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config = load([write_list(folder, readers=1)]).lists[0]
    for day in map(datetime.fromisoformat, (DAY_ONE, DAY_TWO)):
        with App(config, lambda day=day: day) as app:  # type: ignore[misc]
            asyncio.run(app.send())
    return folder


@cache
def one_loop() -> asyncio.AbstractEventLoop:
    """One for all requests: to make one for each would take longer than to answer it."""
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


Form = Mapping[str, object] | bytes | None


class Pages:
    """The pages over two sent editions. `now` may be turned forward."""

    breaks_off = False
    """Whether the client goes in the middle of its form."""

    def __init__(self, folder: Path, extra: str = "", base_url: str = "https://lab.example.org", language: str = "en"):
        self.now = datetime.fromisoformat(DAY_TWO) + timedelta(hours=1)
        shutil.copytree(_sent(), folder, dirs_exist_ok=True)
        path = write_list(folder, readers=1, extra=extra)
        text = path.read_text(encoding="utf-8")
        where = f'base_url = "{base_url}"\n' if base_url else ""
        first = f'[list]\n{where}language = "{language}"\n'
        path.write_text(text.replace("[list]\n", first, 1), encoding="utf-8")
        config = load([path]).lists[0]
        self.hall = Hall([config], lambda: self.now)
        self.application = self.hall.application()
        (self.site,) = self.hall.sites.values()
        self._loop = one_loop()

    def ask(
        self,
        method: str,
        address: str,
        form: Form = None,
        client: str = "192.0.2.1",
        **headers: str,
    ) -> Answer:
        """One request; a form is sent urlencoded, bytes as they are."""
        parts = urlsplit(address)
        body = form if isinstance(form, bytes) else urlencode(form or {}, doseq=True).encode()
        given = {"host": "lab.example.org", "content-type": "application/x-www-form-urlencoded"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(parts.path), "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
            "root_path": "", "headers": [(k.encode(), v.encode()) for k, v in given.items()],
            "client": (client, 40000), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        sent: list[Message] = []
        comes: list[Message] = [{"type": "http.request", "body": body, "more_body": self.breaks_off}]

        async def receive() -> Message:
            return comes.pop(0) if comes else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        self._loop.run_until_complete(self.application(scope, receive, send))
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))

    def get(self, address: str, **headers: str) -> Answer:
        return self.ask("GET", address, None, **headers)

    def post(self, address: str, form: Form = None, **headers: str) -> Answer:
        return self.ask("POST", address, form, **headers)

    def letters(self) -> list[EmailMessage]:
        """The letters that are written by now; they count as sent."""
        for wish in self.hall.desk.all():
            self.site.people.ask(wish.address, wish.preferences)
        found = self.site.people.letters.claim(self.now)
        for letter in found:
            self.site.people.letters.settle(letter, "250 Ok", None)
        return [read(letter.message) for letter in found]

    def member(self, preferences: Preferences | None = None) -> Member:
        """Ada, who has signed up and confirmed."""
        members = self.site.people.members
        confirmed = members.confirm(members.add(ADA, preferences or Preferences(), self.now).id, self.now)
        assert confirmed
        return confirmed

    def suppress(self, member: Member) -> None:
        """Nothing is to be sent to her address any more."""
        Subscribers(self.site.app.membership.members._database).suppress(member.address, "complaint", self.now)

    def link(self, purpose: Purpose, member: Member) -> str:
        """The path of one of her links."""
        return f"/{purpose}/lab/{self.site.people.tokens.sign(purpose, member.id)}"

    def dump(self) -> str:
        """The whole store."""
        return dump_of(self.site.app.membership.members._database)


def dump_of(database: Database) -> str:
    """Every row of every table, as SQL."""
    with database.read() as connection:
        return "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]


def links_in(page: str, attributes: str = "href|src|action|formaction") -> list[str]:
    """Every address of ours in a page."""
    return [found.replace("&amp;", "&") for found in re.findall(rf'(?:{attributes})="(/[^"]*)"', page)]


def personal(pages: Pages, preferences: Preferences | None = None) -> list[str]:
    """Every page that a link of Ada's opens."""
    member = pages.member(preferences)
    own = pages.link(Purpose.PREFERENCES, member)
    votes = [f"{pages.link(Purpose.VOTE, member)}/{ballot}/{PAPER.replace(':', '%3A')}" for ballot in Ballot]
    confirm = f"/confirm/lab/{pages.site.people.tokens.sign_confirmation(member.id, pages.now)}"
    return [*votes, confirm, pages.link(Purpose.UNSUBSCRIBE, member), own, f"{own}/export", f"{own}/erase"]
