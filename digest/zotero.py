"""A library on Zotero's own server, or of the Zotero on one's desk, by its API (version 3).

https://www.zotero.org/support/dev/web_api/v3/basics. Asked over `pull/http.py`, with its limits and manners; the
answers are read by `subscribe/libraries.py`. Not by pyzotero: it needs bibtexparser 1, the rest of digest version 2.
`digest/commands/people.py` calls it.
"""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from digest.errors import ConfigError, SourceError
from digest.model import Paper
from digest.pull.http import Fetcher, StatusError
from digest.subscribe.libraries import papers_of

API = "https://api.zotero.org"
AT_ONCE = 100
"""Items in one answer, the most that there may be."""
MOST = 10_000
"""Items that are asked for."""
_LIBRARY = re.compile(r"(?:users|groups)/\d+(?:/collections/[A-Z0-9]{8})?")


def address_of(library: str) -> str:
    """The address of `users/123`, `groups/123/collections/ABCD2345`, or of the same on another server.

    Raises ConfigError for anything else.
    """
    whole = library.strip("/")
    if _LIBRARY.fullmatch(whole):
        return f"{API}/{whole}"
    if urlsplit(whole).scheme in ("http", "https") and re.search(rf"/{_LIBRARY.pattern}$", whole):
        return whole
    raise ConfigError(
        f"--zotero {library}: write users/NUMBER or groups/NUMBER, with /collections/KEY for a part of it; your number "
        "is at https://www.zotero.org/settings/keys, a group's in the address of its page"
    )


async def read_zotero(fetcher: Fetcher, address: str, key: str) -> tuple[Paper, ...]:
    """All papers of the library at `address`. Raises SourceError, also for a key that does not open it."""
    headers = [("Zotero-API-Version", "3"), *([("Zotero-API-Key", key)] if key else [])]
    items: list[object] = []
    for start in range(0, MOST, AT_ONCE):
        url = f"{address}/items/top?format=json&include=csljson&limit={AT_ONCE}&start={start}"
        try:
            answer = await fetcher.get(url, headers=headers)
        except StatusError as error:
            if error.status == 403:
                raise SourceError(f"{error}: set ZOTERO_API_KEY to a key that may read this library") from error
            raise
        page = _page(answer.body, address)
        items += [item["csljson"] for item in page if isinstance(item, dict) and isinstance(item.get("csljson"), dict)]
        if len(page) < AT_ONCE:
            break
    return papers_of(items)[0]  # notes and attachments have no title, and are no papers


def _page(body: bytes, address: str) -> list[object]:
    try:
        page = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{address} did not answer with JSON") from error
    if not isinstance(page, list):
        raise SourceError(f"{address} did not answer with a list of items")
    return page
