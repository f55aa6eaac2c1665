"""`digest subscribers`: the people of a list from the command line, over a real store and real files."""

from __future__ import annotations

import csv
import io
import json
import mailbox
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from digest.commands.people import _entries, import_members
from digest.console import Terminal
from digest.errors import ConfigError
from digest.members import Admission, Entry, Known, Member, Preferences, Standing, Subscription, admission
from digest.membership import Membership
from digest.model import Address, Frequency, ListId, PaperId, Profile, SubscriberId, Topic
from digest.settings import ListConfig, load
from digest.store import Database, Subscribers, open_database
from digest.subscribe.cells import escaped, joined, split, unescaped
from digest.subscribe.exporting import write_members
from tests.factories import NOW, TODAY, paper
from tests.lists import DAY_ONE, write_list
from tests.nursery import Nursery, die_at
from tests.servers.http import in_turn, says, serving
from tests.test_cli import Answer, jsons, run

ADA, BOB, CID = (Address(f"{name}@example.org") for name in ("ada", "bob", "cid"))


class World:
    """A list on disk, and its commands."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = write_list(folder, readers=1)

    def __call__(self, *arguments: str, zotero_key: str = "") -> Answer:
        wanted = ("subscribers", *arguments, "--config", str(self.config), "--now", DAY_ONE)
        return run(*wanted, ZOTERO_API_KEY=zotero_key)

    def file(self, text: str, name: str = "members.csv") -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    def states(self) -> dict[str, str]:
        return {row["address"]: row["state"] for row in jsons(self("list", "--json").stdout)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def config_of(world: World) -> ListConfig:
    return load([world.config], {}).lists[0]


def membership(world: World, database: Database) -> Membership:
    return Membership(config_of(world), database, lambda: NOW)


def counts(answer: Answer) -> dict[str, int]:
    (found,) = jsons(answer.stdout)
    return {fate: number for fate, number in found["rows"].items() if number}


# --- the rule -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("subscription", [None, *Subscription])
@pytest.mark.parametrize("flags", [(a, s, e) for a in (0, 1) for s in (0, 1) for e in (0, 1)])
def test_others_never_bring_anybody_back(
    standing: Standing, subscription: Subscription | None, flags: tuple[int, int, int]
) -> None:
    """Of all that a list may know and a file may say, nobody is added who left, was erased or is suppressed."""
    active, suppressed, erased = map(bool, flags)
    known = Known(subscription, active, suppressed, erased)
    if admission(standing, known) is Admission.ADDED:
        assert standing in (Standing.CONFIRMED, Standing.PAUSED)
        assert subscription is not Subscription.UNSUBSCRIBED
        assert not any((active, suppressed, erased))


def test_how_somebody_stands() -> None:
    """Each state has its name, and the reason that lasts longest is told."""
    member = Member(SubscriberId(1), ListId("lab"), ADA, Preferences(), Subscription.CONFIRMED, False, True, True)
    paused = replace(member, preferences=Preferences(paused_until=TODAY + timedelta(days=1)))
    assert member.standing(TODAY) is Standing.CONFIRMED
    assert paused.standing(TODAY) is Standing.PAUSED
    assert paused.standing(TODAY + timedelta(days=1)) is Standing.CONFIRMED
    assert replace(member, signed_up=False).standing(TODAY) is Standing.UNLISTED
    assert replace(paused, subscription=Subscription.UNCONFIRMED).standing(TODAY) is Standing.UNCONFIRMED
    assert replace(paused, suppressed=True).standing(TODAY) is Standing.SUPPRESSED
    assert replace(paused, suppressed=True, subscription=Subscription.UNSUBSCRIBED).standing(TODAY) == "unsubscribed"


# --- on and off -----------------------------------------------------------------------------------------------------


def test_who_is_added_gets_the_next_edition(world: World) -> None:
    """At once, beside the config's; what she follows is shown."""
    added = world("add", ADA, "--name", "Ada", "--topics", "video", "--interests", "knots; braids", "--language", "de")
    assert (added.returncode, added.stdout, added.stderr) == (0, "ada@example.org: added\n", "")
    shown = world("list").stdout.splitlines()
    assert shown[0] == "Lab (lab)"
    assert shown[1].split() == ["reader0@example.org", "confirmed", "config", "video"]
    assert shown[2].split() == [
        *("ada@example.org", "confirmed", "signed", "up", "2026-06-09", "video,", "knots,", "braids"),
    ]
    assert shown[3] == "  2 confirmed"
    sent = run("send", "--config", str(world.config), "--now", DAY_ONE, "--json")
    assert [edition["recipients"] for edition in json.loads(sent.stdout)["editions"]] == [2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--topics", "vidoe"], '--topics: there is no topic "vidoe"; did you mean `video`?; --interests takes'),
        (["--timezone", "Mars"], "--timezone must be an IANA time zone"),
        (["--categories", "cs.cv"], "did you mean `cs.CV`?"),
        (["--language", "deutsch!"], "--language must be a language tag"),
        (["--list", "other"], "there is no list other; there is lab"),
    ],
)
def test_a_wrong_option_says_what_to_write(world: World, options: list[str], said: str) -> None:
    """It is exit code 2, and nobody is added."""
    answer = world("add", ADA, *options)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert ADA not in world.states()


