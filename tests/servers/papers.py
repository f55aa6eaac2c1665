"""arXiv's and Hugging Face's servers, by https, with the demo's invented papers: the docs are run against them.

`with PaperServer(context, day) as server:` then `server.port`. It knows by the Host header who it is: arXiv's feeds, of
the newest day up to `day`; arXiv's search API, with the same papers; Hugging Face's list of each day.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import feedparser

from tests.lists import FEEDS

HOSTS = ("rss.arxiv.org", "export.arxiv.org", "huggingface.co")


class PaperServer:
    """Answers on 127.0.0.1 and a free port, from `with` to the end of it."""

    def __init__(self, context: ssl.SSLContext, day: date):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, kind = answer((self.headers["Host"] or "").partition(":")[0], self.path, day)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


def answer(host: str, path: str, day: date) -> tuple[bytes | None, str]:
    """What such a host says at such an address: bytes, or None where it has nothing, and their type."""
    if host == "rss.arxiv.org" and path.startswith("/rss/"):
        newest = max((p for p in (FEEDS / "arxiv").glob("*.xml") if p.stem <= f"{day}"), default=None)
        return newest.read_bytes() if newest else None, "application/rss+xml"
    if host == "export.arxiv.org":
        return _search(day), "application/atom+xml"
    if host == "huggingface.co" and path.startswith("/api/daily_papers"):
        asked = parse_qs(urlsplit(path).query)
        return _daily_papers(asked.get("date", [f"{day}"])[0], day, asked.get("p", ["0"])[0]), "application/json"
    return None, "text/plain"


def _daily_papers(asked: str, day: date, page: str) -> bytes:
    """The list of one day; days before the demo's have the first of its papers, as none is quite without."""
    files = sorted((FEEDS / "huggingface").glob("*.json"))
    if page != "0" or asked > f"{day}" or date.fromisoformat(asked).weekday() > 4:
        return b"[]"
    if asked < files[0].stem:
        return json.dumps(json.loads(files[0].read_bytes())[:1]).encode()
    return next((file.read_bytes() for file in files if file.stem == asked), b"[]")


def _search(day: date) -> bytes:
    """All that arXiv's feeds had up to this day, as its search API says it; submitted on the days before."""
    entries: list[str] = []
    for path in sorted((FEEDS / "arxiv").glob("*.xml")):
        if path.stem > f"{day}":
            continue
        submitted = date.fromisoformat(path.stem) - timedelta(days=1)
        items = feedparser.parse(path.read_bytes()).entries
        fresh = (item for item in items if not item.arxiv_announce_type.startswith("replace"))
        entries += [_entry(item, f"{submitted}T12:00:00Z") for item in fresh]
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"'
        ' xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom">'
        f"<title>arXiv Query</title><opensearch:totalResults>{len(entries)}</opensearch:totalResults>"
        f"{''.join(entries)}</feed>"
    ).encode()


def _entry(item: feedparser.FeedParserDict, submitted: str) -> str:
    number = re.search(r"arXiv:(\S+)", item.summary)
    assert number
    names = re.split(r",\s+", item.author)
    terms = [tag.term for tag in item.tags]
    return (
        f"<entry><id>http://arxiv.org/abs/{number[1]}</id><title>{escape(item.title)}</title>"
        f"<updated>{submitted}</updated><published>{submitted}</published>"
        f"<summary>{escape(item.summary.partition('Abstract:')[2])}</summary>"
        + "".join(f"<author><name>{escape(name)}</name></author>" for name in names)
        + "".join(f'<category term="{term}"/>' for term in terms)
        + f'<arxiv:primary_category term="{terms[0]}"/></entry>'
    )
