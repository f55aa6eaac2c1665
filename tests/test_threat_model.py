"""The threat model names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_proof_that_the_threat_model_names_exists() -> None:
    """A test that was renamed or taken away leaves no claim behind."""
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text("utf-8"))
    assert len(named) > 10
    missing = [n for file, n in named if f"def {n}(" not in (ROOT / "tests" / file).read_text("utf-8")]
    assert missing == []