def test_an_unsubscribe_wins(world: World) -> None:
    """Over the config, over `add`, over an import; and `remove` names who is on no list."""
    removed = world("remove", "Reader0@example.org", CID)
    assert (removed.returncode, removed.stdout) == (3, "Reader0@example.org: unsubscribed (lab)\n")
    assert removed.stderr == "cid@example.org is on no list here\n"
    again = world("add", "reader0@example.org")
    assert (again.returncode, again.stdout) == (3, "")
    assert "has unsubscribed: only she herself can come back" in again.stderr
    assert counts(world("import", world.file("email\nREADER0@example.org\n"), "--json")) == {"unsubscribed": 1}
    assert world.states() == {"reader0@example.org": "unsubscribed"}
    sent = run("send", "--config", str(world.config), "--now", DAY_ONE)
    assert "no subscriber who may be sent to" in sent.stdout + sent.stderr


def test_ask_writes_once(world: World) -> None:
    """A letter goes out at once; she is subscribed when she confirms, and never asked a second time."""
    world("remove", "reader0@example.org")
    asked = world("add", "reader0@example.org", "--ask")
    assert (asked.returncode, asked.stdout) == (0, "reader0@example.org: asked\n")
    (letter,) = mailbox.Maildir(world.folder / "outbox")
    assert "Confirm your subscription" in str(letter["Subject"])
    again = world("add", "reader0@example.org", "--ask")
    assert (again.returncode, again.stderr.partition(" was asked before")[0]) == (3, "reader0@example.org")
    assert len(mailbox.Maildir(world.folder / "outbox")) == 1
    assert world.states() == {"reader0@example.org": "unsubscribed"}


def test_nobody_suppressed_is_asked(world: World) -> None:
    """Whose address is suppressed gets no letter either."""
    run("suppressions", "add", ADA, "--config", str(world.config))
    answer = world("add", ADA, "--ask")
    assert answer.returncode == 3
    world("add", BOB)
    run("suppressions", "add", BOB, "--config", str(world.config))
    answer = world("add", BOB, "--ask")
    assert (answer.returncode, "is suppressed" in answer.stderr) == (3, True)
    assert world.states()[BOB] == "suppressed"


def test_who_signed_up_is_in_a_rehearsal(world: World) -> None:
    """`preview --to` and `send --dry-run` know her as the send does."""
    world("add", ADA)
    arguments = ("--config", str(world.config), "--now", DAY_ONE)
    assert f"{ADA}" in run("send", "--dry-run", *arguments).stdout
    assert run("preview", "--to", ADA, "--out", str(world.folder / "out"), *arguments).returncode == 0


