"""The docs tell the truth: their commands run and print what is shown, their configs load, what they name exists.

Pages are run by `tests/documents.py`, in the world of `tests/stand_ins.py`: arXiv and Hugging Face with the demo's
papers, and the servers of `WORLDS`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from digest.cli import cli
from digest.settings import load
from digest.settings.models import TABLES, keys_of
from tests import reference
from tests.documents import Block, Command, anchors, blocks, commands, matches, play, spans
from tests.servers import postfix
from tests.servers.dns import txt
from tests.servers.imap import PASSWORD
from tests.stand_ins import World
from tests.worlds import HOW_TO

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pages are typed into bash")

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)
ALL = [ROOT / "README.md", *PAGES]
NAMES = [str(page.relative_to(ROOT)) for page in ALL]

LOGIN = ("ada@example.org", "invented")
DOMAIN = {
    "example.org": [("MX", "10 mail.example.org."), txt("v=spf1 include:_spf.example.org -all")],
    "_spf.example.org": [txt("v=spf1 ip4:192.0.2.0/24 -all")],
    "mail.example.org": [("A", "192.0.2.25")],
    "smtp.example.org": [("A", "192.0.2.26")],
    "26.2.0.192.in-addr.arpa": [("PTR", "smtp.example.org.")],
    "_dmarc.example.org": [txt("v=DMARC1; p=none; rua=mailto:postmaster@example.org")],
}
"""What a domain says that has everything."""

ASKS = b"""\
Received: from mail.example.net by mx.example.org; Tue, 09 Jun 2026 06:50:00 +0000
Authentication-Results: mx.example.org; dmarc=pass header.from=example.net
From: Bo Example <bo@example.net>
To: lab+subscribe@example.org
Subject: subscribe video
Date: Tue, 09 Jun 2026 06:49:00 +0000
Message-ID: <asks@example.net>

"""
"""A stranger's wish to join."""


TWO_RELAYS = World(
    relays=("smtp.example.org", "smtp.example.net"),
    login=LOGIN,
    files={"first-password.txt": LOGIN[1], "second-password.txt": LOGIN[1]},
)
WORLDS: dict[str, World] = {
    **HOW_TO,
    "README.md": World(
        relays=("smtp.example.org",), login=("me", LOGIN[1]), files={"smtp-password.txt": LOGIN[1]}, dns=DOMAIN
    ),
    "docs/guide/bounces.md": World(mailbox="imap.example.org", files={"imap-password.txt": f"{PASSWORD}\n"}),
    "docs/guide/mail.md": World(mailbox="imap.example.org", mail=(ASKS,), files={"imap-password.txt": f"{PASSWORD}\n"}),
    "docs/guide/pages.md": World(serves_pages=True),
    "docs/guide/relays.md": TWO_RELAYS,
    "docs/guide/trouble.md": TWO_RELAYS,
    "docs/monitoring.md": World(files={"status-password.txt": "an invented password\n"}),
    "docs/tutorial.md": World(
        relays=("smtp.example.org",), login=LOGIN, files={"smtp-password.txt": f"{LOGIN[1]}\n"}, dns=DOMAIN
    ),
}
"""What a page needs beside the sources' servers: servers for the hosts that it names, files that it leaves out."""


_RUN = [pytest.param(n, marks=[pytest.mark.system] if WORLDS.get(n, World()).postfix else []) for n in NAMES]


@pytest.mark.parametrize("name", _RUN)
def test_what_a_page_shows_happens(name: str, tmp_path: Path) -> None:
    """Every block of every page: commands print what stands below them, files and parts of a config load."""
    if WORLDS.get(name, World()).postfix and (reason := postfix.missing()):
        pytest.skip(reason)
    folder = tmp_path / "papers"
    with WORLDS.get(name, World()).around(folder) as environ:
        play(ROOT / name, folder, environ)


def test_no_world_is_left_over() -> None:
    """What is replaced is replaced for a page that there is."""
    assert set(WORLDS) <= set(NAMES)


# --- What prose names -----------------------------------------------------------------------------------------------

KEYS = {key for table in TABLES for key in keys_of(table)}


def _command_tree() -> Iterator[tuple[str, Any]]:
    """Every command and group by its words, `digest` itself being the empty ones."""

    def below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield words, command
        for name, each in getattr(command, "commands", {}).items():
            yield from below(f"{words} {name}".strip(), each)

    yield from below("", typer.main.get_command(cli))


COMMANDS = dict(_command_tree())
OPTIONS = {o for c in COMMANDS.values() for p in c.params for o in p.opts if o.startswith("-")} | {"--help", "-h"}


def wrong_command(span: str) -> str | None:
    """What is wrong with `digest …`, if anything is."""
    words = re.split(r"[|;&>]", span)[0].split()[1:]
    known = ""
    while words and f"{known} {words[0]}".strip() in COMMANDS:
        known = f"{known} {words.pop(0)}".strip()
    command = COMMANDS[known]
    if hasattr(command, "commands") and words and re.fullmatch(r"[a-z]\w*", words[0]):
        return f"digest {known}".strip() + f" has no command {words[0]}"
    if known:
        for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(words)):
            if option not in {o for p in command.params for o in p.opts} | {"--help", "-h"}:
                return f"digest {known} has no option {option}"
    return None


