"""Files that are no config, folders of them, remarks on them, and anything at all."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.errors import ConfigError, Problem
from digest.settings import load
from digest.settings.models import TABLES, keys_of
from tests.configs import BASE, after, instead, loaded, problems


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test writes its config: `config.toml` in a folder of its own, from which it is called."""
    monkeypatch.chdir(tmp_path)
    return Path("config.toml")


# --- TOML, files and folders ---


BROKEN: list[tuple[str | bytes, int | None, str]] = [
    ('[list]\nid = "lab\n', 2, "is not TOML at `id = …`: a quotation mark is not closed on its line"),
    ("[list]\nid = lab\n", 2, "is not TOML at `id = …`: text needs quotation marks, true and false are written small"),
    ("[list]\npassword = hunter2\n", 2, "is not TOML at `password = …`:…"),
    ("[smtp]\npassword 'hunter2'\n", 2, "is not TOML at this line: a key is followed by = and a value"),
    ("[smtp]\nhunter2\n", 2, "is not TOML at this line: a key is followed by = and a value"),
    ('[smtp]\npassword = """\nhunter2\n', 3, "is not TOML at the end of the file:…not closed"),
    ("[list\nid = 1\n", 1, 'is not TOML at "[list": a bracket ] is missing'),
    ("[list]\nid = 1\nid = 2\n", 3, "is not TOML at `id = …`: this key is there already"),
    ("[list]\n[smtp]\n[list]\n", 3, 'is not TOML at "[list]": this table is there already'),
    ("[list]\nx = [1, 2\n\n", 2, "is not TOML at the end of the file: a list is not closed with ]"),
    (b'[list]\nname = "\xe4"\n', 2, "is not UTF-8: save the file with that encoding"),
    ("x = " + "[" * 5000 + "]" * 5000, None, "is not usable: brackets are nested too deeply"),
    ("<!DOCTYPE html>\n<html></html>\n", 1, "is not TOML at this line:…"),
]


@pytest.mark.parametrize(("text", "line", "message"), BROKEN)
def test_what_is_no_toml_is_told_with_its_line(config: Path, text: str | bytes, line: int | None, message: str) -> None:
    """A mistake in TOML's own grammar is told in plain words, without the value that may be a secret."""
    (found,) = problems(config, text)
    assert (found.file, found.line) == (config, line)
    assert re.fullmatch(".*".join(re.escape(part) for part in message.split("…")), found.message), found.message
    assert "hunter2" not in str(found)


def test_a_missing_file_names_the_command_that_writes_one(config: Path) -> None:
    """Whoever starts without a config learns how to get one."""
    with pytest.raises(ConfigError, match=r"^config.toml: no such file; `digest init` writes one$"):
        load([config], {})
    with pytest.raises(ConfigError, match=r"^a/b.toml: no such file; `digest init a/b.toml` writes one$"):
        load([Path("a/b.toml")], {})
    folder = r"^lists: no such file or folder; `digest init lists/config.toml` writes a list into it$"
    with pytest.raises(ConfigError, match=folder):
        load([Path("lists/")], {})


def test_a_folder_without_a_config_is_told(config: Path) -> None:
    """An empty folder, or one with other files only, is a mistake and not an empty installation."""
    folder = Path("lists")
    folder.mkdir()
    (folder / "README").touch()
    (folder / ".hidden.toml").touch()
    with pytest.raises(ConfigError, match=r"^lists: no \*.toml file in this folder; `digest init lists/config.toml`"):
        load([folder], {})


def test_a_folder_is_an_installation(config: Path) -> None:
    """Every *.toml of a folder is a list, in the order of names; a file named twice counts once."""
    folder = Path("lists")
    folder.mkdir()
    for name in ("b.toml", "a.toml", ".c.toml"):
        (folder / name).write_text(BASE.replace('"lab"', f'"{name[0]}"'))
    assert [c.mailing_list.id for c in load([folder, folder / "a.toml"], {}).lists] == ["a", "b"]


def test_two_lists_need_two_ids(config: Path) -> None:
    """The same id in two files of an installation is a mistake that names both places."""
    Path("a.toml").write_text(BASE)
    Path("b.toml").write_text("# b\n" + BASE.replace('"lab"', '"Lab"'))
    with pytest.raises(ConfigError, match=r'^b.toml:3: `id` of \[list\] "Lab" is taken by a.toml:2'):
        load([Path("a.toml"), Path("b.toml")], {})