def test_several_lists_need_a_name(world: World) -> None:
    """Where it matters which list is meant it must be said; leaving and erasing mean all."""
    (world.folder / "second.toml").write_text(world.config.read_text().replace('id = "lab"', 'id = "second"'))
    world.config = world.folder
    assert "name one, --list lab" in world("add", ADA).stderr
    assert world("add", ADA, "--list", "second").returncode == 0
    assert world("add", ADA, "--list", "lab").returncode == 0
    assert world("remove", ADA).stdout.splitlines() == [f"{ADA}: unsubscribed (lab)", f"{ADA}: unsubscribed (second)"]


# --- erase ----------------------------------------------------------------------------------------------------------


def test_erased_never_comes_back_by_others(world: World) -> None:
    """Nothing of her is in the database's files, and an import counts her without naming her."""
    world("add", ADA, "--name", "Ada Quillfeather", "--interests", "unknotting")
    assert "say --yes" in world("erase", ADA).stderr
    erased = world("erase", ADA, "--yes")
    assert (erased.returncode, erased.stdout) == (0, f"{ADA}: erased (lab)\n")
    kept = b"".join(path.read_bytes() for path in world.folder.glob("digest.db*"))
    assert [word for word in (b"ada@", b"Quillfeather", b"unknotting") if word in kept] == []
    assert counts(world("import", world.file(f"email\n{ADA}\n"), "--json")) == {"erased": 1}
    assert "was erased" in world("add", ADA).stderr
    assert ADA not in world.states()


def test_erasing_says_where_she_still_stands(world: World) -> None:
    """The config is hers who runs the list: she is told, and nobody is sent anything meanwhile."""
    erased = world("erase", "reader0@example.org", "--yes")
    assert f"{world.config}: reader0@example.org stands there still" in erased.stderr
    assert world.states() == {}


# --- import ---------------------------------------------------------------------------------------------------------


def test_an_import_counts_what_became_of_every_row(world: World) -> None:
    """Members are left as they are; a second time changes nothing; a dry run only tells."""
    world("add", ADA, "--name", "Countess")
    world("add", BOB)
    world("remove", BOB)
    run("suppressions", "add", "dan@example.org", "--config", str(world.config))
    text = f"""email,name,state
{ADA},Ada,
{BOB},,
{CID},Cid,confirmed
dan@example.org,,
eve@example.org,,unconfirmed
fay@example.org,,unsubscribed
"""
    expected = {"added": 1, "member": 1, "unsubscribed": 1, "suppressed": 1, "left_out": 1, "noted": 1}
    before = world.states()
    assert counts(world("import", world.file(text), "--dry-run", "--json")) == expected
    assert world.states() == before
    assert counts(world("import", world.file(text), "--json")) == expected
    after = world("list", "--json").stdout
    again = {"member": 2, "unsubscribed": 2, "suppressed": 1, "left_out": 1}
    assert counts(world("import", world.file(text), "--json")) == again
    assert world("list", "--json").stdout == after
    assert world.states() == {**before, CID: "confirmed", "fay@example.org": "unsubscribed"}
    assert [row["name"] for row in jsons(after) if row["address"] == ADA] == ["Countess"]


def test_all_mistakes_are_told_and_nobody_imported(world: World) -> None:
    """Each with file and line; the good rows wait for the others."""
    path = world.file(f"email,topics,hour\n{ADA},video,7\nbob,,\n{CID},vidoe,24\n{ADA},,\n")
    answer = world("import", path)
    assert answer.returncode == 2
    lines = [line.removeprefix(f"{path}:") for line in answer.stderr.splitlines()]
    assert lines[0].startswith("3: `email` must be an email address")
    assert lines[1] == '4: `hour` must be an hour of the day from 0 to 23, not "24"'
    assert lines[2] == f'5: `email` "{ADA}" is there twice, first in line 2: keep one of them'
    assert lines[3] == " 3 mistakes, so nothing was imported"
    assert list(world.states()) == ["reader0@example.org"]
    wrong = world("import", world.file(f"email,topics\n{CID},vidoe\n"))
    assert ':2: there is no topic "vidoe"; did you mean `video`?; own words stand under `interests`' in wrong.stderr