def _wrong_table(found: re.Match[str]) -> str | None:
    table, key = found.groups()
    if table not in TABLES:
        return "there is no such table"
    return None if not key or key in keys_of(table) else f"[{table}] has no such key"


RULES: tuple[tuple[str, Callable[[re.Match[str]], str | None]], ...] = (
    (r"digest(?: |$)", lambda found: wrong_command(found.string)),
    (r"(--[a-z][\w-]+)", lambda found: None if found[1] in OPTIONS else "no command has this option"),
    (r"\[{1,2}([a-z_]+)(?:\.[\w-]+)?\]{1,2}(?: (\w+))?", _wrong_table),
    (r"([a-z_]+) = ", lambda found: None if found[1] in KEYS else "no table has this key"),
    (
        r"\$?DIGEST_([A-Z]+)__([A-Z_]+)(?:=.*)?$",
        lambda found: None if found[2].lower() in keys_of(found[1].lower()) else "no key is set by it",
    ),
    (
        r"(?:docs|digest|templates|tests|\.ci)/[\w./-]+$",
        lambda found: None if (ROOT / found[0]).exists() else "there is no such file",
    ),
)
"""What a span in backticks is, by how it begins, and what may be wrong with it."""


def wrong_name(span: str) -> str | None:
    """What is wrong with something in backticks, if anything is."""
    return next((judge(found) for pattern, judge in RULES if (found := re.match(pattern, span))), None)


def test_a_wrong_name_is_noticed() -> None:
    """Of each kind of name, one that is there passes, and one that is not fails."""
    there: tuple[str, ...] = (
        "digest",
        "digest send --to ada@example.org",
        "digest subscribers add",
        "--dry-run",
        "[list]",
        "[[smtp]]",
    )
    there += ("[topics.video]", "[smtp] host", "papers = 12", "$DIGEST_SMTP__PASSWORD", "templates/email", "any words")
    not_there: tuple[str, ...] = (
        "digest sned",
        "digest send --too x",
        "digest subscribers ad",
        "--dyr-run",
        "[lits]",
        "[smtp] hots",
    )
    not_there += ("paprs = 12", "DIGEST_SMTP__PASSWROD", "templates/emial")
    assert [span for span in there if wrong_name(span)] == []
    assert [span for span in not_there if not wrong_name(span)] == []


@pytest.mark.parametrize("page", ALL, ids=NAMES)
def test_what_prose_names_is_there(page: Path) -> None:
    """Commands, options, tables, keys, variables and files in backticks exist."""
    text = page.read_text(encoding="utf-8")
    wrong = {span: why for span in spans(text) if (why := wrong_name(span))}
    for key, table in re.findall(r"`(\w+)(?: = [^`]*)?` in `\[+(\w+)\]+`", " ".join(text.split())):
        if table not in TABLES or key not in keys_of(table):
            wrong[f"{key} in [{table}]"] = "there is no such key"
    assert wrong == {}