def test_the_mistakes_of_all_files_are_told(config: Path) -> None:
    """One broken file does not hide the mistakes of another, nor a good one."""
    Path("a.toml").write_text("[list")
    Path("b.toml").write_text(after(3, "papers = 0"))
    config.write_text(BASE)
    with pytest.raises(ConfigError) as caught:
        load([Path("a.toml"), Path("b.toml"), config, Path("c.toml")], {})
    assert [str(p).split(": ")[0] for p in caught.value.problems] == ["a.toml:1", "b.toml:4", "c.toml", "config.toml:2"]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(config: Path) -> None:
    """A config written by a Windows editor is read, with right lines."""
    config.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert load([config], {}).lists[0].mailing_list.id == "lab"
    (found,) = problems(config, b"\xef\xbb\xbf" + after(3, "papers = 0").replace("\n", "\r\n").encode())
    assert found.line == 4


# --- Remarks ---


REMARKS = [
    (BASE + "[web]\nhost = '127.0.0.1'\nport = 8000\n", "14: [web]: without `base_url` of [list] emails link to no"),
    (
        after(3, "base_url = 'https://x.org'") + "[web]\nstatus_password = 'better kept elsewhere'\n",
        "16: `status_password` of [web] is the example's: everybody knows it",
    ),
    (
        after(3, 'secret = "better kept elsewhere, in secret_file or so"'),
        "4: `secret` of [list] is the example's: everybody knows it",
    ),
    (
        after(11, "language = 'pt-BR'"),
        '12: `language` of [[subscribers]] "pt-BR": there is no translation yet, so these emails are in English; there',
    ),
    (after(3, "language = 'nl'"), '4: `language` of [list] "nl": there is no translation yet'),
    (instead(9, "[x]").replace('[x]\nemail = "ada@example.org"\ntopics = ["video"]\n', ""), "1: nobody is subscribed"),
    (BASE + "port = 465\n", '14: `port` of [smtp] 465 usually speaks TLS from the start: `security = "tls"`'),
    (BASE + "port = 587\nsecurity = 'tls'\n", "14: `port` of [smtp] 587 usually speaks STARTTLS"),
    (
        BASE.replace('"localhost"', '"mail.example.org"') + "security = 'none'\nusername = 'u'\npassword = 'p'\n",
        '14: `security = "none"` of [smtp] would send the password readable',
    ),
]


@pytest.mark.parametrize(("text", "remark"), REMARKS)
def test_what_has_no_effect_is_remarked_on(config: Path, text: str, remark: str) -> None:
    """A documented key that does nothing yet, or a doubtful value, is accepted with one honest line."""
    (found,) = loaded(config, text).warnings
    assert found.startswith(f"config.toml:{remark}")


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.2", "[::1]"])
def test_a_password_to_this_machine_may_go_in_clear(config: Path, host: str) -> None:
    """However it is written: a send takes it for this machine, and so says nothing."""
    smtp = f"host = '{host}'\nsecurity = 'none'\nusername = 'u'\npassword = 'p'\n"
    mailbox = f"[mailbox]\naddress = 'lab@x.org'\n{smtp}"
    assert loaded(config, BASE.replace('host = "localhost"\n', smtp) + mailbox).warnings == ()


def test_a_remark_about_many_people_is_one_line(config: Path) -> None:
    """A list of hundreds of people whose language nobody speaks is not answered with hundreds of lines."""
    Path("m.csv").write_text("email,language\na@example.org,\nb@example.org,nl\nc@example.org,nl\n")
    more = "".join(f'[[subscribers]]\nemail = "p{n}@example.org"\nlanguage = "nl"\n' for n in range(20))
    first, second = loaded(config, 'subscribers_file = "m.csv"\n' + BASE + more).warnings
    assert first.startswith('config.toml:17: `language` of [[subscribers]] "nl" (20 like it): there is no translation')
    assert second.startswith('m.csv:3: `language` "nl": there is no translation')


def test_a_readers_hour_zone_and_frequency_are_taken_in_silence(config: Path) -> None:
    """They do what they say, from the config and from its CSV alike, so there is nothing to remark on."""
    Path("m.csv").write_text("email,timezone,hour,frequency\nbob@example.org,Asia/Tokyo,22,monthly\n")
    text = after(11, "timezone = 'Europe/Paris'", "hour = 7", "frequency = 'weekly'")
    lab = loaded(config, 'subscribers_file = "m.csv"\n' + text)
    assert lab.warnings == ()
    assert [(s.timezone, s.hour, s.frequency) for s in lab.subscribers] == [
        ("Europe/Paris", 7, "weekly"), ("Asia/Tokyo", 22, "monthly"),
    ]  # fmt: skip


