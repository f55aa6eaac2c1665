"""docs/deploy/github-actions.yml, step by step: one email a day, and what a run does after one that broke.

Every `run:` is executed as GitHub's runner does, on a fresh clone with a home of its own, against a git remote, sources
and an SMTP server of this machine. Only the two actions are stood in for: a clone, and the Python that runs the tests.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml

from digest.schedule import read_schedule
from tests import shims
from tests.lists import write_list
from tests.servers.smtp import CollectingServer, answers_554_banner

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "deploy" / "github-actions.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
(JOB,) = WORKFLOW["jobs"].values()
BRANCH = WORKFLOW["env"]["BRANCH"]
MORNING, LATER, NEXT_DAY = "2026-06-09T05:17:00Z", "2026-06-09T08:47:00Z", "2026-06-10T05:17:00Z"
LAST_STEP = "Keep the state"

needs_tools = pytest.mark.skipif(
    sys.platform == "win32" or not all(map(shutil.which, ("git", "bash", "openssl", "tar"))),
    reason="needs git, bash, openssl and tar",
)


@dataclass
class Repository:
    """Somebody's repository with a list in it, as a bare remote, and the runs of its workflow."""

    folder: Path
    secrets: dict[str, str]
    number: int = 0

    @property
    def remote(self) -> Path:
        return self.folder / "remote.git"

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *arguments],
            cwd=cwd or self.remote,
            check=True,
            capture_output=True,
        )
        return done.stdout.decode("latin-1").strip()

    def publish(self, port: int) -> None:
        """Commits config and requirements, as their owner does once, and again after each change."""
        if not self.remote.exists():
            self.git("init", "-q", "--bare", "-b", "main", str(self.remote), cwd=self.folder)
        work = self.folder / f"work{port}"
        self.git("clone", "-q", str(self.remote), str(work), cwd=self.folder)
        write_list(work, readers=0, port=port)
        (work / "requirements.txt").write_text(f"papers-digest=={importlib.metadata.version('papers-digest')}\n")
        self.git("add", ".", cwd=work)
        self.git("commit", "-qm", "My list", cwd=work)
        self.git("push", "-q", "origin", "HEAD:main", cwd=work)

    def run(self, now: str, *, again: bool = False, dies_before: str = "", goes_away: bool = False) -> tuple[bool, str]:
        """One run of the job at `now`: whether it was green, and what it said.

        The runner `dies_before` a step of that name; with `goes_away` the remote is gone after the checkout.
        """
        self.number += 1
        runner = self.folder / f"runner{self.number}"
        for name in ("home", "temp", "bin"):
            (runner / name).mkdir(parents=True)
        work = runner / "work"
        shims.write(runner / "digest")
        self.stand_in(runner / "bin" / "digest", f'exec "{runner}/digest" "$@" --now {now}')
        self.stand_in(runner / "bin" / "date", f'test "$*" = "-u +%F" && echo {now[:10]}')
        self.stand_in(runner / "bin" / "python", f'exec "{sys.executable}" "$@"')
        self.stand_in(runner / "bin" / "sleep", "")
        base = {
            "PATH": f"{runner / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(runner / "home"),
            "RUNNER_TEMP": str(runner / "temp"),
            "PIP_NO_INDEX": "1",
            **WORKFLOW["env"],
        }
        said, green = "", True
        outcomes: dict[str, str] = {}
        for step in JOB["steps"]:
            if dies_before and step.get("name") == dies_before:
                return False, said + "the runner died"
            if step.get("uses", "").startswith("actions/checkout@"):
                self.git("clone", "-q", "--branch", "main", str(self.remote), str(work), cwd=self.folder)
                if goes_away:
                    self.remote.rename(self.folder / "gone")
            if self.number > 1 and step.get("name", "").startswith("Install"):
                continue  # it takes seconds, and is what it was
            if "run" not in step or not (green or self._anyhow(step, outcomes)):
                continue
            script = runner / "script"
            script.write_text(step["run"])
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                cwd=work,
                env={**base, **{name: self._value(text, again) for name, text in step.get("env", {}).items()}},
                check=False,
                capture_output=True,
                text=True,
                timeout=120,
            )
            said += done.stdout + done.stderr
            green = green and done.returncode == 0
            outcomes[step.get("id", "")] = "success" if done.returncode == 0 else "failure"
        return green, said

    def stand_in(self, path: Path, script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def _anyhow(self, step: dict[str, Any], outcomes: dict[str, str]) -> bool:
        if "if" not in step:
            return False
        assert step["if"] == "always() && steps.before.outcome == 'success'"
        return outcomes.get("before") == "success"

    def _value(self, text: str, again: bool) -> str:
        if found := re.fullmatch(r"\$\{\{ secrets\.(\w+) \}\}", text):
            return self.secrets.get(found[1], "")
        assert text == "${{ inputs.again }}"
        return "true" if again else ""


@pytest.fixture
def server() -> Iterator[CollectingServer]:
    with CollectingServer() as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path, server: CollectingServer) -> Repository:
    ada = '[{"email": "ada@example.org", "topics": ["video"]}]'
    made = Repository(tmp_path, {"DIGEST_STATE_KEY": "a long passphrase", "DIGEST_SUBSCRIBERS": ada})
    made.publish(server.port)
    return made


