"""The pages in real Chromium, as `digest web` serves them: the whole way of a reader, and what others' tools find."""

from __future__ import annotations

import json
import mailbox
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from digest.app import App
from digest.members import Preferences
from digest.model import Address
from digest.render.language import languages
from digest.settings import load
from digest.store import Subscribers, open_database
from digest.subscribe.tokens import Purpose
from tests.asking import ADA, dump_of
from tests.e2e.test_mail_checkers import TOOLS, tool
from tests.lists import DAY_ONE, DAY_TWO, write_list
from tests.render_samples import read
from tests.servers.ports import free_port
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
PAPER = "arxiv%3A2606.90887"
BOB = Address("bob@example.org")
SHIFTED = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { sum += entry.value; }))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 300);
})"""


BROKEN = """() => [...document.querySelectorAll("button, .tick, .lengths a")]
  .filter((each) => each.offsetHeight > 48 || each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.textContent.trim())"""
"""What is higher than one line of it, or wider than there is room for."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = shutil.which("chromium")
    if not found:
        pytest.skip("Chromium is not installed (Debian package: chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip)")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield started
        started.close()


class Served:
    """`digest web` over a list of its own, and its outbox."""

    def __init__(self, folder: Path, language: str = "en"):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.config = write_list(folder, readers=1, extra="\n[web]\nstatus_public = true\n")
        text = self.config.read_text(encoding="utf-8")
        first = f'[list]\nbase_url = "{self.base}"\nlanguage = "{language}"\n'
        self.config.write_text(text.replace("[list]\n", first, 1), encoding="utf-8")
        self.outbox = folder / "outbox"
        self.database = f"sqlite:///{folder}/digest.db"

    @contextmanager
    def at(self, now: str) -> Iterator[None]:
        """The pages are served, and it is that time."""
        command = [
            sys.executable,
            "-m",
            "digest",
            "web",
            "-c",
            str(self.config),
            "--now",
            now,
            "--port",
            str(self.port),
        ]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        try:
            until(lambda: self.answers() or process.poll() is not None, "the pages do not answer")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base}/robots.txt") as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def mail(self, to: str, subject: str = "") -> list[EmailMessage]:
        """What the outbox has for somebody, in the order of dates."""
        if not self.outbox.exists():
            return []
        box = mailbox.Maildir(self.outbox, create=False)
        found = [read(box.get_bytes(key)) for key in box.keys()]  # noqa: SIM118 - a Maildir goes by its messages
        return sorted(
            (each for each in found if to in str(each["To"]) and subject in str(each["Subject"])),
            key=lambda each: str(datetime.strptime(str(each["Date"]), "%a, %d %b %Y %H:%M:%S %z")),
        )

    def send(self, now: str) -> None:
        """In a process of its own: Playwright has an event loop running in this one."""
        command = [sys.executable, "-m", "digest", "send", "-c", str(self.config), "--now", now]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)

    def dump(self) -> str:
        database = open_database(self.database)
        try:
            return dump_of(database)
        finally:
            database.close()


def later(now: str, hours: int = 1) -> str:
    return (datetime.fromisoformat(now) + timedelta(hours=hours)).isoformat()


def body_of(message: EmailMessage, kind: str = "html") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def titles(message: EmailMessage) -> list[str]:
    """The papers that an email brings, in their order; what trends and what just missed is marked otherwise."""
    return re.findall(r'<h3 class="title"[^>]*><a[^>]*>([^<]+)</a>', body_of(message))


def subscribe(browser: Any, served: Served, address: str) -> None:
    """On the page, with the keyboard alone, then by the letter's link and its button."""
    page = browser.new_page()
    page.goto(f"{served.base}/")
    page.get_by_label("Your email address").focus()
    page.keyboard.type(address)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("video").check()
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("heading", name="Look into your inbox").wait_for()
    until(lambda: served.mail(address, "Confirm"), "no letter came")
    (letter,) = served.mail(address, "Confirm")
    link = re.search(r"http://\S+/confirm/\S+", body_of(letter, "plain"))
    assert link
    page.goto(link[0])
    page.get_by_role("button", name="Yes, subscribe me").click()
    page.get_by_role("heading", name="You are subscribed").wait_for()
    page.close()


