"""docs/deploy/Containerfile, with no container engine: its own steps, user, surroundings, commands and health check.

What `podman run` of container.md asks for is given by bubblewrap: a root that cannot be written to, no privileges and
no way to new ones, the config read-only, one volume.
"""

from __future__ import annotations

import re
import shlex
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.servers import image
from tests.servers.image import Container, Image
from tests.servers.smtp import CollectingServer

pytestmark = pytest.mark.system

CONFIG = """\
[list]
id = "lab"
from = "Lab <digest@example.org>"
schedule = "{minute} {hour} * * *"
min_relevance = 0.0
semantic = false
[[sources]]
kind = "feed"
url = "file:///config/feed.xml"
[topics.walks]
text = "walks on graphs"
[[subscribers]]
email = "ada@example.org"
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
username = "digest"
"""
ITEM = "<item><title>{title}</title><link>https://journal.example/{n}</link><pubDate>{at}</pubDate></item>"
PASSWORD = "correct horse battery"
DOC = (image.CONTAINERFILE.parent / "container.md").read_text("utf-8")


@pytest.fixture(scope="module")
def built() -> Iterator[Image]:
    """The image; pytest's own folders are closed to the user that it runs as."""
    if reason := image.missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="digest-image-"))
    folder.chmod(0o755)
    yield image.built(folder)
    shutil.rmtree(folder)


class Place:
    """A config and a volume of a test's own."""

    def __init__(self, made: Image):
        self.image = made
        self.folder = Path(tempfile.mkdtemp(prefix="digest-container-"))
        self.folder.chmod(0o755)
        self.config, self.state = self.folder / "config", self.folder / "state"
        self.config.mkdir()
        # An engine gives a new volume what the image has at its place: owner and mode.
        self.state.mkdir()
        volume = (made.root / made.volume.lstrip("/")).stat()
        self.state.chmod(stat.S_IMODE(volume.st_mode))
        shutil.chown(self.state, volume.st_uid, volume.st_gid)

    def write(self, port: int, *titles: str) -> None:
        """A list whose run was two hours ago, with these papers, each a day younger than the one before it."""
        run = datetime.now(UTC) - timedelta(hours=2)
        at = [run - timedelta(hours=1, days=days) for days in range(len(titles))]
        items = [
            ITEM.format(title=title, n=n, at=format_datetime(moment))
            for n, (title, moment) in enumerate(zip(reversed(titles), at, strict=True))
        ]
        feed = f'<rss version="2.0"><channel><title>J</title>{"".join(items)}</channel></rss>'
        (self.config / "feed.xml").write_text(feed)
        (self.config / "lab.toml").write_text(CONFIG.format(port=port, minute=run.minute, hour=run.hour))

    def start(self, *command: str) -> Container:
        mounts = {self.config: "/config", self.state: self.image.volume}
        return self.image.start(command, mounts, {"DIGEST_SMTP__PASSWORD": PASSWORD})

    def ran(self, *command: str) -> tuple[int, str]:
        """A container's exit code and what it said."""
        container = self.start(*command)
        code = container.ended()
        return code, container.said


@pytest.fixture
def place(built: Image) -> Iterator[Place]:
    made = Place(built)
    yield made
    shutil.rmtree(made.folder)


def python(place: Place, code: str) -> tuple[int, str]:
    return place.ran("/usr/bin/python3", "-c", code)


def test_there_is_nothing_but_a_python(place: Place) -> None:
    """No shell, no package manager, no setuid file, nobody but the one user, and nowhere to write but the volume."""
    root = place.image.root
    unwanted = (
        "bin",
        "sbin",
        "usr/sbin",
        "usr/bin/sh",
        "usr/bin/dpkg",
        "usr/bin/apt",
        "home",
        "root",
        "etc/ssl/private",
    )
    assert [name for name in unwanted if (root / name).exists()] == []
    assert sorted(p.name for p in (root / "usr" / "bin").iterdir() if not p.name.startswith("python3")) == []
    assert sorted(p.name for p in (root / "opt/digest/bin").iterdir() if p.name.startswith("pip")) == []
    assert [p for p in root.rglob("*") if p.is_file() and p.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)] == []
    code, said = place.ran("/bin/sh", "-c", "echo here")
    assert code != 0
    assert "execvp /bin/sh: No such file or directory" in said
    code, said = python(
        place,
        "import os, subprocess, shutil\n"
        "print(os.getuid(), os.getgid(), os.getgroups(), shutil.which('sh'))\n"
        "print(*[line.split()[1] for line in open('/proc/self/status') if line[:6] in ('CapEff', 'NoNewP')])\n"
        "for place in ('/', '/etc', '/opt/digest', '/config', '/usr/lib', os.environ['TMPDIR']):\n"
        "    try: open(place + '/new', 'w').close(); print(place)\n"
        "    except OSError as error: print(error.errno)\n",
    )
    assert said.splitlines() == ["65532 65532 [] None", "0000000000000000 1", *["30"] * 5, place.image.volume]
    assert code == 0


