"""Options of the whole test run, and what tests of several files stand on."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.databases import database, databases

if TYPE_CHECKING:
    from tests.asking import Pages

__all__ = ["THOROUGH", "database", "databases", "examples"]

THOROUGH = bool(os.environ.get("DIGEST_NO_SKIP"))
"""As in `.ci/run`: what is tried at random is tried as often as is promised, else a fifth of that."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has its background jobs ignore Ctrl-C, and so would all programs that tests start: forever, in silence.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def examples(number: int) -> int:
    """How many examples a slow property is tried with, of `number` in `.ci/run`."""
    return number if THOROUGH else number // 5


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With DIGEST_NO_SKIP=1, as in `.ci/run`, a skipped test has failed: everything it needs should be there."""
    report = yield
    if report.skipped and THOROUGH and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


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
