"""A small list on disk, over the demo's invented feeds, for tests that go the whole way."""

from __future__ import annotations

from pathlib import Path

import digest.demo

FEEDS = Path(digest.demo.__file__).parent / "feeds"
DAY_ONE = "2026-06-09T06:00:00+00:00"
DAY_TWO = "2026-06-10T06:00:00+00:00"

CONFIG = """\
[list]
id = "lab"
name = "Lab"
from = "Lab <digest@example.org>"
papers = 3

[[sources]]
kind = "arxiv"
categories = ["cs.CV"]
url = "{feeds}/arxiv"

[[sources]]
kind = "huggingface"
url = "{feeds}/huggingface"

[topics.video]
text = "diffusion models that generate video"
keywords = ["text-to-video"]

[topics.proteins]
text = "protein design with language models"
keywords = ["protein"]
"""

READER = """
[[subscribers]]
email = "{address}"
topics = ["{topic}"]
"""

SMTP = """
[smtp]
host = "127.0.0.1"
port = {port}
security = "none"
connections = {connections}
"""


def write_list(
    folder: Path, readers: int = 2, *, extra: str = "", port: int | None = None, connections: int = 1
) -> Path:
    """A config file in `folder` with so many readers, alternating between two topics; to a Maildir without a port."""
    text = CONFIG.format(feeds=FEEDS.as_posix())
    for n in range(readers):
        text += READER.format(address=f"reader{n}@example.org", topic=("video", "proteins")[n % 2])
    if port is not None:
        text += SMTP.format(port=port, connections=connections)
    path = folder / "config.toml"
    path.write_text(text + extra, encoding="utf-8")
    return path
