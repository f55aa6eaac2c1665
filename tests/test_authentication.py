"""Authentication-Results: only our own server's word counts, and only where nobody else can have written it."""

from __future__ import annotations

from email import message_from_bytes, message_from_string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.subscribe.authentication import is_authentic

OURS = "Received: from out.example.net by mx.example.org with ESMTPS; Tue, 9 Jun 2026 07:00:00 +0000\n"
LOCAL = "Received: from mx.example.org by imap.example.org (Dovecot) with LMTP; Tue, 9 Jun 2026 07:00:01 +0000\n"
THEIRS = "Received: from [192.0.2.7] by out.example.net; Tue, 9 Jun 2026 06:59:59 +0000\n"
PASS = "Authentication-Results: mx.example.org; dmarc=pass (p=reject dis=none) header.from=example.net\n"
NEAR = "Received: from x by mx.example.org; Tue, 9 Jun 2026 06:59:58 +0000\n"
"""Anybody can write one, too."""
NOTHING = "Authentication-Results: mx.example.org; spf=none\n"


def judged(head: str) -> bool:
    return is_authentic(message_from_string(f"{head}From: ada@example.net\n\nx\n"), "mx.example.org", "example.net")


@pytest.mark.parametrize(
    "head",
    [
        LOCAL + OURS + PASS + THEIRS,
        LOCAL + PASS + OURS + THEIRS,
        LOCAL.replace("imap.example.org", "3f2a9c") + LOCAL.replace("imap.example.org", "a.internal") + OURS + PASS,
        PASS,
        OURS + PASS.replace("mx.example.org;", "MX.example.org 1;"),
        OURS + "Authentication-Results: mx.example.org; dkim=pass header.d=example.net\n" + PASS,
        OURS + "Authentication-Results: mx.example.org;\n\tspf=fail smtp.mailfrom=x.org;\n\tdmarc=pass\n",
        "Received: by 2002:a05:6a10:4c1a with SMTP id x; Tue, 9 Jun 2026 07:00:00 +0000\n" + OURS + PASS,
    ],
)
def test_our_own_servers_word_counts(head: str) -> None:
    """Above or below its own Received, in one field or several, whatever other methods say."""
    assert judged(head)


@pytest.mark.parametrize(
    "head",
    [
        "",
        OURS + THEIRS + PASS,
        OURS + PASS.replace("mx.example.org;", "mx.example.net;"),
        OURS + PASS.replace("pass", "fail"),
        OURS + PASS.replace("pass", "none"),
        OURS + PASS.replace("header.from=example.net", "header.from=example.com"),
        OURS + PASS.replace("dmarc=pass", "dkim=pass; spf=pass"),
        OURS + PASS.replace("pass", "fail") + PASS,
        PASS.replace("pass", "fail") + OURS + PASS,
        OURS + 'Authentication-Results: mx.example.org; spf=pass smtp.mailfrom="a; dmarc=pass"@example.net\n',
        OURS + "Authentication-Results: mx.example.org; spf=pass (a; dmarc=pass) smtp.mailfrom=example.net\n",
        OURS + 'Authentication-Results: mx.example.org; dmarc=pass "never closed\n',
        OURS + "Authentication-Results: mx.example.org; dmarc=passable\n",
        OURS + "Authentication-Results: evil.example.net (mx.example.org; dmarc=pass); none\n",
        OURS + "X-Authentication-Results: mx.example.org; dmarc=pass\n",
        OURS + PASS.replace("\n", " header.from=example.com\n"),
        OURS + PASS.replace("header.from=example.net", "(header.from=example.net) header.from=example.com"),
        OURS + PASS.replace("header.from=example.net", "header.from=example.net.example.com"),
        OURS + PASS.replace("header.from=example.net", "header.from=notexample.net"),
        OURS + PASS.replace("mx.example.org;", "mx.example.org.example.net;"),
        OURS + PASS.replace("mx.example.org;", "not.mx.example.org;"),
        OURS + PASS.replace("mx.example.org;", '"mx.example.org;";'),
        OURS + PASS.replace(": mx", ": evil.example.net;\n mx").replace("dmarc", "x"),
        OURS + NOTHING + NEAR + PASS,
        OURS + NOTHING + "Received: by localhost; x\n" + PASS,
        NOTHING + OURS + NEAR + PASS,
        OURS + NOTHING + THEIRS + NEAR + PASS,
        OURS + "ARC-" + PASS,
        OURS + "Received: from x (HELO by mx.example.org) by out.example.net; x\n" + PASS,
        OURS + "Received: from x (by mx.example.org\n" + PASS,
    ],
)
def test_what_others_may_have_written_does_not(head: str) -> None:
    """Below another host's Received or our own server's results; in another's name or for another domain; inside quotes
    or comments; beside a result that differs.
    """
    assert not judged(head)


def test_without_a_server_to_believe_nothing_is_authentic() -> None:
    """That is what a config without the key means."""
    message = message_from_string(PASS.replace("mx.example.org", "") + "\n")
    assert not is_authentic(message, "", "example.net")


@given(st.binary(max_size=400))
def test_no_header_makes_it_fail(value: bytes) -> None:
    """Whatever stands there."""
    raw: Any = b"Received: " + value + b"\r\nAuthentication-Results: mx.example.org; " + value + b"\r\n\r\n"
    is_authentic(message_from_bytes(raw), "mx.example.org", "example.net")