def test_the_whole_way_of_a_reader(browser: Any, tmp_path: Path) -> None:
    """Subscribe, confirm, get an edition, vote, get another that is in another order, unsubscribe, get nothing more."""
    served = Served(tmp_path)
    with served.at(later(DAY_ONE, -1)):
        subscribe(browser, served, ADA)
        subscribe(browser, served, BOB)
        until(lambda: served.mail(ADA, "Welcome"), "no welcome came")
    served.send(DAY_ONE)
    ada, bob = served.mail(ADA)[-1], served.mail(BOB)[-1]
    assert titles(ada) == titles(bob)
    assert len(titles(ada)) == 3
    with served.at(later(DAY_ONE)):
        page = browser.new_page()
        links = re.findall(r'href="(http[^"]+/vote/[^"]+)"', body_of(ada))
        for link in [link for link in links if "/less/" in link][:2] + [link for link in links if "/more/" in link][
            2:3
        ]:
            page.goto(link)
            page.get_by_role("button").click()
            page.get_by_role("heading", name="Noted").wait_for()
    served.send(DAY_TWO)
    ada, bob = served.mail(ADA)[-1], served.mail(BOB)[-1]
    assert len(titles(bob)) == 3
    assert titles(ada) != titles(bob)
    with served.at(later(DAY_TWO)):
        link = re.search(r'href="(http[^"]+/unsubscribe/[^"]+)"', body_of(ada))
        assert link
        page.goto(link[1])
        page.get_by_role("button", name="Unsubscribe").click()
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
    database = open_database(served.database)
    reachable = [
        each.address for each in Subscribers(database).reachable(load([served.config]).lists[0].mailing_list.id)
    ]
    database.close()
    assert ADA not in reachable
    assert BOB in reachable


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For tests that change nothing: two editions are sent, and Ada is a member."""
    with two_editions(tmp_path_factory.mktemp("served")) as made:
        yield made


@contextmanager
def two_editions(folder: Path, language: str = "en") -> Iterator[Served]:
    made = Served(folder, language)
    with App(load([made.config]).lists[0], lambda: datetime(2026, 6, 9, tzinfo=UTC)) as app:
        members = app.membership.members
        members.confirm(members.add(ADA, Preferences(name="Ada"), app.now()).id, app.now())
    for day in (DAY_ONE, DAY_TWO):
        made.send(day)
    with made.at(later(DAY_TWO)):
        yield made


def every_page(served: Served) -> dict[str, str]:
    """The address of each kind of page, by its name."""
    at = datetime.fromisoformat(DAY_TWO)
    with App(load([served.config]).lists[0], lambda: at) as app:
        people = app.membership
        member = people.members.find(ADA)
        assert member
        own = {purpose: f"/{purpose}/lab/{people.tokens.sign(purpose, member.id)}" for purpose in Purpose}
        confirm = f"/confirm/lab/{people.tokens.sign_confirmation(member.id, at)}"
    paths = {
        "front": "/", "week": "/archive/lab/2026-W24", "month": "/archive/lab/2026-06", "archive": "/archive/lab",
        "search": "/archive/lab?q=video", "nothing-found": "/archive/lab?q=xyzzy",
        "paper": f"/paper/lab/{PAPER}", "nothing": "/nothing/here", "confirm": confirm,
        "unsubscribe": own[Purpose.UNSUBSCRIBE], "preferences": own[Purpose.PREFERENCES],
        "status": "/status",
        "erase": f"{own[Purpose.PREFERENCES]}/erase", "vote": f"{own[Purpose.VOTE]}/more/{PAPER}",
    }  # fmt: skip
    return {name: served.base + path for name, path in paths.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, served: Served, scheme: str) -> None:
    """No violation of any rule of axe-core on any page, wide and at 320 pixels, nor in the preview."""
    axe = tool("axe-core").joinpath("axe.min.js").read_text(encoding="utf-8")
    found = {}
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)  # our policy lets no checker in
    page = context.new_page()
    for width in (1000, 320):
        page.set_viewport_size({"width": width, "height": 900})
        for name, address in every_page(served).items():
            page.goto(address)
            if name == "front":
                page.locator("summary").click()
                page.get_by_label("video").check()
                page.locator(".picks").wait_for()
            if name == "status":
                page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            page.evaluate(axe)
            result = page.evaluate("axe.run()")
            if result["violations"]:
                found[f"{name} {width}"] = [
                    (rule["id"], [node["html"][:90] for node in rule["nodes"]]) for rule in result["violations"]
                ]
            assert len(result["passes"]) > 10
    context.close()
    assert found == {}


def test_html_validate_finds_nothing(served: Served, tmp_path: Path) -> None:
    """Every page is valid and accessible by html-validate's rules; `htmlvalidate-pages.mjs` tells which."""
    program, report = tool(".bin/html-validate"), tmp_path / "report.json"
    for name, address in every_page(served).items():
        try:
            with urllib.request.urlopen(address) as answer:
                (tmp_path / f"{name}.html").write_bytes(answer.read())
        except HTTPError as error:
            (tmp_path / f"{name}.html").write_bytes(error.read())
    pages = sorted(map(str, tmp_path.glob("*.html")))
    command = [str(program), "--config", str(TOOLS / "htmlvalidate-pages.mjs"), f"--formatter=json={report}", *pages]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert report.exists(), answer.stderr
    problems = {
        f"{Path(page['filePath']).stem}:{found['line']}: {found['ruleId']}: {found['message']}"
        for page in json.loads(report.read_text(encoding="utf-8"))
        for found in page["messages"]
    }
    assert problems == set()


