"""Hears at once that a mailbox has new mail, where its server offers IDLE (RFC 2177).

What is new is not read here. Whoever asked to be told reads, and does so every few minutes as well: a server without
IDLE, or a connection that has died unnoticed, costs minutes and loses nothing. Called by `postbox.py`.

`imaplib` learned IDLE with Python 3.14 only. imap-tools or aioimaplib would be a second IMAP client beside that of
`mailbox.py`, for one command of two lines.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from digest.errors import MailboxError
from digest.model import Inbox
from digest.subscribe.mailbox import Mailbox

log = logging.getLogger("digest.mailbox")

RENEWED_AFTER = 10 * 60.0
"""Seconds of one wait: servers may end it after 30 minutes, and routers forget a silent connection sooner."""
PAUSE, LONG_PAUSE = 5.0, 5 * 60.0
"""Seconds before the next connection: after one that ended, and after one that could not be made."""


class Watch:
    """A thread that calls `on_news`, from there, when there may be new mail. Never raises."""

    def __init__(self, inbox: Inbox, on_news: Callable[[], None]):
        self._inbox = inbox
        self._on_news = on_news
        self._closed = threading.Event()
        self._mailbox: Mailbox | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {inbox.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it at once, whatever it waits for."""
        self._closed.set()
        if self._mailbox:
            self._mailbox.interrupt()

    def _run(self) -> None:
        while not self._closed.is_set():
            pause = PAUSE
            try:
                with Mailbox(self._inbox) as self._mailbox:
                    if not self._closed.is_set() and not self._mailbox.wait(RENEWED_AFTER, self._on_news):
                        log.info("a mailbox's server does not offer IDLE: it is read every few minutes")
                        return
            except MailboxError as error:  # whoever reads the mailbox tells of it
                log.debug("cannot be watched: %s", error)
                pause = LONG_PAUSE
            self._closed.wait(pause)
