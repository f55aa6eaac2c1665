"""Citations, from Semantic Scholar's batch lookup: POST https://api.semanticscholar.org/graph/v1/paper/batch.

Called by `digest.pull.signals`; fetches nothing. Format: https://api.semanticscholar.org/api-docs/graph, operation
post_graph_get_papers. Asked with {"ids": ["ARXIV:2406.04325", "DOI:10.1038/…"]}, 500 at most and arXiv ids without a
version, it answers with a list in the same order, null for each paper that it does not know; where it knows none at
all, with 400 and {"error": "No valid paper ids given"}. Without a key all the world shares one limit.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from digest.errors import SourceError
from digest.model import Paper, PaperId, Signal
from digest.pull.conversation import Ask, Conversation
from digest.pull.http import Response, StatusError
from digest.pull.parsed import Parsed, as_count, joined
from digest.pull.signals import Wanted, read_json

ADDRESS = "https://api.semanticscholar.org/graph/v1/paper/batch?fields=citationCount"
AT_ONCE = 500
"""Papers in one request: the service's limit."""


def converse(wanted: Wanted) -> Conversation:
    """Ask for the `citations` of all papers that have an arXiv id or a DOI. A batch that fails costs its own papers."""
    known = [(paper.id, name) for paper in wanted.papers if (name := _name(paper))]
    batches = [known[start : start + AT_ONCE] for start in range(0, len(known), AT_ONCE)]
    headers = (("x-api-key", wanted.token),) if wanted.token else ()
    parts = []
    for batch in batches[: wanted.max_requests]:
        body = json.dumps({"ids": [name for _, name in batch]}).encode()
        try:
            answer = yield Ask(ADDRESS, headers, body)
            parts.append(parse(answer, [paper for paper, _ in batch], wanted))
        except StatusError as error:
            if _knows_none(error):
                continue
            parts.append(_refusal(error, wanted))
            if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
                break
        except SourceError as error:
            parts.append(Parsed(error=str(error)))
    if left := sum(len(batch) for batch in batches[wanted.max_requests :]):
        parts.append(Parsed(notes=(f"citations: {left} papers were not asked about (max_requests)",)))
    return joined(parts)


def parse(answer: Response, papers: list[PaperId], wanted: Wanted) -> Parsed:
    """Read the answer about `papers`, which are in the order in which they were asked about. Raises `SourceError`."""
    records = read_json(answer)
    if not isinstance(records, list) or len(records) != len(papers):
        raise SourceError("Semantic Scholar's answer is not the list of papers that were asked about")
    counts = (as_count(record.get("citationCount")) if isinstance(record, dict) else None for record in records)
    return Parsed(
        signals=tuple(
            Signal(paper, "citations", count, wanted.now)
            for paper, count in zip(papers, counts, strict=True)
            if count is not None
        )
    )


def _name(paper: Paper) -> str | None:
    """The paper as Semantic Scholar calls it; a paper known by its title alone has no name there."""
    scheme, _, name = paper.id.partition(":")
    if scheme == "arxiv":
        return f"ARXIV:{name}"
    doi = name if scheme == "doi" else paper.doi
    return f"DOI:{doi}" if doi else None


def _knows_none(error: StatusError) -> bool:
    return error.status == HTTPStatus.BAD_REQUEST and b"No valid paper ids" in error.body


def _refusal(error: StatusError, wanted: Wanted) -> Parsed:
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        advice = "" if wanted.token else ": a key in $SEMANTIC_SCHOLAR_API_KEY has a limit of its own"
        return Parsed(notes=(f"citations: Semantic Scholar has too many requests now{advice}",))
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and wanted.token:
        return Parsed(error=f"{error}: check the key in $SEMANTIC_SCHOLAR_API_KEY")
    return Parsed(error=str(error))
