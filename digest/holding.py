"""What keeps a list from sending for now although nothing is wrong: somebody has paused it, or its hours are over.

`app` asks before a send, and has it watched while one is under way, so that a pause by another process counts at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from digest.errors import StoreError
from digest.model import MailingList, Pause
from digest.schedule import SendWindow, window_of
from digest.store import Pauses
from digest.store.pauses import RESTORE

LOOK_EVERY = timedelta(seconds=2)
"""How often it is looked whether somebody has paused the list."""


def paused_line(list_id: str, pause: Pause) -> str:
    """The pause for a person, and how it ends."""
    reason = f": {pause.reason}" if pause.reason else ""
    how = " --sent` or `--unsent`" if pause.by == RESTORE else "`"
    return f"paused since {pause.since:%Y-%m-%d %H:%M} UTC by {pause.by}{reason}; `digest resume {list_id}{how} ends it"


def closed_line(window: SendWindow | None, now: datetime) -> str | None:
    """When the window opens, for a person; None while it is open."""
    opens = window.at(now)[0] if window else None
    return f"`send_window` opens on {opens:%A %Y-%m-%d at %H:%M %Z}" if opens and opens.astimezone(UTC) > now else None


class Hold:
    """One list's reasons not to send."""

    def __init__(self, mailing_list: MailingList, pauses: Pauses, now: Callable[[], datetime]):
        self._list = mailing_list
        self._pauses = pauses
        self._now = now
        self._window = window_of(mailing_list)

    def pause(self) -> str | None:
        """Who has paused the list, and why."""
        pause = self._pauses.current()
        return paused_line(self._list.id, pause) if pause else None

    def reason(self) -> str | None:
        """Why nothing may leave now."""
        return self._reason(self._now())

    async def wait(self) -> str:
        """Returns as soon as something keeps the list from sending, with what that is.

        A store that does not answer says nothing of that; nothing leaves without it either.
        """
        while True:
            now = self._now()
            with contextlib.suppress(StoreError):
                if reason := await asyncio.to_thread(self._reason, now):
                    return reason
            closes = self._window.at(now)[1].astimezone(UTC) if self._window else now + LOOK_EVERY
            await asyncio.sleep(min(closes - now, LOOK_EVERY).total_seconds())

    def _reason(self, now: datetime) -> str | None:
        return self.pause() or closed_line(self._window, now)