def test_what_breaks_in_the_middle_leaves_nothing(world: World, database: Database) -> None:
    """Whether reading the file or writing the five hundredth person fails."""
    people = membership(world, database)

    def entries(broken: bool) -> Iterator[Entry]:
        for number in range(1200):
            yield Entry(Address(f"p{number}@example.org"), Preferences())
        if broken:
            raise ConfigError("line 1201")

    with pytest.raises(ConfigError):
        people.enrol(entries(broken=True))
    assert list(people.members.all()) == []
    real, calls = people.members._known, []

    def fails(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise ZeroDivisionError
        return real(*arguments)  # type: ignore[arg-type]

    with mock.patch.object(people.members, "_known", side_effect=fails), pytest.raises(ZeroDivisionError):
        people.enrol(entries(broken=False))
    assert list(people.members.all()) == []
    assert people.enrol(entries(broken=False)) == {Admission.ADDED: 1200}
    assert len(list(people.members.all())) == 1200


def die_at_insert(at: int) -> None:
    """Has this process killed when it has written so many times to the people."""
    left = iter(range(at - 1, -1, -1))

    def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO subscribers") and not next(left):
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "after_cursor_execute", executed)


@pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")
def test_a_killed_import_leaves_nobody_or_everybody(world: World) -> None:
    """SIGKILL while people are written, and before and after each commit."""
    path = world.file("email\n" + "".join(f"p{number}@example.org\n" for number in range(1200)))
    command = ("subscribers", "import", path, "--config", str(world.config))
    assert len(world.states()) == 1
    left = []
    with Nursery("digest.commands.people") as nursery:
        for first in (partial(die_at_insert, 1), partial(die_at_insert, 3), *(partial(die_at, n) for n in range(1, 9))):
            killed = nursery.run(*command, first=first).returncode
            left.append(len(world.states()))
            if killed != -signal.SIGKILL:
                break
    assert killed == 0
    assert left[:3] == [1] * 3
    assert left[-2:] == [1201] * 2
    assert set(left) == {1, 1201}


def test_a_file_that_cannot_be_read_is_told(world: World) -> None:
    """A missing one, one in another encoding, one without rows."""
    assert "no such file" in world("import", str(world.folder / "x.csv")).stderr
    (world.folder / "old.csv").write_bytes("email,name\nada@example.org,Åsa\n".encode("latin-1"))
    answer = world("import", str(world.folder / "old.csv"))
    assert (answer.returncode, "old.csv:2: is not UTF-8" in answer.stderr) == (2, True)
    assert world("import", world.file("email\n")).returncode == 3


def test_no_log_line_names_anybody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """At info level and above, whatever is done."""
    caplog.set_level("INFO")
    import_members(Terminal(), config_of(world), lambda: NOW, Path(world.file(f"email\n{ADA}\n")), keep=True)
    world("erase", ADA, "--yes")
    assert "@example.org" not in caplog.text


# --- export ---------------------------------------------------------------------------------------------------------

FORMULA = "=+-@\t\r\n＝＋－＠"
texts = st.text(
    st.one_of(st.sampled_from("=+-@'\"; ,＝"), st.characters(exclude_categories=("Cs", "Cc"))), max_size=12
).map(lambda text: " ".join(text.split()))
some = st.lists(texts.filter(bool), max_size=3, unique=True).map(tuple)
preferences = st.builds(
    Preferences,
    name=texts,
    timezone=st.sampled_from([None, "Asia/Tokyo"]),
    language=st.sampled_from([None, "pt-BR"]),
    frequency=st.sampled_from([None, *Frequency]),
    hour=st.one_of(st.none(), st.integers(0, 23)),
    paused_until=st.one_of(st.none(), st.dates(date(2000, 1, 1))),
)

interests = st.tuples(
    st.sampled_from([(), ("video",), ("video", "proteins")]),
    some.map(lambda words: tuple(word for word in words if word.casefold() not in ("video", "proteins"))),
    some,
    st.sampled_from([(), ("cs.CV", "hep-th")]),
    st.sampled_from([(), (PaperId("arxiv:2406.04325"), PaperId("doi:10.1000/a;b"))]),
)


