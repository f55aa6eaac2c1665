"""The email as a person sees it: in real Chromium, wide, narrow and dark; and the README's picture."""

from __future__ import annotations

import html
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.test_cli import run

pytestmark = pytest.mark.system

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "email.png"
WIDTH, HEIGHT = 760, 1180
LARGEST = 200_000
"""Bytes that the README's picture may have."""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium")
    if not found:
        pytest.skip("Chromium is not installed (Debian package: chromium)")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reader's first email of the demo."""
    out = tmp_path_factory.mktemp("demo")
    assert run("demo", "--out", str(out)).returncode == 0
    return out / "inbox" / "2026-06-09" / "amara@example.org.html"


def browse(chromium: str, *arguments: str) -> str:
    """Runs Chromium headless, with no network, and returns what it printed."""
    with tempfile.TemporaryDirectory() as profile:
        answer = subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    return answer.stdout


def screenshot(chromium: str, page: Path, to: Path, *arguments: str) -> bytes:
    browse(chromium, f"--screenshot={to}", f"--window-size={WIDTH},{HEIGHT}", *arguments, page.as_uri())
    return to.read_bytes()


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height, from the header chunk (PNG specification, section 11.2.1)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_the_readmes_picture_is_the_demos_email(chromium: str, page: Path, tmp_path: Path) -> None:
    """The committed picture has the size of a fresh one and is small; DIGEST_REGENERATE=1 takes it anew."""
    fresh = screenshot(chromium, page, tmp_path / "email.png")
    if os.environ.get("DIGEST_REGENERATE"):
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_bytes(fresh)
    kept = PICTURE.read_bytes()
    assert size_of(kept) == size_of(fresh) == (WIDTH, HEIGHT)
    assert len(kept) <= LARGEST
    assert len(fresh) > 20_000, "an empty page is smaller than that"


def test_dark_is_dark(chromium: str, page: Path, tmp_path: Path) -> None:
    """A reader who prefers dark gets another picture than one who prefers light."""
    light = screenshot(chromium, page, tmp_path / "light.png")
    dark = screenshot(chromium, page, tmp_path / "dark.png", "--blink-settings=preferredColorScheme=0")
    assert light != dark


@pytest.mark.parametrize("width", [320, 375, 700])
def test_nothing_scrolls_sideways(chromium: str, page: Path, tmp_path: Path, width: int) -> None:
    """In a window of that width no content is wider than the window."""
    frame, content = tmp_path / "frame.html", html.escape(page.read_text(encoding="utf-8"))
    frame.write_text(
        f'<iframe id="f" style="width:{width}px;height:800px;border:0" srcdoc="{content}">'
        "</iframe><script>onload = () => {"
        " document.title = f.contentDocument.documentElement.scrollWidth + ' of ' + f.contentWindow.innerWidth"
        "}</script>",
        encoding="utf-8",
    )
    drawn = browse(chromium, "--dump-dom", "--virtual-time-budget=5000", frame.as_uri())
    assert f"<title>{width} of {width}</title>" in drawn
