"""A small list on disk, over the demo's invented feeds, for tests that go the whole way."""

from __future__ import annotations

from collections.abc import Sequence
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
semantic = false

[topics.video]
text = "diffusion models that generate video"
keywords = ["text-to-video"]

[topics.proteins]
text = "protein design with language models"
keywords = ["protein"]
"""

SOURCES = {
    "arxiv": '\n[[sources]]\nkind = "arxiv"\ncategories = ["cs.CV"]\nurl = "{feeds}/arxiv"\n',
    "huggingface": '\n[[sources]]\nkind = "huggingface"\nurl = "{feeds}/huggingface"\n',
}

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
    folder: Path,
    readers: int = 2,
    *,
    extra: str = "",
    port: int | None = None,
    connections: int = 1,
    sources: Sequence[str] = tuple(SOURCES),
) -> Path:
    """A config file in `folder` with so many readers, alternating between two topics; to a Maildir without a port."""
    text = CONFIG + "".join(SOURCES[name].format(feeds=FEEDS.as_posix()) for name in sources)
    for n in range(readers):
        text += READER.format(address=f"reader{n}@example.org", topic=("video", "proteins")[n % 2])
    if port is not None:
        text += SMTP.format(port=port, connections=connections)
    path = folder / "config.toml"
    path.write_text(text + extra, encoding="utf-8")
    return path
