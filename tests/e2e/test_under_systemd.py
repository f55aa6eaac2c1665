"""The units of docs/deploy under a real systemd, installed as its pages say: they are sound, send, and end well."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.servers import machine, postgres
from tests.servers.postgres import PostgresServer
from tests.servers.smtp import CollectingServer
from tests.waiting import until

pytestmark = pytest.mark.system

DEPLOY = machine.ROOT / "docs" / "deploy"
CONFIG = """\
[list]
id = "lab"
from = "Lab <digest@example.org>"
schedule = "0 0 * * *"
min_relevance = 0.0
semantic = false
[[sources]]
kind = "feed"
url = "file:///etc/digest/feed.xml"
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
UNTIL = """
until_true() {
    for _ in $(seq 600); do ! "$@" || return 0; sleep 0.1; done
    echo "never: $*"; journalctl -u 'digest*'; exit 1
}
is() { test "$(systemctl show digest -p ActiveState --value)" = "$1"; }
"""


def blocks() -> tuple[list[str], str]:
    """What the page says to type: the lines that install, and the one that asks."""
    install, ask = re.findall(r"^```sh\n(.*?)^```", (DEPLOY / "systemd.md").read_text(), re.M | re.S)
    return install.splitlines(), ask.rstrip()


def without_password(ask: str) -> str:
    """The same with another than the relay's: what is sent so stays queued."""
    return ask.replace('"$(cat /etc/digest/secrets/smtp-password)"', "unknown")


def worker_blocks() -> tuple[list[str], str]:
    """What the page of many hosts says to type: on the host of a worker, and on that of `digest run`."""
    text = (DEPLOY / "workers.md").read_text().partition("\n## Under systemd\n")[2]
    worker, run, *_ = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return worker.splitlines(), run


def prepared(folder: Path, port: int, extra: str = "") -> str:
    """Lays out what is to be installed, and returns the page's commands that do it, up to starting something."""
    now = datetime.now(UTC)
    ages = {"Walks of Old": timedelta(days=3), "Walks of Late": timedelta(hours=1)}
    items = [
        ITEM.format(title=title, n=n, at=format_datetime(now - age)) for n, (title, age) in enumerate(ages.items())
    ]
    (folder / "feed.xml").write_text(f'<rss version="2.0"><channel><title>J</title>{"".join(items)}</channel></rss>')
    (folder / "config.toml").write_text(CONFIG.format(port=port) + extra)
    (folder / "smtp-password").write_text(PASSWORD + "\n")
    for unit in DEPLOY.glob("digest*"):
        shutil.copy(unit, folder)
    install, _ = blocks()
    assert install[0].startswith("python3 -m venv /opt/digest")  # machine.py has done it, without a network
    assert install[-1].startswith("systemctl enable --now digest.service  # or digest-send.timer")
    return "\n".join(install[1:-1]) + "\ninstall -m 640 -g digest feed.xml /etc/digest/\n" + UNTIL


@pytest.fixture(autouse=True)
def _needed() -> None:
    if reason := machine.missing():
        pytest.skip(reason)


def test_the_units_are_sound_and_locked_up(tmp_path: Path) -> None:
    """Systemd finds nothing wrong with any of the units, and the exposure is as low as the page says."""
    script = prepared(tmp_path, 25)
    script += "install -m 644 digest-worker@.service /etc/systemd/system/\n"
    units = "digest.service digest-send.service digest-send.timer digest-worker@.service"
    script += f"systemd-analyze verify {units} >found 2>&1\n"
    script += "for unit in digest digest-send digest-worker@1; do\n"
    script += "    systemd-analyze security $unit.service | tail -n 1\ndone >exposure\n"
    log = machine.run(tmp_path, script)
    assert log.endswith("script ended\n"), log
    assert (tmp_path / "found").read_text() == ""
    exposures = re.findall(r"level for \S+: ([\d.]+)", (tmp_path / "exposure").read_text())
    assert len(exposures) == 3
    assert max(map(float, exposures)) < 1.5
    assert "less than 1.5 (of 10)" in (DEPLOY / "systemd.md").read_text()


def test_the_oneshot_sends_once_a_day(tmp_path: Path) -> None:
    """digest-send.service sends the edition, with the password of the credential; started again it sends nothing."""
    with CollectingServer(credentials=("digest", PASSWORD)) as server:
        script = prepared(tmp_path, server.port)
        script += f"{blocks()[1].replace('digest status', 'digest check')} >check || true\n"  # nobody has DNS there
        script += "systemctl start digest-send || { journalctl -u digest-send; exit 1; }\n"
        script += "systemctl start digest-send\n"
        script += "systemctl enable --now digest-send.timer\n"
        script += "systemctl show digest-send.timer -p NextElapseUSecRealtime --value >next\n"
        script += "stat -c '%a %U %n' -- /var/lib/digest /var/lib/digest/* >modes\n"
        log = machine.run(tmp_path, script)
    assert log.endswith("script ended\n"), log
    assert [message.recipients for message in server.messages] == [("ada@example.org",)]
    assert re.search(rf"^ +ok +relay 127.0.0.1:{server.port}:", (tmp_path / "check").read_text(), re.M)
    assert (tmp_path / "next").read_text().strip()
    modes = (tmp_path / "modes").read_text().splitlines()
    assert modes == ["700 digest /var/lib/digest", "600 digest /var/lib/digest/digest.db"]


