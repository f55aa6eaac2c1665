"""`digest feeds`: the feeds of an OPML file as sources of a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from digest.model import SourceKind
from digest.settings import load
from tests.lists import write_list
from tests.test_cli import jsons, run

OPML = """<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0"><head><title>Mine</title></head><body>
 <outline text="Science"><outline type="rss" text="Nature &amp; &quot;co&quot;" xmlUrl="https://example.org/a?b=1&amp;c=2"/>
 <outline text="Nature &amp; &quot;co&quot;" xmlUrl="https://example.org/other"/></outline>
 <outline type="rss" title="Twice" xmlUrl="https://example.org/other"/>
 <outline text="A file" xmlUrl="file:///etc/passwd"/><outline xmlUrl="http://example.net/feed"/>
</body></opml>
"""


def test_the_feeds_are_sources_of_a_config(tmp_path: Path) -> None:
    """What is printed loads as it is: folders opened, each address once, only what is on the web."""
    (tmp_path / "feeds.opml").write_text(OPML)
    printed = run("feeds", str(tmp_path / "feeds.opml"))
    assert printed.returncode == 0
    config = load([write_list(tmp_path, extra="\n" + printed.stdout)], {}).lists[0]
    assert [(s.name, s.url) for s in config.sources if s.kind is SourceKind.FEED] == [
        ('Nature & "co"', "https://example.org/a?b=1&c=2"),
        ('Nature & "co" 2', "https://example.org/other"),
        ("example.net", "http://example.net/feed"),
    ]
    assert len(jsons(run("feeds", str(tmp_path / "feeds.opml"), "--json").stdout)) == 3


BOMB = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>
<opml><body><outline text="&b;" xmlUrl="https://example.org/&b;"/></body></opml>"""
OUTSIDE = """<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><opml><body><outline xmlUrl="&a;"/></body></opml>"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "declares entities"),
        (OUTSIDE, "declares entities"),
        ("<opml>\n<body>", "f.opml:2: is not OPML (column"),
        ("<rss/>", "f.opml:1: is not OPML: it begins with <rss>"),
        ("<opml/>", "names no feed"),
        ("", "is not OPML"),
    ],
)
def test_what_gives_no_feeds_is_told(tmp_path: Path, text: str, said: str) -> None:
    """A bomb, another format, half a file: one line with the place, exit code 2."""
    (tmp_path / "f.opml").write_text(text)
    answer = run("feeds", str(tmp_path / "f.opml"))
    assert (answer.returncode, said in answer.stderr) == (2, True), answer.stderr
    assert len(answer.stderr.splitlines()) == 1
