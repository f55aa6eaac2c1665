"""Whether a record says of its own paper that it has been withdrawn or retracted.

Pure: texts in, yes or no out; no source and no wording of ours. Called by the source modules for every paper they read.
There is no field for it anywhere. arXiv keeps a withdrawn paper's record and lets its author say so in the comment or
in the abstract (https://info.arxiv.org/help/withdraw.html); bioRxiv, medRxiv and Elsevier put `WITHDRAWN:`, publishers
`RETRACTED:` before the title (https://www.elsevier.com/about/policies-and-standards/article-withdrawal).

Only a statement about this paper counts. Drugs and bids are withdrawn too, and so are earlier versions, other papers
and submissions to conferences, of which authors tell in the same words. A paper withdrawn in favour of another one is
withdrawn: the other one is what is to be read. A retraction notice is a paper of its own, and not withdrawn.
"""

from __future__ import annotations

import re

_HINT = re.compile("withdr|retract|remov", re.I)
"""Without it there is no statement, and nearly all papers are without it."""
_NOUN = r"(?:paper|article|manuscript|submission|(?:pre-?|e-?)print|document|work|note|report|letter|comment)(?:\(s\))?"
_GONE = r"(?:withdrawn|retracted)"
_NOT_FROM_HERE = (
    r"(?!(?:\s+by\s+(?:the\s+|its\s+)?\w+)?\s+from\s+(?!(?:the\s+)?arxiv|publication|the\s+(?:server|archive)))"
)
"""Withdrawn from a conference or a journal is not withdrawn here."""
_BE = r"(?:(?:has|have|had)\s+(?:now\s+)?been|is|was)\s+(?:(?:now|hereby|temporarily|administratively|being)\s+)*"
_DONE = rf"{_BE}{_GONE}\b{_NOT_FROM_HERE}"
_SUBJECT = (
    r"(?:(?:this|the\s+(?:current|present|latest)|current|present|latest)\s+version\s+of\s+)?"
    r"(?:(?:this|the|our|present|current)\s+)?(?:(?:present|current|above|entire|whole|conference|arxiv)\s+)?"
    rf"(?:{_NOUN}|(?:this|(?:current|present|latest))\s+version)"
)
_ASIDE = r"(?:\s*\([^()]{1,200}\)|,[^,;]{1,120},)?"
_SAID = (
    rf"(?:(?:the\s+)?full\s+text\s+of\s+)?(?<!\w){_SUBJECT}{_ASIDE}\s+(?:{_DONE}|{_GONE}\b{_NOT_FROM_HERE})"
    rf"|(?<!\w)(?:(?:the\s+)?authors?(?:\(s\))?|we|I)\s+(?:(?:has|have)\s+withdrawn|withdraws?|withdrew|retract(?:ed|s)?)"
    rf"\s+(?:this|the|their|our|my|his|her)\s+{_NOUN}{_NOT_FROM_HERE}"
)
_WHY = (
    r"(?=\s*(?:$|[.;:,()!\]–—]|(?:by|due|because|since|as|owing|with|until|pending|following)\b|(?:to|in\s+order\s+to)\s+be\b"
    r"|in\s+(?:order|view|favou?r)\b|for\s+(?!the\s+(?:conference|journal))|at\s+the\b|from\s+(?:the\s+)?arxiv\b))"
)
_CURT = rf"(?:(?:temporarily|administratively)\s+)?{_GONE}\b{_NOT_FROM_HERE}{_WHY}"
"""`Withdrawn.`, `withdrawn due to an error`: a clause without a subject, which only a comment can be."""

_OPENING = r"(?:^|(?<=[.!?;:\])])\s*|(?<=[.!?;:\])]\s))"
_SO = r"(?:(?:accordingly|therefore|hence|thus|consequently|unfortunately),?\s+)?"
_IN_ABSTRACT = re.compile(rf"{_OPENING}{_SO}(?:{_SAID}|it\s+{_DONE})", re.I)
_ABSTRACT_ITSELF = re.compile(rf"\W*(?:{_CURT}|withdrawal\s+statement\b)", re.I)
_IN_COMMENT = re.compile(rf"{_SAID}|\bit\s+{_DONE}|(?:^|[.;:,)\]]|\W[-–—]\s)\s*\W?{_CURT}", re.I)

_OTHERS = re.compile(
    r"\b(?:previous|earlier|prior|old|older|first|original|initial|preliminary|v\d+|version\s+\d+|part|section|companion)\b"
    r"[^.,;]*$|\b(?:of|in|from|to|than|if|whether|after|before|when|until|not)\s*$",
    re.I,
)
"""What stands before a statement that is not about this paper as a whole, or not a statement."""
_BACK_AGAIN = re.compile(
    r"\breinstated\b|\bno\s+longer\s+withdrawn\b|\bwithdrawal\s+(?:was|has\s+been)\s+(?:revoked|reversed)", re.I
)

_IN_TITLE = re.compile(
    rf"\W*(?:{_GONE}(?:\s+(?:{_NOUN}|chapter))?\s*(?:$|[:\])–—|])|(?-i:REMOVED|TEMPORARY REMOVAL)\s*:)"
    rf"|.*[\[(]\s*(?:{_NOUN}\s+)?{_GONE}\s*[\])]\W*$",
    re.I | re.DOTALL,
)
_NOTICE = re.compile(
    r"\W*(?:(?:notice|statement)\s+of\s+)?(?:retraction|withdrawal|corrigendum|correction|erratum|addendum"
    r"|expression\s+of\s+concern)\b(?:\s+(?:note|notice|statement|to|of|for|article)\b|\s*[:\]\-–—]|\s*$)",
    re.I,
)


def is_withdrawn(title: str, abstract: str, comment: str | None) -> bool:
    """Say whether a record marks its own paper as withdrawn or retracted; a notice about another paper does not."""
    if not any(_HINT.search(text) for text in (title, abstract, comment or "")):
        return False
    title = " ".join(title.split())
    if _NOTICE.match(title):
        return False
    if _IN_TITLE.match(title) or _states(_IN_ABSTRACT, title):
        return True
    abstract = " ".join(abstract.split())
    comment = " ".join((comment or "").split())
    if _BACK_AGAIN.search(comment):
        return False
    if _states(_IN_COMMENT, comment):
        return True
    return bool(_ABSTRACT_ITSELF.match(abstract)) or _states(_IN_ABSTRACT, abstract)


def _states(statement: re.Pattern[str], text: str) -> bool:
    """Find a statement in `text` that is about this paper."""
    return any(not _OTHERS.search(text[max(0, m.start() - 80) : m.start()]) for m in statement.finditer(text))