def test_the_daemon_sends_and_stopping_it_waits_for_the_relay(tmp_path: Path) -> None:
    """digest.service makes the missed run; stopped in mid-conversation it ends well, and the message counts."""
    install, ask = blocks()

    def watch(stage: str) -> None:
        if stage == "accepted" and (tmp_path / "started").exists():
            (tmp_path / "accepted").touch()
            # The relay takes its time, until the daemon has been told to stop.
            until((tmp_path / "stopping").exists, "the daemon was not told to stop")

    with CollectingServer(credentials=("digest", PASSWORD), watch=watch) as server:
        script = prepared(tmp_path, server.port)
        script += "install -d -m 700 -o digest -g digest /var/lib/digest\n"
        earlier = without_password(ask).replace("digest status", "digest send --now $(date -u -d '2 days ago' +%FT%TZ)")
        script += f"! {earlier}\n"
        script += f"touch started\n{install[-1]}\n"
        script += "until_true test -e accepted\n"
        script += "systemctl stop --no-block digest\n"
        script += "said_so() { journalctl -u digest | grep -q 'stopping on SIGTERM'; }\n"
        script += "until_true said_so\n"
        script += "is deactivating\n"
        script += "touch stopping\n"
        script += "until_true is inactive\n"
        script += "systemctl show digest -p Result -p ExecMainStatus >ending\n"
        script += f"{ask} --json >status\n"
        log = machine.run(tmp_path, script)
    assert log.endswith("script ended\n"), log
    assert (tmp_path / "ending").read_text().split() == ["Result=success", "ExecMainStatus=0"]
    assert len(server.messages) == 1
    status = json.loads((tmp_path / "status").read_text())
    assert status["editions"][0]["counts"] == {"sent": 1}


def test_a_wrong_config_is_told_and_not_tried_again(tmp_path: Path) -> None:
    """The daemon ends with 2, which no restart mends: systemd starts it no second time, and the journal says why."""
    script = prepared(tmp_path, 25)
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace("min_relevance", "min_relevence"))
    script += "systemctl start digest || true\n"
    script += "until_true is failed\n"
    script += "systemctl show digest -p NRestarts -p ExecMainStatus >ending\n"
    script += "journalctl -u digest >journal\n"
    log = machine.run(tmp_path, script)
    assert log.endswith("script ended\n"), log
    assert sorted((tmp_path / "ending").read_text().split()) == ["ExecMainStatus=2", "NRestarts=0"]
    assert "min_relevance" in (tmp_path / "journal").read_text()


READERS = 20


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing() or "")
def test_workers_that_are_killed_are_started_again_and_finish(tmp_path: Path) -> None:
    """`kill -9` in the middle of an edition: every reader has it, one message perhaps twice; then they stop tidily."""
    killed = tmp_path / "killed"

    def watch(stage: str) -> None:
        if stage == "accepted" and len(server.messages) == READERS // 2 and not killed.exists():
            (tmp_path / "halfway").touch()
            until(killed.exists, "no worker was killed")

    with (
        PostgresServer(fsync="off") as database,
        database.new() as url,
        CollectingServer(credentials=("digest", PASSWORD), watch=watch) as server,
    ):
        people = "".join(f'[[subscribers]]\nemail = "r{n}@example.org"\n' for n in range(1, READERS))
        extra = f'on_unknown = "resend"\nconnections = 1\n[store]\nurl = "{url}"\n{people}'
        script = prepared(tmp_path, server.port, extra)
        (tmp_path / "postgres-password").write_text("invented, as the server trusts everybody\n")
        worker, run = worker_blocks()
        script += run.replace("systemctl enable --now digest.service\n", "")
        script += "install -d -m 700 -o digest -g digest /var/lib/digest\n"
        asking = without_password(blocks()[1].replace(" DIGEST_STORE__URL=sqlite:////var/lib/digest/digest.db", ""))
        script += f"! {asking.replace('digest status', 'digest send')}\n"  # it makes the edition
        script += "\n".join(worker) + "\n"
        script += "systemctl start digest.service\n"
        script += "until_true test -e halfway\n"
        script += "systemctl kill --signal=KILL digest-worker@1 digest-worker@2\n"  # whichever has the edition
        script += "touch killed\n"
        script += "restarted() { test $(systemctl show digest-worker@$1 -p NRestarts --value) -ge 1; }\n"
        script += "until_true restarted 1\nuntil_true restarted 2\n"
        script += f"sent() {{ {asking} --json | grep -q '\"sent\": {READERS}[,}}]'; }}\n"
        script += "until_true sent\n"
        script += "systemctl stop digest-worker@1 digest-worker@2 digest\n"
        script += "systemctl show digest-worker@1 digest-worker@2 -p Result -p ExecMainStatus >ending\n"
        log = machine.run(tmp_path, script, patience=300)  # what a dead worker had is given to others after 40 s
    assert log.endswith("script ended\n"), log
    got = [address for message in server.messages for address in message.recipients]
    assert len(set(got)) == READERS
    assert len(got) <= READERS + 1
    assert (tmp_path / "ending").read_text().split() == ["Result=success", "ExecMainStatus=0"] * 2
