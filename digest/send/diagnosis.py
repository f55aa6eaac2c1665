"""What a failed delivery says of its address: a pure function from a status code and a server's words to a kind.

Of a bounce, `bounces.py` finds the code and the words; here they are judged. Whom a wrong judgement hurts decides the
doubtful cases: a soft bounce too many costs nobody a message, a hard bounce too many costs a reader her list.

| code (RFC 3463, IANA's registry)      | kind   | because                                                          |
|---------------------------------------|--------|------------------------------------------------------------------|
| 5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10    | hard   | no such mailbox, domain or spelling; moved; null MX              |
| 5.2.1                                 | hard   | mailbox disabled; but soft if the words speak of a rate          |
| X.7.Z                                 | policy | security and policy: blocked, not authenticated, too many        |
| X.1.7, X.1.8                          | policy | our sender address                                               |
| X.6.Z                                 | policy | this message's content or form                                   |
| 4.Y.Z                                 | soft   | given up after long trying                                       |
| 5.2.2, 5.2.3, 5.3.Z, 5.4.Z and others | soft   | full, too large for it, trouble of a server or of the way to it  |
| none, X.0.Z, X.Y.0                    | -      | the words decide: of policy: policy; of nobody there: hard (not  |
|                                       |        | with 4.Y.Z); else soft                                           |

Policy does not count against the address: a domain that takes us for spam refuses all its readers, and within a week
they would all be gone. A bounce has two codes at most, the report's own and that in the server's words; the first that
says something counts, for gateways fill in 5.0.0 above "550 5.1.1 User unknown". Words are looked at without addresses
and links: `blocked@example.org` is not blocked, and Gmail's link to help is called NoSuchUser.
"""

from __future__ import annotations

import re

from digest.model import BounceKind

_CODE = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)", re.ASCII)
_NOT_WORDS = re.compile(r"https?://\S+|<?[^\s<>,;:]+@[^\s<>]+>?")
_NO_SUCH_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
_DISABLED = "5.2.1"
_OUR_SENDER = ("1.7", "1.8")
_RATE = re.compile(r"\brate\b|too many|too quickly", re.I)
_OF_POLICY = re.compile(
    r"spam|black ?list|block ?list|\bblocked\b|reputation|dmarc|dkim|\bspf\b|\brbl\b|dnsbl|policy|access denied"
    r"|content rejected|virus|ofr_\d",
    re.I,
)
_OF_NOBODY = re.compile(
    r"(user|recipient|mailbox|address|account)\b.{0,30}?\b(unknown|not found|invalid|disabled|does ?n[o']?t exist)"
    r"|(unknown|invalid|no such) (local )?(user|recipient|mailbox|address|account|person)"
    r"|(does ?n[o']?t|does not) have an? .{1,40}? account|no mailbox here by that name|not a valid recipient"
    r"|account (has been|is) (closed|deleted|disabled)|no longer (exists|valid|with us|works)|not our customer",
    re.I,
)


_MOST_WORDS = 4000
"""Characters of a server's words that are looked at: more is no reply."""


def codes_in(text: str) -> list[str]:
    """The enhanced status codes in a text, in order, without leading zeros."""
    return [".".join(str(int(part)) for part in found.groups()) for found in _CODE.finditer(text)]


def telling_code(status: str, words: str) -> str:
    """The code that says most: the report's own, else that in the server's words; empty without any."""
    found = codes_in(status[:_MOST_WORDS])[:1] + codes_in(_words(words))[:1]
    return next((code for code in found if not _says_nothing(code)), found[0] if found else "")


def judge(code: str, words: str) -> BounceKind:
    """What a failure says of the address. `code` is `X.Y.Z` or empty, `words` the server's, in any form."""
    words = _words(words)
    category, _, detail = code.partition(".")
    if code in _NO_SUCH_MAILBOX:
        return BounceKind.HARD
    if code == _DISABLED:
        return BounceKind.SOFT if _RATE.search(words) else BounceKind.HARD
    if detail.startswith(("7.", "6.")) or detail in _OUR_SENDER:
        return BounceKind.POLICY
    if not _says_nothing(code):
        return BounceKind.SOFT
    if _OF_POLICY.search(words):
        return BounceKind.POLICY
    return BounceKind.HARD if category != "4" and _OF_NOBODY.search(words) else BounceKind.SOFT


def _words(text: str) -> str:
    return _NOT_WORDS.sub(" ", " ".join(text[:_MOST_WORDS].split()))


def _says_nothing(code: str) -> bool:
    """Whether it is only good or bad: subject or detail are "other or undefined"; but any X.7.Z is about policy."""
    return not code or (".0" in code and not code[1:].startswith(".7."))