def papers_of(message: Message) -> set[str]:
    """The arXiv ids that an email links to."""
    (text,) = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    body = text.get_payload(decode=True)
    assert isinstance(body, bytes)
    return set(re.findall(r"arxiv\.org/abs/([\d.]+)", body.decode()))


def emails(server: CollectingServer) -> list[Message]:
    return [message_from_bytes(message.data) for message in server.messages]


@needs_tools
def test_two_days_bring_one_email_each(repository: Repository, server: CollectingServer) -> None:
    """The first run of each day sends one email, the second none; no paper comes twice; the state is encrypted."""
    for number, (now, total) in enumerate([(MORNING, 1), (LATER, 1), (NEXT_DAY, 2), (NEXT_DAY, 2)]):
        green, said = repository.run(now)
        assert green, said
        assert len(server.messages) == total, said
        assert ("there is no state yet" in said) == (number == 0)
    first, second = map(papers_of, emails(server))
    assert first
    assert second
    assert not first & second
    # One commit without a parent, and its file neither a database nor an address to whoever reads it.
    assert repository.git("rev-list", "--count", BRANCH) == "1"
    assert repository.git("ls-tree", "--name-only", BRANCH).split() == ["state"]
    state = repository.git("show", f"{BRANCH}:state")
    assert len(state) > 10_000
    assert "ada@example.org" not in state
    assert "SQLite" not in state


@needs_tools
def test_a_runner_that_dies_after_sending_leads_to_no_second_copy(
    repository: Repository, server: CollectingServer
) -> None:
    """Nobody knows what it sent: runs of the day refuse, in red, unless told otherwise; the next day's goes on."""
    repository.run(MORNING, dies_before=LAST_STEP)
    assert len(server.messages) == 1
    green, said = repository.run(LATER)
    assert (green, len(server.messages)) == (False, 1)
    assert "::error::a run of today ended before it could keep what it sent" in said
    green, said = repository.run(NEXT_DAY)
    assert (green, len(server.messages)) == (True, 2), said
    assert "::warning::the run of 2026-06-09 ended before" in said


@needs_tools
def test_its_owner_can_have_it_sent_all_the_same(repository: Repository, server: CollectingServer) -> None:
    """By hand, with `again`, the day's edition is sent after a run that died before it sent anything."""
    repository.run(MORNING, dies_before="Send")
    assert not server.messages
    green, said = repository.run(LATER, again=True)
    assert (green, len(server.messages)) == (True, 1), said


@needs_tools
def test_without_a_place_for_the_state_nothing_is_sent(repository: Repository, server: CollectingServer) -> None:
    """A key that is missing or wrong, a remote that takes nothing or is away: red, before anything is sent."""
    repository.run(MORNING)
    key = repository.secrets["DIGEST_STATE_KEY"]
    for wrong in ("", "another"):
        repository.secrets["DIGEST_STATE_KEY"] = wrong
        assert not repository.run(NEXT_DAY)[0]
    repository.secrets["DIGEST_STATE_KEY"] = key
    repository.stand_in(repository.remote / "hooks" / "pre-receive", "exit 1")
    assert not repository.run(NEXT_DAY)[0]
    (repository.remote / "hooks" / "pre-receive").unlink()
    assert not repository.run(NEXT_DAY, goes_away=True)[0]
    assert len(server.messages) == 1


@needs_tools
def test_a_relay_that_was_down_gets_the_edition_later(repository: Repository, server: CollectingServer) -> None:
    """The run is red and its state is kept; the second run of the day sends the same edition, once."""
    with CollectingServer(answers_554_banner) as down:
        repository.publish(down.port)
        green, said = repository.run(MORNING)
    assert not green, said
    shutil.rmtree(repository.folder / f"work{server.port}")
    repository.publish(server.port)
    green, said = repository.run(LATER)
    assert (green, len(server.messages)) == (True, 1), said
    assert "there is no state yet" not in said


def test_it_asks_for_no_more_than_it_needs() -> None:
    """Actions are pinned by commit; no value of GitHub's is pasted into a script; it may write the repository alone."""
    used = [step["uses"] for step in JOB["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)
    assert not any("${{" in step.get("run", "") for step in JOB["steps"])
    assert WORKFLOW["permissions"] == {"contents": "write"}
    assert WORKFLOW["concurrency"] == {"group": "digest", "cancel-in-progress": False}
    for entry in WORKFLOW[True]["schedule"]:  # YAML 1.1 takes `on` for true
        read_schedule(entry["cron"].replace("1-5", "mon-fri"), "UTC")
