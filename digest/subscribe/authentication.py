"""Whether a message is from whom it says, by the word of the mail server that received it.

That server writes what it found into Authentication-Results (RFC 8601). Anybody can write such a field into a message
before it is sent, so three things are asked of it:

- It begins with the `authserv_id` of the config. A server must take out what others wrote in its name (section 5).
- It stands above everything that another host wrote: fields are put on top, and each host begins with a Received.
  Only the first group that names the server counts, in case it took nothing out.
- DMARC passed there (RFC 7489), for the domain in From, and no other result of it says otherwise. SPF or DKIM alone are
  not asked: whether they fit the domain in From is what DMARC finds out, with the list of public suffixes.

It vouches for the domain, and leaves who may write as whom within it to the domain's own servers.

Pure. `mailroom/answering.py` calls this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.message import Message

_RESULTS, _RECEIVED = "authentication-results", "received"
_BY = re.compile(r"\bby\s+([A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9_-]*)(?![\w.:-])", re.I)
"""The host that wrote a Received; addresses in its place are a server's own network, as at Gmail."""
_INSIDE = (".internal", ".local", ".localdomain", ".lan")
"""Names that no other network has, like those without a dot."""


def is_authentic(message: Message, authserv_id: str, domain: str) -> bool:
    """Whether the server called `authserv_id` says that the message is from `domain`. No header makes it fail."""
    if not authserv_id:
        return False
    found = list(_dmarc(_own_results(message, authserv_id.lower())))
    return bool(found) and all(result == "pass" and of <= {domain.lower()} for result, of in found)


def _own_results(message: Message, authserv_id: str) -> Sequence[str]:
    """The results of the first group of fields, between two Received, in which there are the server's own."""
    group: list[str] = []
    for name, value in message.items():
        if name.lower() == _RECEIVED:
            if group or not _is_near(str(value), authserv_id):
                break
        elif name.lower() == _RESULTS:
            text = _bare(str(value))
            server, _, results = (text or "").partition(";")
            if server.split() and server.split()[0].lower() == authserv_id:
                group.append(results)
    return group


def _is_near(received: str, authserv_id: str) -> bool:
    """Whether a Received was written by the server or a host of the same domain, as far as it says."""
    if (text := _bare(received)) is None:
        return False
    by = _BY.search(text)
    host, home = by[1].lower() if by else "", authserv_id.partition(".")[2]
    home = home if "." in home else authserv_id
    is_inside = "." not in host or host.endswith(_INSIDE)
    return is_inside or host in (authserv_id, home) or host.endswith(f".{home}")


def _dmarc(groups: Sequence[str]) -> Iterator[tuple[str, set[str]]]:
    """Each result of DMARC, and the domains for which it says that it is."""
    for results in groups:
        for result in results.split(";"):
            if found := re.match(r"\s*dmarc\s*(?:/\s*\d+\s*)?=\s*([a-z]+)\b", result, re.I):
                of = re.findall(r"\bheader\.from\s*=\s*(?:[^\s@]{0,500}@)?([^\s;]+)", result, re.I)
                yield found[1].lower(), {domain.lower().rstrip(".") for domain in of}


def _bare(value: str) -> str | None:
    """The value without comments; quoted strings are one letter each. None where it is not well-formed.

    Senders choose some of what is quoted: it must not be read as a result.
    """
    kept: list[str] = []
    depth, is_quoted, is_escaped = 0, False, False
    for char in value:
        if is_escaped:
            is_escaped = False
        elif char == "\\" and (depth or is_quoted):
            is_escaped = True
        elif is_quoted:
            is_quoted = char != '"'
        elif char == '"' and not depth:
            is_quoted = True
            kept.append("q")
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth < 0:
                return None
            kept.append(" ")
        elif not depth:
            kept.append(char)
    return None if depth or is_quoted else "".join(kept)
