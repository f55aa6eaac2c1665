"""Addresses of sources: their parts, and how they may be shown. Pure; what is no address makes nothing of it fail."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

_SECRET = re.compile(r"((?:^|&)[^=&]*(?:token|key|secret|passw|auth|sig)[^=&]*=)[^&]*", re.I)


def host_of(url: str) -> str:
    """Return the host that an address names; empty if it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def scheme_of(url: str) -> str:
    """Return an address's scheme in lower case; empty if it has none."""
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        return ""


def shown(url: str) -> str:
    """Return an address as it may stand in a message: without password, and without the values of secret parameters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url[:200]
    if parts.scheme == "file":
        return unquote(parts.path)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, _SECRET.sub(r"\1…", parts.query), ""))[:300]