def test_how_long_an_edition_waits_and_how_late_it_may_be(config: Path) -> None:
    """`wait_until` as text or as TOML's own time, `max_lateness` in words; without them nothing waits for anything."""
    lab = loaded(config, after(3, 'wait_until = "09:30"', 'max_lateness = "36 hours"')).mailing_list
    assert (lab.wait_until, lab.max_lateness) == (time(9, 30), timedelta(hours=36))
    lab = loaded(config, after(3, "wait_until = 09:30:00", 'max_lateness = "1 day"')).mailing_list
    assert (lab.wait_until, lab.max_lateness) == (time(9, 30), timedelta(days=1))
    lab = loaded(config, BASE).mailing_list
    assert (lab.wait_until, lab.max_lateness) == (None, None)
    night = after(3, 'schedule = "0 22 * * *"', 'wait_until = "02:00"')
    assert loaded(config, night).mailing_list.wait_until == time(2)


# --- Anything at all ---


_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["arxiv", "video"])
)
_dates = st.just(datetime(2026, 6, 9, 7)) | st.just(date(2026, 6, 9)) | st.just(time(7))
_values = st.recursive(
    _scalars | _dates,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _table(name: str) -> st.SearchStrategy[Any]:
    table = st.fixed_dictionaries({}, optional=dict.fromkeys(keys_of(name), _values))
    many = st.lists(table, max_size=2) if name in ("sources", "subscribers") else table
    return (st.dictionaries(st.text(max_size=4), table, max_size=2) if name == "topics" else many) | _values


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.fixed_dictionaries({}, optional={n: _table(n) for n in TABLES if n and "." not in n}))
def test_no_value_anywhere_gets_past_the_words(tmp_path: Path, data: dict[str, Any]) -> None:
    """Whatever stands where, it is a ConfigError in digest's own words, never pydantic's and never a traceback."""
    config = tmp_path / "config.toml"
    config.write_text(_toml(data), encoding="utf-8")
    try:
        load([config], {})
    except ConfigError as error:
        for problem in error.problems:
            assert isinstance(problem, Problem)
            assert problem.line is not None
            assert not re.search(r"pydantic|Input should|Value error|valid (dictionary|string|integer)", str(problem))
            assert "is not usable" not in problem.message
            assert "\n" not in str(problem)


def _toml(value: Any, top: bool = True) -> str:
    """A value as TOML, tables inline; what TOML lacks (null) as text."""
    if isinstance(value, dict):
        pairs = [f"{_quoted(k)} = {_toml(v, top=False)}" for k, v in value.items()]
        return "\n".join(pairs) + "\n" if top else "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v, top=False) for v in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else f"{value:e}"
    return str(max(min(value, 2**63 - 1), -(2**63))) if isinstance(value, int) else _quoted(str(value))


def _quoted(text: str) -> str:
    return (
        '"'
        + "".join(
            c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text if not 0xD800 <= ord(c) < 0xE000
        )
        + '"'
    )


LACKS = "15: [mailbox] is not read: it lacks "
UNNAMED = "15: [mailbox]: without an `address`, commands and votes by mail are neither offered nor read"
UNREADABLE = (
    '18: `security = "none"` of [mailbox] would send the password readable for everyone on the way: '
    "it is not sent, and nothing comes through"
)


@pytest.mark.parametrize(
    ("of_list", "mailbox", "remarks"),
    [
        ("base_url = 'https://x.org'", "host = 'x'\naddress = 'u@x.org'", [f"{LACKS}`password` or `password_file`"]),
        ("base_url = 'https://x.org'", "password = 'p'", [f"{LACKS}`host` and `username`"]),
        (
            "base_url = 'https://x.org'",
            "host = 'x'\nusername = 'u'\npassword = 'p'",
            [UNNAMED],
        ),
        (
            "papers = 5",
            "host = 'x'\nusername = 'u'\npassword = 'p'",
            [UNNAMED, "15: [mailbox] is read for bounces, which prove nothing without `bounces` of [list]"],
        ),
        ("bounces = 'b@x.org'", "host = 'x'\nusername = 'u@x.org'\npassword = 'p'", []),
        ("papers = 5", "host = 'x'\nusername = 'u@x.org'\npassword = 'p'", []),
        (
            "bounces = 'b@x.org'",
            "host = 'x'\nusername = 'u'\nsecurity = 'none'\npassword = 'p'",
            [UNNAMED, UNREADABLE],
        ),
        ("bounces = 'b@x.org'", "host = 'localhost'\nusername = 'u@x.org'\nsecurity = 'none'\npassword = 'p'", []),
    ],
)
def test_what_a_mailbox_is_good_for_is_said(config: Path, of_list: str, mailbox: str, remarks: list[str]) -> None:
    """What keeps it from being read, what it is not read for, and who can read its password."""
    found = loaded(config, after(3, of_list) + f"[mailbox]\n{mailbox}\n").warnings
    assert [warning.partition(":")[2] for warning in found if "mailbox" in warning] == remarks
