"""One pull of a list: every source asked, with what the list's earlier pulls know.

Called by `app.py`, which says what is kept of it. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from digest.model import SourceReport, Window
from digest.pull import pull
from digest.pull.http import CONTACT, Fetcher
from digest.settings import ListConfig
from digest.store import Papers

REMEMBERED = timedelta(days=14)
"""How long before the window a source's papers are still told to it as known: by them it notices a feed that repeats."""


async def gather(
    config: ListConfig,
    papers: Papers,
    window: Window,
    now: datetime,
    on_report: Callable[[SourceReport], object] | None,
) -> tuple[SourceReport, ...]:
    """Ask every source. A failure is in its report; raises nothing of its own."""
    how = config.pulling
    begins = window.since or now - timedelta(days=window.first_days)
    async with Fetcher(contact=how.contact or CONTACT) as fetcher:
        return await pull(
            config.sources,
            window,
            fetcher,
            now=now,
            known=papers.announced(config.mailing_list.id, begins - REMEMBERED),
            contact=how.contact or "",
            api_keys=how.api_keys,
            on_report=on_report,
        )