def test_the_page_on_the_code_leaves_no_module_out() -> None:
    """Whoever finds a module at the top of the package finds in the docs what it is for; so in its larger rooms."""
    page = (ROOT / "docs/explanation/code.md").read_text(encoding="utf-8")
    there = [path for path in (ROOT / "digest").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    named = {path.name: (f"`{path.name}`", f"`digest/{path.name}`", f"`digest/{path.name}/`") for path in there}
    left_out = [name for name, forms in named.items() if not any(form in page for form in forms)]
    assert sorted(left_out) == ["__init__.py", "__main__.py"]
    for room in (ROOT / "digest" / name for name in ("commands", "dispatch", "mailroom", "status", "store")):
        told = (room / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
        assert [path.name for path in room.glob("[a-z]*.py") if path.name not in told] == []


@pytest.mark.parametrize("page", ALL, ids=NAMES)
def test_no_link_leads_nowhere(page: Path) -> None:
    """Every link within the project leads to a file that there is, and to a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), f"{page}: {target}"


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_reference_is_what_the_code_gives(name: str) -> None:
    """Keys, defaults, commands and options stand there as they are; DIGEST_REGENERATE=1 writes the pages anew."""
    made = reference.PAGES[name]()
    if os.environ.get("DIGEST_REGENERATE"):
        (ROOT / name).write_text(made, encoding="utf-8")
    assert (ROOT / name).read_text(encoding="utf-8") == made, "run `python -m tests.reference`"


def test_the_reference_leaves_nothing_out() -> None:
    """Every table, key, command and option has its line."""
    config, lines = reference.config_page(), reference.commands_page()
    for table in filter(None, TABLES):
        if table != "subscribers.topics":
            assert re.search(rf"^`\[+{table}(\.NAME)?\]+`", config, re.M), table
        for key in keys_of(table):
            assert f"\n| `{key}` |" in config or table == "subscribers.topics"
    for words, command in COMMANDS.items():
        if not hasattr(command, "commands"):
            section = lines.partition(f"\n## digest {words}\n")[2].partition("\n## ")[0]
            assert [o for p in command.params for o in p.opts if o.startswith("-") and o not in section] == [], words


# --- The built pages ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The docs as HTML, without a warning; needs the extra `docs`."""
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    out = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-d", str(out / "trees"), str(ROOT / "docs"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_built(built: Path) -> None:
    """Sphinx makes a page of every file, and remarks on nothing."""
    for page in PAGES:
        assert (built / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()


def test_built_pages_ask_no_other_host(built: Path) -> None:
    """Whoever reads the docs is seen by nobody but their own host: no style, script, font or picture from elsewhere."""
    asked = re.compile(
        rb"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//"""
        rb"""|<link\b(?![^>]*rel=["']?canonical)[^>]*href=["']?(?:https?:)?//"""
        rb"""|url\(["']?(?:https?:)?//|@import ["'](?:https?:)?//""",
        re.I,
    )
    files = [p for p in built.rglob("*") if p.suffix in {".html", ".css", ".svg"}]
    assert len(files) > len(PAGES)
    for path in files:
        assert not asked.search(path.read_bytes()), path


# --- The harness itself ---------------------------------------------------------------------------------------------


def test_a_page_that_lies_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other output, a failing command, a wrong part and a block that nobody accounts for: each fails its page."""
    monkeypatch.setattr("tests.documents.ROOT", tmp_path)
    lies = {
        "shows something else": "```console\n$ echo one\ntwo\n```\n",
        "shows something else ": "```console\n$ printf 'one\\ntwo\\n'\none\n```\n",
        "and failed: exit code 3": "```console\n$ exit 3\n```\n",
        "nobody says what this block is": '```toml\n[list]\nid = "x"\n```\n',
        "hots": '<!-- part: a.toml -->\n```toml\n[smtp]\nhots = "x"\n```\n',
    }
    for number, (complaint, text) in enumerate(lies.items()):
        page = tmp_path / f"{number}.md"
        page.write_text(text)
        with World().around(tmp_path / f"folder{number}") as environ, pytest.raises(Exception, match=complaint.strip()):
            play(page, tmp_path / f"folder{number}", environ)


def test_a_page_that_is_true_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, variables and folders stay from one block to the next; masks, gaps and Ctrl-C do as they are said to."""
    monkeypatch.setattr("tests.documents.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: sub/a.txt -->\n```text\nhello\n```\n"
        "```console\n$ export WHO=you; cd sub\n$ pwd\n/home/you/papers/sub\n```\n"
        '```console\n$ cat a.txt; echo "$WHO"\nhello\nyou\n$ seq 9\n1\n…\n9\n$ (exit 3); echo "exit $?"\nexit 3\n'
        "$ echo 127.0.0.1:4711 at 12:30, 2.5 s\n127.0.0.1:1 at 00:00, 1 s\n"
        "$ trap 'echo bye; exit 0' INT; echo hi; while :; do sleep 0.1; done\nhi\n^C\nbye\n```\n"
        "<!-- part: config.toml -->\n```toml\n[list]\npapers = 3\n```\n"
        "<!-- not run: it would end the machine -->\n```console\n$ halt\n```\n"
    )
    with World().around(tmp_path / "papers") as environ:
        play(page, tmp_path / "papers", environ)
    (config,) = load([tmp_path / "papers" / "config.toml"], {}).lists
    assert (config.mailing_list.papers, config.mailing_list.id) == (3, "lab")


def test_a_pages_commands_reach_no_other_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that nobody stands in for is unknown to a page, and an address outside of this machine out of reach."""
    monkeypatch.setattr("tests.documents.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- part: config.toml -->\n"
        '```toml\n[[sources]]\nkind = "feed"\nname = "name"\nurl = "https://elsewhere.example.org/feed"\n'
        '[[sources]]\nkind = "feed"\nname = "number"\nurl = "http://93.184.215.99/feed"\n```\n'
        '```console\n$ digest pull; echo "exit $?"\nLab (lab)\n…\nexit 1\n'
        "$ digest pull | grep -c -e 'no such host' -e 'unreachable'\n2\n```\n"
    )
    with World().around(tmp_path / "papers") as environ:
        play(page, tmp_path / "papers", environ)


def test_blocks_are_read_as_they_are_marked() -> None:
    """A mark belongs to the block right after it; `> ` goes on with a command."""
    text = "<!-- file: a b.toml -->\n\n```toml\nx = 1\n```\n\n```console\n$ one \\\n> two\nout\n\n$ three\n```\n"
    first, second = blocks(text)
    assert first == Block(3, "toml", "x = 1\n", "file", "a b.toml")
    assert commands(second) == [Command(8, "one \\\ntwo", ["out"]), Command(12, "three")]
    assert matches(["a", "…", "long …"], ["a", "b", "long line"])
    assert not matches(["a", "b"], ["a", "x", "b"])