def test_it_has_what_it_needs_of_a_machine(place: Place) -> None:
    """Every module of digest is imported, but for the extra `postgres`; certificates and time zones are found."""
    code, said = python(
        place,
        "import sys; sys.path[:0] = __import__('glob').glob('/opt/digest/lib/python3*/site-packages')\n"
        "import importlib, os, pkgutil, digest, socket, ssl, zoneinfo\n"
        "for each in pkgutil.walk_packages(digest.__path__, 'digest.'):\n"
        "    try: 'migrations' in each.name or each.name == 'digest.__main__' or importlib.import_module(each.name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        if error.name not in ('procrastinate', 'psycopg', 'psycopg_pool'): raise\n"
        "import ctypes, encodings.idna, lzma, bz2, sqlite3, starlette, uvicorn, prometheus_client, flufl.bounce\n"
        "trusted = [os.path.join('/usr/lib/ssl/certs', n) for n in os.listdir('/etc/ssl/certs') if n[-2:] == '.0']\n"
        "print(len(trusted) > 100, all(map(os.path.isfile, trusted)), zoneinfo.ZoneInfo('Europe/Berlin'))\n",
    )
    assert (code, said) == (0, "True True Europe/Berlin\n")


def test_it_sends_what_is_due_and_ends_well(place: Place) -> None:
    """The run that was missed is made and sent; told to stop in mid-conversation it ends with 0 and the message counts.

    Before, its health is bad, as the edition is overdue; afterwards good. Another start sends nothing again.
    """
    entry, command, health = place.image.entry, place.image.command, place.image.health
    accepted, stopping = threading.Event(), threading.Event()

    def watch(stage: str) -> None:
        if stage == "accepted":
            accepted.set()
            stopping.wait(60)  # the relay takes its time, until the container has been told to stop

    with CollectingServer(credentials=("digest", PASSWORD), watch=watch) as server:
        place.write(server.port, "Walks of Old")
        assert place.ran(*health) == (0, "lab: fine\n")  # it is new, and has no past
        stopping.set()
        code, said = place.ran(*entry, "send", "--now", (datetime.now(UTC) - timedelta(days=2)).isoformat())
        assert (code, len(server.messages)) == (0, 1), said
        place.write(server.port, "Walks of Old", "Walks of Late")
        code, said = place.ran(*health)
        assert code == 1
        assert said.startswith("lab: overdue since ")
        accepted.clear()
        stopping.clear()
        container = place.start(*command)
        assert accepted.wait(60)
        container.kill(place.image.stop)
        container.until("stopping on SIGTERM")
        stopping.set()
        assert container.ended() == 0, container.said
        assert container.said.endswith("stopped\n")
        assert [message.recipients for message in server.messages] == [("ada@example.org",)] * 2
        assert b"Walks of Late" in server.messages[1].data
        assert b"Walks of Old" not in server.messages[1].data
        assert place.ran(*health) == (0, "lab: fine\n")
        again = place.start(*command)
        again.until("next run")
        code, said = place.ran(*entry, "send")  # beside it, as by `podman exec`
        assert (code, "sent" in said) == (0, True), said
        again.kill(place.image.stop)
        assert again.ended() == 0, again.said
        assert len(server.messages) == 2
    assert [(p.name, oct(p.stat().st_mode), p.stat().st_uid) for p in place.state.iterdir()] == [
        ("digest.db", "0o100600", 65532)
    ]
    assert sorted(p.name for p in place.config.iterdir()) == ["feed.xml", "lab.toml"]


def test_a_wrong_config_is_told(place: Place) -> None:
    """It ends with 2 and says what is wrong where; its health is as bad."""
    place.write(25)
    config = place.config / "lab.toml"
    config.write_text(config.read_text().replace("min_relevance", "min_relevence"))
    for command in (place.image.command, place.image.health):
        code, said = place.ran(*command)
        assert code == 2
        assert "/config/lab.toml:5" in said
        assert "min_relevance" in said


def test_the_page_says_what_the_file_does(built: Image) -> None:
    """Places, user, secret and commands of container.md are those that are tried here."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", DOC, re.M | re.S)
    build, secret, run, ask = (shlex.split(line) for line in block.replace("\\\n", " ").splitlines())
    assert build[build.index("-f") + 1] == "docs/deploy/Containerfile"
    assert {"--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"} <= set(run)
    assert [run[at + 1] for at, word in enumerate(run) if word == "-v"] == [
        f"$PWD/config:{built.environ['DIGEST_CONFIG']}:ro",
        f"digest-state:{built.volume}",
    ]
    assert built.environ["DIGEST_STORE__URL"].startswith(f"sqlite:///{built.volume}/")
    assert run[run.index("--secret") + 1] == f"{secret[3]},type=env,target=DIGEST_SMTP__PASSWORD"
    assert tuple(ask[3:]) == (*built.entry, "status")
    assert f"user {built.user}" in DOC
