"""A message from outside, parsed in time that grows with its length: `email`, with an end to how long a field may be.

Called by whoever reads what strangers send, `send/bounces.py` and `subscribe/commands.py`; pure. The library takes
quadratic time for the parameters of a field: 2 MB of semicolons would be minutes.
"""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from email.policy import Compat32

LONGEST = 16 * 1024
"""Characters of a field, of the message or of any part of it; the rest of a longer one is cut off."""


class _Bounded(Compat32):
    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:LONGEST]


BOUNDED = _Bounded()
"""What `email`'s parsers are to be given."""


def parsed(raw: bytes, kind: type[Message] = Message) -> Message:
    """The message; raises whatever the library does, a dozen kinds of error."""
    return message_from_bytes(raw, _class=kind, policy=BOUNDED)
