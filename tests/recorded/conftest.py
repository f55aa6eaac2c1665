"""Finds the recorded real feeds; a test that needs them skips, with the reason, where they are absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded feeds: `$DIGEST_RECORDED`, else `../shared/data` beside the project."""
    folder = Path(os.environ.get("DIGEST_RECORDED", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"recorded feeds not found in {folder}: set DIGEST_RECORDED to their folder")
    return folder