@given(st.text(st.sampled_from(FORMULA + "'a;\" ")))
def test_escaping_is_undone(text: str) -> None:
    """Whatever stands in a cell; and nothing that is written opens a formula."""
    assert unescaped(escaped(text)) == text
    assert not escaped(text).startswith(tuple(FORMULA))


@given(st.lists(st.text(st.sampled_from("a;\"' ,=é")).map(str.strip).filter(bool)))
def test_joining_is_undone(values: list[str]) -> None:
    """Whatever the values hold."""
    assert split(joined(values)) == values


@settings(
    max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(preferences, interests), max_size=5))
def test_an_export_is_imported_as_it_was(world: World, people: list[tuple[Preferences, Any]]) -> None:
    """Members, those who have left and those who pause: a new list knows of them what the old one did."""
    topics = config_of(world).topics
    by_name = {topic.name: topic for topic in topics}
    wanted = []
    for chosen, (listed, own, *others) in people:
        profile = Profile((*(by_name[name] for name in listed), *(Topic(word, word) for word in own)), *others)
        wanted.append(replace(chosen, profile=profile))
    path = world.folder / "round.csv"
    told = []
    for first in (True, False):
        database = open_database("sqlite://")
        there = Membership(config_of(world), database, lambda: NOW)
        if first:
            there.enrol(Entry(Address(f"=p{n}@example.org"), each) for n, each in enumerate(wanted))
            if wanted:
                there.unsubscribe(next(there.members.all()))
            with path.open("w", encoding="utf-8", newline="") as file:
                write_members(file, there.members.all(), topics, there.today)
        else:
            there.enrol(_entries(path, topics, lambda _: None))
        told.append({m.address: (m.standing(TODAY), m.preferences) for m in there.members.all()})
        database.close()
    for each in told:
        if left := each.pop(Address("=p0@example.org"), None):
            assert left[0] is Standing.UNSUBSCRIBED  # what she followed does not matter any more
    assert told[0] == told[1]


def test_no_cell_of_an_export_is_a_formula(world: World) -> None:
    """Also of those whose names, addresses and interests were made for it; and every cell is quoted."""
    world("add", "=cmd@example.org", "--name", "=HYPERLINK(1)", "--interests", "+1;x", "--authors", "@SUM(A1)")
    text = world("export").stdout
    rows = list(csv.reader(io.StringIO(text)))
    assert not [cell for row in rows for cell in row if cell.startswith(tuple(FORMULA))]
    assert rows[2][:2] == ["'=cmd@example.org", "'=HYPERLINK(1)"]
    assert all(line.startswith('"') for line in text.splitlines())


def test_an_export_to_a_file_is_for_its_owner_alone(world: World) -> None:
    """It is there when it is complete, and readable for nobody else."""
    path = world.folder / "out.csv"
    told = world("export", str(path))
    assert (told.returncode, told.stdout) == (0, "")
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_bytes().startswith(b'\xef\xbb\xbf"email"')
    assert world("export", "/nowhere/x.csv").returncode == 2
    assert [each.name for each in world.folder.glob(".out*")] == []


def test_everything_held_about_one_person(world: World) -> None:
    """As one JSON object with plain values, times in ISO 8601; a stranger is named."""
    world("add", ADA, "--interests", "knots")
    run("send", "--config", str(world.config), "--now", DAY_ONE)
    answer = world("export", "--json", "--to", ADA, "--to", CID)
    (held,) = jsons(answer.stdout)
    assert held["subscriber"]["profile"]["topics"] == [{"name": "knots", "text": "knots"}]
    assert held["subscriber"]["created_at"] == "2026-06-09T06:00:00+00:00"
    assert [each["address"] for each in held["deliveries"]] == [ADA]
    assert (answer.returncode, answer.stderr) == (3, "cid@example.org is on no list here\n")
    assert len(jsons(world("export", "--json").stdout)) == 2


# --- examples -------------------------------------------------------------------------------------------------------

