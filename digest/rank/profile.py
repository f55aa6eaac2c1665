"""A profile made ready for ranking: topics as words and phrases, votes in order, names comparable.

Pure; called by `relevance`.

Names compare without case, accents, hyphens and full stops; "Brooks, Tim" is "Tim Brooks". First and last name must
be equal in full. A middle name may be shortened to its initial, and an initial in the middle may be missing.
"T. Brooks" in a profile means every Brooks whose first name starts with T; but "T. Brooks" on a paper is not taken for
the followed "Tim Brooks", since a wrong "by Tim Brooks" is worse than a missing one.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import permutations

from digest.model import PaperId, Profile, Topic, Vote
from digest.rank.text import fold, stems

_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
MAX_WEIGHT = 100.0
TOPICS_KEPT = 4096
"""Topics that are remembered in their prepared form: many subscribers follow the list's own."""
FEW_WORDS = 3
"""A topic's text of at most so many words is meant as one phrase, in any order: "models of walks" is "walk models"."""
_TALK = frozenset(stems("anything care enjoy especially everything follow interested keen like love particularly want"))
"""Words with which people speak of their interests; in a topic's text they say nothing of its subject."""


@dataclass(frozen=True, slots=True, eq=False)
class TopicQuery:
    """A topic's words and phrases as stems. Phrases of stop words alone are left out: nothing could match them.

    Equal only to itself, so that it is quickly looked up: `topic_query` gives the same one for equal topics.
    """

    name: str
    weight: float
    words: tuple[tuple[str, int], ...]
    """Every word of the text and the keywords, and how often it stands there."""
    phrases: tuple[tuple[str, ...], ...]
    """The text and each keyword, in order."""
    prose: str
    """Text and keywords as written, for their meaning."""
    keywords: tuple[tuple[str, ...], ...]
    exclude: tuple[tuple[str, tuple[str, ...]], ...]
    """As written, and as stems."""


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name, ready to compare."""

    first: str
    middle: tuple[str, ...]
    last: str

    @property
    def key(self) -> tuple[str, str]:
        """What is the same in all names that may match, a first name's initial included."""
        return self.first[:1], self.last

    def covers(self, other: PersonName) -> bool:
        """Whether this name, as a profile has it, means `other`, as a paper has it."""
        first = self.first == other.first or (len(self.first) == 1 and other.first.startswith(self.first))
        return first and self.last == other.last and _middle_agrees(self.middle, other.middle)


def _middle_agrees(mine: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    if mine and theirs:
        pairs = zip(mine, theirs, strict=False)
        return len(mine) == len(theirs) and all(a == b or (1 in (len(a), len(b)) and a[0] == b[0]) for a, b in pairs)
    return all(len(name) == 1 for name in mine + theirs)


def person_name(name: str) -> PersonName | None:
    """Read a name as an author writes it; None if there is no letter in it."""
    name = re.sub(r"\(.*?\)", " ", name)
    if "," in name:
        last, _, first = name.partition(",")
        name = f"{first} {last}" if fold(first.strip(" .")) not in _SUFFIXES else last
    parts = [re.sub(r"[^\w]|_", "", fold(part)) for part in re.sub(r"\.", " ", name).split()]
    parts = [part for part in parts if part and part not in _SUFFIXES]
    if not parts:
        return None
    return PersonName(parts[0] if len(parts) > 1 else "", tuple(parts[1:-1]), parts[-1])


@lru_cache(TOPICS_KEPT)
def topic_query(topic: Topic) -> TopicQuery:
    """Read a topic. Without text and keywords it is about what its name says; a text of few words is a keyword too."""
    keywords = tuple(dict.fromkeys(phrase for keyword in topic.keywords if (phrase := tuple(stems(keyword)))))
    text = [word for word in stems(topic.text) if word not in _TALK]
    if not text and not keywords:
        text = stems(topic.name)
    words = Counter(text)
    words.update(word for keyword in keywords for word in keyword)
    if 0 < len(text) <= FEW_WORDS:
        keywords = tuple(dict.fromkeys((*keywords, *permutations(text))))
    exclude = tuple((written, phrase) for written in topic.exclude if (phrase := tuple(stems(written))))
    weight = min(max(topic.weight, 0.0), MAX_WEIGHT)
    prose = ". ".join(filter(str.strip, (topic.text, *topic.keywords))) or topic.name
    return TopicQuery(topic.name, weight, tuple(words.items()), (tuple(text), *keywords), prose, keywords, exclude)


def votes(profile: Profile) -> tuple[tuple[Vote, ...], tuple[Vote, ...]]:
    """Return (liked, disliked), newest first. The later vote on a paper counts; of two at one time, the dislike."""
    latest: dict[PaperId, tuple[Vote, bool]] = {}
    for cast, likes in ((profile.liked, True), (profile.disliked, False)):
        for vote in cast:
            if vote.paper_id not in latest or _moment(vote) >= _moment(latest[vote.paper_id][0]):
                latest[vote.paper_id] = vote, likes
    newest = sorted(latest.values(), key=lambda found: _moment(found[0]), reverse=True)
    return tuple(vote for vote, likes in newest if likes), tuple(vote for vote, likes in newest if not likes)


def _moment(vote: Vote) -> datetime:
    return vote.at or _LONG_AGO
