"""`[smtp]` and `[[smtp]]`: the relays that a config gives, the hours of a list, and every mistake with them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from digest.model import Security, WarmUp
from tests.configs import BASE, after, loaded, problems

ONE = BASE.partition("[smtp]")[0]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test writes its config, from which it is called."""
    monkeypatch.chdir(tmp_path)
    return Path("config.toml")


def several(*tables: str) -> str:
    """A config with these relays: the first table's header is line 12."""
    return ONE + "".join(f"[[smtp]]\n{table}\n" for table in tables)


def test_a_table_each_for_several_relays(config: Path) -> None:
    """In the order of the file, each with its own port, password, share and name."""
    Path("secret").write_text("of b\n")
    login = 'host = "b"\nusername = "lab"\npassword_file = "secret"\nsecurity = "tls"'
    found = loaded(config, several('host = "a"\nweight = 3', login, 'host = "b"\nname = "spare"\nweight = 0'))
    assert [(r.name, r.host, r.port, r.security, r.password, r.weight) for r in found.relays] == [
        ("a", "a", 587, Security.STARTTLS, None, 3),
        ("b", "b", 465, Security.TLS, "of b", 1),
        ("spare", "b", 587, Security.STARTTLS, None, 0),
    ]
    assert found.warnings == ()


def test_the_environment_can_give_all_the_relays(config: Path) -> None:
    """As JSON it stands in for the whole array."""
    found = loaded(config, several('host = "a"', 'host = "b"'), DIGEST_SMTP='[{"host": "c", "weight": 2}]')
    assert [(relay.host, relay.weight) for relay in found.relays] == [("c", 2)]


def test_a_relay_has_a_limit_of_the_day_that_grows(config: Path) -> None:
    """`warm_up` is a table with a first day, a number and a factor; in the environment it is JSON."""
    text = BASE + "per_day = 5000\nwarm_up = { from = 2026-11-01, first = 50, growth = 1.3 }\n"
    (relay,) = loaded(config, text).relays
    assert (relay.per_day, relay.warm_up) == (5000, WarmUp(date(2026, 11, 1), 50, 1.3))
    (relay,) = loaded(config, BASE, DIGEST_SMTP__WARM_UP='{"from": "2026-11-01", "first": 9, "growth": 2}').relays
    assert relay.warm_up == WarmUp(date(2026, 11, 1), 9, 2.0)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("07:00-21:00", "* 07:00-21:00"),
        ("Mon-Fri 07:00-21:00", "mon-fri 07:00-21:00"),
        ("mon,wed 22:00-06:30", "mon,wed 22:00-06:30"),
        ("sun-sat 09:00-24:00", "* 09:00-00:00"),
    ],
)
def test_the_hours_of_a_list(config: Path, written: str, read: str) -> None:
    """Weekdays as in a schedule and two times, which may go over midnight."""
    assert loaded(config, after(3, f'send_window = "{written}"')).mailing_list.send_window == read


MISTAKES: list[tuple[str, int, str, str]] = [
    (several("port = 25"), 12, "smtp[0]", '`host` of [[smtp]] is missing: write e.g. `host = "smtp.example.org"`'),
    (several('host = "a"', 'host = "b"\nwieght = 3'), 16, "smtp[1].wieght", "`wieght` is not a key of [[smtp]]; did…"),
    (
        several('host = "a"', 'host = "a"'), 15, "smtp[1].host",
        '`host` of [[smtp]] "a" is taken by another relay: give each its own `name`',
    ),
    (
        several('host = "a"\nname = "x"', 'host = "b"\nname = "x"'), 17, "smtp[1].name",
        '`name` of [[smtp]] "x" is taken by another relay: give each its own `name`',
    ),
    (
        several('host = "a"\nusername = "me"'), 14, "smtp[0].username",
        "`username` of [[smtp]] needs a `password` or a `password_file` beside it",
    ),
    (
        several('host = "a"\nusername = "me"\npassword_file = "none"'), 15, "smtp[0].password_file",
        "`password_file` of [[smtp]] cannot be read: No such file or directory",
    ),
    (several('host = "a"\nca_file = "none"'), 14, "smtp[0].ca_file", "`ca_file` of [[smtp]] must be a file,…"),
    (
        several('host = "a"\non_unknown = "resend"', 'host = "b"'), 15, "smtp[1]",
        "`on_unknown` of [[smtp]] must be the same for all relays: write it in each table",
    ),
    (
        BASE + "weight = -1\n", 14, "smtp.weight",
        "`weight` of [smtp] must be a whole number from 0 to 1000, not -1",
    ),
    (BASE + "per_day = 0\n", 14, "smtp.per_day", "`per_day` of [smtp] must be a whole number from 1 to …"),
    (
        BASE + "warm_up = 50\n", 14, "smtp.warm_up",
        "`warm_up` of [smtp] must be a table such as { from = 2026-12-24, first = 50, growth = 1.3 }",
    ),
    (BASE + "warm_up = { first = 50, growth = 1.3 }\n", 14, "smtp.warm_up", "`warm_up` of [smtp] must be a table…"),
    (
        BASE + "warm_up = { from = 2026-11-01, first = 50, growth = 0.5 }\n", 14, "smtp.warm_up",
        ("`warm_up` of [smtp] must be a table such as { from = 2026-12-24, first = 50, growth = 1.3 }; "
         "`growth` must be a number from 1 to 10, not 0.5"),
    ),
    (
        BASE + 'per_domain = { "a.example" = "fast" }\n', 14, "smtp.per_domain.a.example",
        "`a.example` of [smtp.per_domain] must be a rate…",
    ),
    (
        several('host = "a"\nper_domain = { "a.example" = "fast" }'), 14, "smtp[0].per_domain.a.example",
        "`a.example` of [smtp.per_domain] must be a rate…",
    ),
    (
        after(3, 'send_window = "7-21"'), 4, "list.send_window",
        '`send_window` of [list] must be hours such as `07:00-21:00` or `mon-fri 07:00-21:00`, not "7-21"',
    ),
    (after(3, 'send_window = "25:00-26:00"'), 4, "list.send_window", "`send_window` of [list] must be hours…"),
    (
        after(3, 'send_window = "mo 07:00-21:00"'), 4, "list.send_window",
        "…; `mo` is not a weekday: did you mean `mon`?",
    ),
    (
        after(3, 'send_window = "07:00-07:00"'), 4, "list.send_window",
        "…; it must close later than it opens; for the whole day, leave it out",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_line_its_key_and_what_to_write(
    config: Path, text: str, line: int, key: str, message: str
) -> None:
    """Every mistake with a relay or with hours; an ellipsis stands for words."""
    (found,) = problems(config, text)
    assert (found.line, found.key) == (line, key)
    assert re.fullmatch(".*".join(map(re.escape, message.split("…"))), found.message), found.message


def test_a_variable_cannot_say_which_relay_it_means(config: Path) -> None:
    """A password for several tables is refused with what to do; it is not shown."""
    (found,) = problems(config, several('host = "a"', 'host = "b"'), DIGEST_SMTP__PASSWORD="hunter2")
    assert (found.file, found.key) == (None, "smtp.password")
    assert found.message == (
        "`DIGEST_SMTP__PASSWORD` cannot say which [[smtp]] it means: give each table its own `password_file`"
    )


def test_each_relay_is_remarked_on(config: Path) -> None:
    """A port that usually speaks otherwise, by the line of its own table."""
    (remark,) = loaded(config, several('host = "a"', 'host = "b"\nport = 465')).warnings
    assert remark.startswith("config.toml:16: `port` of [[smtp]] 465 usually speaks TLS")
