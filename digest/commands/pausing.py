"""`digest pause` and `digest resume`: a list sends nothing, until somebody says so.

Each function shows what it does and returns the exit code. Called by `cli/`.
"""

from __future__ import annotations

import getpass
import socket
from datetime import datetime

from digest.app import App
from digest.commands.restoring import Since, answer, asks
from digest.console import Terminal, pause_json
from digest.dispatch.among_workers import sender_of
from digest.errors import DONE, NOTHING, ConfigError
from digest.holding import paused_line
from digest.logs import Event, tell
from digest.model import Pause


def pause(terminal: Terminal, app: App, reason: str, now: datetime) -> int:
    """Pauses the list; a pause that it has already is kept."""
    held = app.pauses.begin(Pause(now, _who(), reason))
    tell(Event.LIST_PAUSED, list=app.list.id, reason=held.reason)
    terminal.say(f"  {paused_line(app.list.id, held)}")
    terminal.emit({"list": app.list.id, "paused": pause_json(held)})
    return DONE


def resume(terminal: Terminal, app: App, since: Since | None, now: datetime) -> int:
    """Ends the list's pause; nothing is sent yet.

    Raises ConfigError where `since` has to be said, and is not; also where it is said in vain, by somebody who expects
    that what was sent is not sent again.
    """
    held = app.pauses.current()
    if asks(held):
        answer(terminal, app, since, now)
    elif held and since:
        raise ConfigError(
            f"{app.list.id}: --{since.value} answers what `digest restore` asks, and the pause is by {held.by}: it "
            f"goes on; `digest resume {app.list.id}` ends it, and what is new comes with the next edition"
        )
    ended = app.pauses.end()
    if ended:
        tell(Event.LIST_RESUMED, list=app.list.id)
        terminal.say(f"  resumed; it was paused since {ended.since:%Y-%m-%d %H:%M} UTC")
        terminal.say(f"  `digest send` sends what is due, and so does `digest {sender_of(app.config.store_url)}`")
    else:
        terminal.say("  it is not paused")
    terminal.emit({"list": app.list.id, "paused": None, "was_paused": pause_json(ended)})
    return DONE if ended else NOTHING


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container, or a service of Windows, may have no name for its user
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