def test_nothing_is_in_the_way(browser: Any, served: Served) -> None:
    """Nothing shifts or scrolls sideways at 320 pixels, no other host is asked, the policy has nothing to refuse."""
    asked: list[str] = []
    complaints: list[str] = []
    for width in (320, 1000):
        context = browser.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        for name, address in every_page(served).items():
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert page.evaluate(SHIFTED) == 0, name
            assert context.cookies() == []
        context.close()
    assert {address for address in asked if not address.startswith(f"{served.base}/")} == set()
    assert [text for text in complaints if "404" not in text] == []


@pytest.mark.parametrize("tag", languages()[1:])
def test_no_word_is_too_long_for_a_phone(browser: Any, tmp_path: Path, tag: str) -> None:
    """In every language, at 320 and 375 pixels and wide: no page scrolls sideways, no button breaks or is cut."""
    found = []
    with two_editions(tmp_path, tag) as served:
        for width in (320, 375, 1000):
            context = browser.new_context(viewport={"width": width, "height": 800})
            page = context.new_page()
            for name, address in every_page(served).items():
                page.goto(address)
                assert page.locator("html").get_attribute("lang") == ("en" if name == "status" else tag)
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    found.append((name, width, "scrolls"))
                found += [(name, width, text) for text in page.evaluate(BROKEN)]
            context.close()
    assert found == []


def test_without_the_script_everything_works(browser: Any, served: Served) -> None:
    """The preview comes by its button, the address is still there, and nothing was kept."""
    before = served.dump()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.base}/")
    page.get_by_label("Your email address").fill("typed@example.org")
    page.locator("summary").click()
    page.get_by_label("In your own words").fill("protein folding")
    page.get_by_role("button", name="Show preview").click()
    page.get_by_role("heading", name="You would have got").wait_for()
    assert page.get_by_label("Your email address").input_value() == "typed@example.org"
    context.close()
    assert served.dump() == before


def test_a_scanner_changes_nothing(browser: Any, served: Served) -> None:
    """It opens every link of every email and of the pages that come, by HEAD and in a browser with its script on."""
    waiting = {
        link.replace("&amp;", "&")
        for message in served.mail("")
        for kind in ("html", "plain")
        for link in re.findall(r"https?://[^\s\"<>]+", body_of(message, kind))
        if link.startswith(served.base)
    }
    assert any("/unsubscribe/" in link for link in waiting)
    assert any("/vote/" in link for link in waiting)
    before, seen = served.dump(), set[str]()
    context = browser.new_context()
    page = context.new_page()
    while waiting and len(seen) < 120:
        link = waiting.pop()
        seen.add(link)
        assert context.request.head(link).status == 200, link
        if link.endswith("/export"):
            context.request.get(link)
            continue
        page.goto(link)
        if "/archive/" not in link and "/paper/" not in link:
            waiting |= {each for each in page.evaluate("[...document.links].map((link) => link.href)")
                        if each.startswith(served.base)} - seen  # fmt: skip
    page.wait_for_timeout(500)
    context.close()
    assert served.dump() == before
