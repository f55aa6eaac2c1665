"""`.ci/audit`: a flaw fails it, no answer does not and is not taken for a good one. A stand-in speaks for pip-audit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")


def audited(folder: Path, prints: str, code: int = 0, says: str = "") -> tuple[int, str, str]:
    """What `.ci/audit` does where pip-audit prints this: exit code, standard output and standard error."""
    program = folder / "pip-audit"
    told = f"import sys\nprint({prints!r})\nsys.stderr.write({says!r})\n"
    told += f"sys.exit({code} if '--format=json' in sys.argv else 2)\n"
    program.write_text(f"#!{sys.executable}\n{told}")
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit")],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def report(*packages: dict[str, Any]) -> str:
    """In the form of pip-audit 2.9 and 2.10."""
    return json.dumps({"dependencies": packages, "fixes": []})


def sound(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": []}


def skipped(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name} (1.0)"}


FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["1.1", "2.0"], "aliases": ["CVE-2026-1"], "description": "It leaks."}
UNMENDED = {"id": "GHSA-xxxx", "fix_versions": [], "aliases": [], "description": "It leaks."}


def test_a_known_flaw_fails_and_is_named(tmp_path: Path) -> None:
    """Package, version, the flaw's name and where it is mended; each of several, beside packages that are sound."""
    flawed = {"name": "leaky", "version": "1.0", "vulns": [FLAW, UNMENDED]}
    says = "Found 2 known vulnerabilities in 1 package\n"
    assert audited(tmp_path, report(sound("good"), flawed), 1, says) == (
        1,
        "leaky 1.0: PYSEC-2026-1, mended in 1.1, 2.0\nleaky 1.0: GHSA-xxxx, mended in none\n2 of 2 packages audited\n",
        "",
    )


def test_what_is_sound_is_counted(tmp_path: Path) -> None:
    """Nothing is left out, and nothing said on standard error."""
    says = "No known vulnerabilities found\n"
    assert audited(tmp_path, report(sound("one"), sound("two")), 0, says) == (0, "2 of 2 packages audited\n", "")


@pytest.mark.parametrize(
    ("prints", "code", "says"),
    [
        (report(skipped("one"), skipped("two")), 0, "No known vulnerabilities found"),
        (report(), 0, "No known vulnerabilities found"),
        ("", 1, "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed"),
        ("", 1, "requests.exceptions.ReadTimeout: Read timed out. (read timeout=10)"),
        ("null", 0, ""),
    ],
)
def test_no_answer_is_no_good_one_and_no_failure(tmp_path: Path, prints: str, code: int, says: str) -> None:
    """A service that knows no package, or cannot be reached: it says so, counts nothing, and exits with 0."""
    exit_code, out, err = audited(tmp_path, prints, code, says)
    assert (exit_code, out) == (0, "")
    assert err.startswith("*** NOT AUDITED: ")
    assert says in err


def test_those_without_an_answer_are_named(tmp_path: Path) -> None:
    """Where some packages are answered, the others are not silently left out; a flaw counts beside them."""
    exit_code, out, err = audited(tmp_path, report(sound("one"), skipped("two"), skipped("three")))
    assert (exit_code, out) == (0, "1 of 3 packages audited\n")
    assert err == "*** NOT AUDITED: the vulnerability service gave no answer about two, three\n"
    flawed = {"name": "leaky", "version": "1.0", "vulns": [FLAW]}
    exit_code, _, err = audited(tmp_path, report(flawed, skipped("two")), 1)
    assert exit_code == 1
    assert "about two" in err
