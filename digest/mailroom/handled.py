"""What became of a message in the mailbox: `reading.py` and `answering.py` make it, `commands/receiving.py` shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from digest.model import Address, Bounce, ListId, Position
from digest.send.bounces import Reading


class Fate(StrEnum):
    """What became of a message."""

    COUNTED = "counted"
    REPEATED = "repeated"
    """A bounce that was counted before, or a command that was dealt with."""
    UNPROVED = "unproved"
    """A bounce or complaint without anything that only we can have written: forged, or of mail without our tag."""
    DELAYED = "delayed"
    DELIVERED = "delivered"
    NOTICE = "notice"
    """About one of our deliveries, and nothing that we know what to do with."""
    AUTO_REPLY = "auto-reply"
    DONE = "done"
    """A command or a vote, proved to be a member's."""
    ASKED = "asked"
    """A command without proof: the address is asked to confirm it."""
    ANSWERED = "answered"
    """A command that changes nothing, or none that is understood: a letter tells."""
    LIMITED = "limited"
    """A command without proof, of an address that has been written to within the hour."""
    NOT_OURS = "not ours"
    UNREADABLE = "unreadable"
    """The server could not give it."""

    @property
    def is_done(self) -> bool:
        """Whether nobody has to look at the message any more."""
        return self in _DONE

    @property
    def is_a_commands(self) -> bool:
        """Whether the message was a command or a vote."""
        return self in _COMMANDS


_COMMANDS = frozenset({Fate.DONE, Fate.ASKED, Fate.ANSWERED, Fate.LIMITED})
_DONE = _COMMANDS | {Fate.COUNTED, Fate.REPEATED, Fate.DELAYED, Fate.DELIVERED}


@dataclass(frozen=True, slots=True)
class Handled:
    """One message and what became of it. `bounce` and `suppressed` are set where it was counted, now or before."""

    uid: int
    fate: Fate
    reading: Reading | None = None
    list_id: ListId | None = None
    bounce: Bounce | None = None
    address: Address | None = None
    suppressed: bool = False
    told: str = ""
    """Of a command: what it was, and what was done."""


Take = Callable[[Position, bytes], Handled | None]
"""Takes the messages that it knows: where the message is, and its bytes. None: it is somebody else's."""
