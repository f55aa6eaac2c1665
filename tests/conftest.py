"""Options of the whole test run, and what tests of several files stand on."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import typer.main
from xdist.scheduler import LoadScopeScheduling

from tests.databases import copy_the_first, database, databases

if TYPE_CHECKING:
    from tests.asking import Pages

__all__ = ["THOROUGH", "database", "databases", "examples"]

THOROUGH = bool(os.environ.get("DIGEST_NO_SKIP"))
"""As in `.ci/run`: what is tried at random is tried as often as is promised, else a fifth of that."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has its background jobs ignore Ctrl-C, and so would all programs that tests start: forever, in silence.
    signal.signal(signal.SIGINT, signal.default_int_handler)


hypothesis.settings.register_profile("patient", deadline=None)  # how long an example takes is the machine's
hypothesis.settings.load_profile("patient")
typer.main.get_command = functools.cache(typer.main.get_command)  # it builds all commands anew for each that is run
copy_the_first()


def examples(number: int) -> int:
    """How many examples a slow property is tried with, of `number` in `.ci/run`."""
    return number if THOROUGH else number // 5


LONG = (
    *("e2e/", "test_docs", "test_github_actions", "test_scale", "test_kills", "test_crash", "test_races"),
    *("test_backups", "test_tending", "test_mailroom", "test_simulation", "test_pruning", "test_store_faults"),
)
"""What takes longest: it is begun first, so that no process is left with it at the end."""
APART = "tests/test_docs.py::test_what_a_page_shows_happens["
"""Tests that have nothing in common but their file."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist says nothing of its types
    """Gives each file to one process, since its tests share what takes long to make."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(APART) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """In place of `--dist loadfile`."""
    return ByFile(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores: much of the time a test waits, for a server or for a process that it has started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + cores // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long comes first; else nothing is moved."""
    items.sort(key=lambda item: not item.nodeid.removeprefix("tests/").startswith(LONG))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With DIGEST_NO_SKIP=1, as in `.ci/run`, a skipped test has failed: everything it needs should be there."""
    report = yield
    if report.skipped and THOROUGH and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names the files with a test that was skipped to `.ci/run`, which then runs them where none is."""
    if names := os.environ.get("DIGEST_SKIPPED"):
        files = {report.nodeid.partition("::")[0] for report in terminalreporter.stats.get("skipped", ())}
        Path(names).write_text("".join(f"{file}\n" for file in sorted(files)), encoding="utf-8")


@pytest.fixture(autouse=True)
def _nothing_was_told_before() -> None:
    """What is damaged is told of once in a process."""
    from digest.store import damaged

    damaged.told.clear()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Pages for tests that change nothing."""
    from tests.asking import Pages

    pages = Pages(tmp_path_factory.mktemp("pages"))
    with pages.hall:
        yield pages


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """Pages of a test's own."""
    from tests.asking import Pages

    made = Pages(tmp_path)
    with made.hall:
        yield made
