"""The email as others' tools judge it: SpamAssassin, html-validate, and caniemail.com's tables of mail programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from lxml import etree

from tests.e2e import mail_support
from tests.e2e.editions import Sample, samples
from tests.e2e.mail_support import Pair

pytestmark = pytest.mark.system

TOOLS = Path(__file__).parent / "tools"
RELIED_ON, ALL_IN = 0.95, 0.90
"""The share of (feature, mail program) pairs that must be supported, fully or partly: without the style sheet in the
head, on which nothing but dark mode, phones' margins, hovering and the breaking of endless words rests, and with it.
"""
ARRIVAL = (
    b"Return-Path: <digest@example.org>\r\n"
    # The hop of one's own relay: SpamAssassin takes the addresses kept for examples for forged ones.
    b"Received: from mail.example.org (mail.example.org [10.0.0.25])\r\n"
    b"\tby mx.example.net (Postfix) with ESMTPS id 4bX0pQ1c2Rz3F\r\n"
    b"\tfor <ada@example.net>; Wed, 10 Jun 2026 06:00:05 +0000 (UTC)\r\n"
)
"""What the receiving server puts before a message; the time is some seconds after the message's own."""
HARMLESS = {
    "HTML_MESSAGE": "there is an HTML part",
    "MAILING_LIST_MULTI": "List-Id, List-Unsubscribe and Precedence together tell a mailing list; takes a point off",
    "NO_RELAYS": "a message that never left its host",
    "ALL_TRUSTED": "every hop is one's own",
}
"""SpamAssassin's rules that may hit, and what they say."""


@pytest.fixture(scope="module")
def emails() -> dict[str, Sample]:
    return {sample.name: sample for sample in samples()}


def tool(name: str) -> Path:
    """A file of the tools that npm installs; the test is skipped without it."""
    path = TOOLS / "node_modules" / name
    if not path.exists():
        pytest.skip(f"{name} is not installed (npm ci in {TOOLS})")
    return path


def spam_report(message: bytes, home: Path) -> tuple[float, dict[str, float]]:
    """SpamAssassin's score and the rules that hit, each with its points; no network, no learnt words."""
    command = ["spamassassin", "-L", "-t", "--nocreate-prefs", "--cf=use_bayes 0"]
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    answer = subprocess.run(command, input=message, capture_output=True, env=environment, timeout=120, check=True)
    _, _, report = answer.stdout.decode("utf-8", "replace").rpartition("Content analysis details:")
    total = re.match(r"\s*\((-?[\d.]+) points", report)
    assert total, answer.stdout[-2000:]
    hits = re.findall(r"^ *(-?\d+\.\d) ([A-Z][A-Z0-9_]+) ", report, re.MULTILINE)
    return float(total[1]), {name: float(points) for points, name in hits}


@pytest.mark.parametrize("name", ["full-daily", "quiet-daily", "hostile-daily", "full-weekly", "by-mail-only"])
def test_spamassassin_finds_nothing(emails: dict[str, Sample], tmp_path: Path, name: str) -> None:
    """As it arrives, no rule of SpamAssassin's hits the message but those that only say what kind of mail it is."""
    if not shutil.which("spamassassin"):
        pytest.skip("SpamAssassin is not installed (Debian package: spamassassin)")
    score, hits = spam_report(ARRIVAL + emails[name].message, tmp_path)
    assert {rule: points for rule, points in hits.items() if rule not in HARMLESS} == {}
    assert "HTML_MESSAGE" in hits, "the report was read"
    assert score < 1.0


def test_html_validate_finds_nothing(emails: dict[str, Sample], tmp_path: Path) -> None:
    """The HTML of every theme is valid and accessible by html-validate's rules; `htmlvalidate.mjs` tells which."""
    program, report = tool(".bin/html-validate"), tmp_path / "report.json"
    for name, sample in emails.items():
        (tmp_path / f"{name}.html").write_text(sample.html, encoding="utf-8")
    pages = sorted(map(str, tmp_path.glob("*.html")))
    # Into a file: what a pipe does not take at once, Node drops when it ends.
    command = [str(program), "--config", str(TOOLS / "htmlvalidate.mjs"), f"--formatter=json={report}", *pages]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert report.exists(), answer.stderr
    problems = Counter(
        f"{Path(page['filePath']).stem}: {found['ruleId']}: {found['message']}"
        for page in json.loads(report.read_text(encoding="utf-8"))
        for found in page["messages"]
    )
    assert problems == {}
    assert answer.returncode == 0, answer.stderr


def without_sheets(page: str) -> str:
    """The page as it is where style sheets are dropped."""
    tree = etree.fromstring(page, etree.HTMLParser())
    etree.strip_elements(tree, "style", with_tail=False)
    return "<!DOCTYPE html>" + str(etree.tostring(tree, method="html", encoding="unicode"))


def share(pairs: list[Pair]) -> float:
    """How many of the pairs are supported, fully or partly: what is partly supported says less, and breaks nothing."""
    return sum(pair.support != "not" for pair in pairs) / len(pairs)


def test_mail_programs_support_what_the_email_uses(emails: dict[str, Sample]) -> None:
    """Gmail, Outlook, Apple Mail and Yahoo support nearly all features of HTML and CSS that an email is made of."""
    tool("caniemail")
    everything = set[str]().union(*(mail_support.features(sample.html) for sample in emails.values()))
    relied_on = set[str]().union(*(mail_support.features(without_sheets(sample.html)) for sample in emails.values()))
    assert {"css-padding", "css-border-radius", "html-table", "html-h1-h6", "image-png"} <= relied_on
    assert {"css-at-media-prefers-color-scheme", "css-important", "html-style"} <= everything - relied_on
    for used, least in ((relied_on, RELIED_ON), (everything, ALL_IN)):
        pairs = mail_support.pairs(used)
        missing = "\n".join(str(pair) for pair in pairs if pair.support == "not")
        assert share(pairs) >= least, f"{share(pairs):.1%} of {len(pairs)} pairs; the others:\n{missing}"