CSL = """[{"id": "x1", "title": "Knots &amp; <i>braids</i>", "DOI": "10.48550/arXiv.2406.04325",
 "abstract": "We tie.", "author": [{"family": "Rossum", "given": "Ada", "non-dropping-particle": "van"}]},
 {"id": "x2", "title": "Proteins", "DOI": "10.1000/ABC", "author": [{"literal": "The Team"}]}, {"id": "x3"}]"""


def test_a_library_gives_examples(world: World) -> None:
    """BibTeX and CSL JSON; a second time adds nothing; what has no title is told and left out."""
    world("add", ADA)
    bib = world.file("@misc{a, title={A}, eprint={2406.04325}}", "ada.bib")
    answer = world("examples", ADA, bib, world.file(CSL, "ada.json"))
    assert answer.stdout == f"{ADA}: 3 papers, 2 of them new examples\n"
    assert "item 3 (`x3`) has no title: left out" in answer.stderr
    assert world("examples", ADA, bib).stdout == f"{ADA}: 1 paper, 0 of them new examples\n"
    (held,) = jsons(world("export", "--json", "--to", ADA).stdout)
    assert held["subscriber"]["profile"]["examples"] == ["arxiv:2406.04325", "doi:10.1000/abc"]


def test_what_is_no_library_is_told_with_its_place(world: World) -> None:
    """Line and column of the mistake; a person of the config has her library there."""
    world("add", ADA)
    broken = world("examples", ADA, world.file('[{"title":\n "A",,', "x.json"))
    assert (broken.returncode, "x.json:2: is not JSON (column 6" in broken.stderr) == (2, True)
    assert "is not a list of items" in world("examples", ADA, world.file("{}", "x.json")).stderr
    assert "no such file" in world("examples", ADA, "nowhere.bib").stderr
    listed = world("examples", "reader0@example.org", world.file(CSL, "ada.json"))
    assert (listed.returncode, "library =" in listed.stderr) == (2, True)
    assert world("examples", CID, "x.bib").returncode == 3


def test_zotero_is_asked_page_by_page(world: World) -> None:
    """With the key of the environment; notes are no papers; a key that does not fit is told."""
    world("add", ADA)
    full = [{"key": str(n), "csljson": {"id": n, "title": f"Paper {n}", "DOI": f"10.1000/{n}"}} for n in range(99)]
    first = json.dumps([*full, {"key": "N", "csljson": False}]).encode()
    last = json.dumps([{"csljson": {"id": "z", "title": "Zed"}}]).encode()
    page = in_turn(says("200 OK", first), says("200 OK", last), says("403 Forbidden"))
    with serving(**{"users/7/items/top": page}) as server:
        library = f"{server.url}users/7"
        answer = world("examples", ADA, "--zotero", library, zotero_key="k3y")
        refused = world("examples", ADA, "--zotero", library)
    assert answer.stdout == f"{ADA}: 100 papers, 100 of them new examples\n"
    asked = server.requests
    assert [request.split()[1].rpartition("&")[2] for request in asked[:2]] == ["start=0", "start=100"]
    assert ["k3y" in request for request in asked] == [True, True, False]
    assert (refused.returncode, "set ZOTERO_API_KEY" in refused.stderr) == (1, True)
    assert "write users/NUMBER" in world("examples", ADA, "--zotero", "mine").stderr


def test_an_example_of_hers_counts_in_the_ranking(world: World, database: Database) -> None:
    """The library's text is known to the store, and is no news that crowds out the day's papers."""
    from digest.store import Papers

    people = membership(world, database)
    people.enrol([Entry(ADA, Preferences())])
    (member,) = people.members.all()
    assert people.learn_from(member, [paper(1)]) == 1
    assert list(Papers(database).known([paper(1).id])) == [paper(1).id]
    (person,) = Subscribers(database).reachable(people.list.id)
    assert person.profile.examples == (paper(1).id,)
    Papers(database).record(people.list.id, [], NOW)
    assert [known.id for known in Papers(database).background(NOW, 10)] == [paper(1).id]
