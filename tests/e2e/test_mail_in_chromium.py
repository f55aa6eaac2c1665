"""Every theme's emails in real Chromium: at three widths, light and dark, read by a script for what is in the way.

The script is `look.js`. It sees the computed colours, so that it judges what the style sheets come to in the end, dark
mode included. Pictures stand in for those that a paper has: nothing is fetched.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.editions import samples
from tests.e2e.test_browser import browse

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).with_name("look.js")
WIDTHS = (320, 375, 700)
PICTURE = "data:image/svg+xml," + "%3Csvg xmlns='http://www.w3.org/2000/svg' width='1600' height='900'/%3E"
SCHEMES = {"light": "--blink-settings=preferredColorScheme=1", "dark": "--blink-settings=preferredColorScheme=0"}
WRONG = """<!DOCTYPE html><html><head><style>
@media (prefers-color-scheme: dark) {
  body { background-color: #333333 !important } h1, h3, td { color: #ffffff }
}
</style></head><body style="background-color: #ffffff"><h1>One</h1><h3>Three</h3>
<p class="pale" style="color: #808080">pale by light</p>
<p class="glass" style="background-color: rgba(0, 0, 0, 0.5); color: #ffffff">white on grey glass</p>
<p style="display: none; color: #ffffff">unseen</p>
<img src="data:," alt=" "><a href="https://example.org/"></a>
<table width="500"><tr><td>wide</td></tr></table></body></html>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium")
    if not found:
        pytest.skip("Chromium is not installed (Debian package: chromium)")
    return found


def looked_at(chromium: str, pages: dict[str, str], folder: Path, scheme: str) -> list[dict[str, Any]]:
    """What the script tells of each page in a window of each width."""
    frames = "".join(
        f'<iframe title="{html.escape(name)}" srcdoc="{html.escape(page)}"'
        f' style="width:{width}px;height:800px;border:0"></iframe>'
        for name, page in pages.items()
        for width in WIDTHS
    )
    around = folder / f"{scheme}.html"
    around.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><body>{frames}<pre id=report></pre><script>"
        + SCRIPT.read_text(encoding="utf-8")
        + """onload = () => {
            let told;
            try { told = [...document.querySelectorAll("iframe")].map(look); } catch (error) { told = String(error); }
            const bytes = new TextEncoder().encode(JSON.stringify(told));
            document.getElementById("report").textContent = bytes.toBase64?.() ?? btoa(String.fromCharCode(...bytes));
        }</script>""",
        encoding="utf-8",
    )
    drawn = browse(
        chromium,
        "--dump-dom",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        SCHEMES[scheme],
        around.as_uri(),
    )
    report = re.search(r'<pre id="report">([^<]+)</pre>', drawn)
    assert report, "the script has told nothing"
    told = json.loads(base64.b64decode(report[1]))
    assert isinstance(told, list), told
    return told


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_is_in_the_readers_way(chromium: str, tmp_path: Path, scheme: str) -> None:
    """No scrolling sideways, a contrast of 4.5 and more, headings in order, pictures and links with words."""
    pages = {s.name: re.sub(r'src="https://example\.org/[^"]*"', f'src="{PICTURE}"', s.html) for s in samples()}
    looks = looked_at(chromium, pages, tmp_path, scheme)
    complaints = {f"{look['name']} at {look['width']}": look["complaints"] for look in looks if look["complaints"]}
    assert complaints == {}
    assert [(look["name"], look["width"]) for look in looks] == [(name, w) for name in pages for w in WIDTHS]
    assert {look["dark"] for look in looks} == {scheme == "dark"}
    assert min(look["texts"] for look in looks) > 10
    assert min(look["headings"] for look in looks) >= 4
    assert min(look["links"] for look in looks) >= 1
    full = next(look for look in looks if look["name"] == "full-daily")
    assert full["images"] == 12
    assert full["texts"] > 200


@pytest.mark.parametrize(
    ("scheme", "contrasts"),
    [
        ("light", ["contrast 3.95 of .pale: pale by light", "contrast 3.98 of .glass: white on grey glass"]),
        ("dark", ["contrast 3.20 of .pale: pale by light"]),
    ],
)
def test_the_script_sees_what_is_wrong(chromium: str, tmp_path: Path, scheme: str, contrasts: list[str]) -> None:
    """A page with every one of the faults is complained about, and what nobody sees is not."""
    narrow, *_, wide = looked_at(chromium, {"wrong": WRONG}, tmp_path, scheme)
    others = ['no alt: <img src="data:," alt=" ">', "a link without words: https://example.org/"]
    assert wide["complaints"] == [*others, *contrasts, "h3 after h1: Three"]
    assert narrow["complaints"] == ["508 pixels wide in 320", *wide["complaints"]]
