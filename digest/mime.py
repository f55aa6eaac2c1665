"""A message from outside, read in time that grows with its length: `email`, with an end to how long a field may be.

Called by whoever reads what strangers send, `send/bounces.py`, `subscribe/commands.py` and `incoming.py`; pure. The
library takes quadratic time for the parameters of a field: 2 MB of semicolons would be minutes. So would 2 MB of short
lines deep within each other's parts: it compares each line with the boundary of every part around it.
"""

from __future__ import annotations

import codecs
import re
from email import message_from_bytes
from email.message import Message
from email.policy import Compat32
from itertools import islice

LONGEST = 16 * 1024
"""Characters of a field, of the message or of any part of it; the rest of a longer one is cut off."""
TEXT_LENGTH = 64 * 1024
"""Octets of what a part says; what matters stands at the beginning of it."""
MULTIPARTS = 20
"""In one message; what begins with the next one is cut off. What people and mail systems write has some five."""
_MULTIPART = re.compile(rb"multipart/", re.IGNORECASE)


class _Bounded(Compat32):
    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:LONGEST]


BOUNDED = _Bounded()
"""What `email`'s parsers are to be given."""


def parsed(raw: bytes, kind: type[Message] = Message) -> Message:
    """The message; raises whatever the library does, a dozen kinds of error."""
    one_more = next(islice(_MULTIPART.finditer(raw), MULTIPARTS, None), None)
    return message_from_bytes(raw[: one_more.start()] if one_more else raw, _class=kind, policy=BOUNDED)


def text_of(part: Message) -> str:
    """What a part says at its beginning; empty for one of parts. What is in no charset of mail is UTF-8.

    Cut before it is text, as two octets of uuencode can stand for sixty. Of punycode, which is for names of hosts, even
    as much would take a second for each part.
    """
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    data = data[:TEXT_LENGTH]
    try:
        charset = codecs.lookup(part.get_content_charset("utf-8")).name
        return data.decode("utf-8" if charset == "punycode" else charset, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
