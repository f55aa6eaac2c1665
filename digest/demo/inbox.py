"""The demo's SMTP server: takes every message over real SMTP on loopback and lays it down as .eml and .html."""

from __future__ import annotations

import asyncio
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path

from digest.commands.preview import file_stem


@dataclass
class Inbox:
    """A folder of received messages; aiosmtpd calls `handle_DATA`."""

    folder: Path
    port: int = 0
    received: list[Path] = field(default_factory=list)

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802, ARG002
        """Writes one message; the answer is SMTP's."""
        content: bytes = envelope.original_content  # type: ignore[attr-defined]
        recipients: list[str] = envelope.rcpt_tos  # type: ignore[attr-defined]
        message = message_from_bytes(content, policy=email.policy.default)
        page = message.get_body(("html",))
        for recipient in recipients:
            path = self.folder / f"{file_stem(recipient)}.eml"
            path.write_bytes(content)
            if page:
                path.with_suffix(".html").write_text(page.get_content(), encoding="utf-8")
            self.received.append(path)
        return "250 2.0.0 OK: it lies in the demo's inbox"


@asynccontextmanager
async def open_inbox(folder: Path) -> AsyncIterator[Inbox]:
    """An SMTP server on a free port of 127.0.0.1 for the length of the block. The folder must exist."""
    from aiosmtpd.smtp import SMTP

    inbox = Inbox(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(inbox, hostname="inbox.demo.invalid", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    inbox.port = server.sockets[0].getsockname()[1]
    try:
        yield inbox
    finally:
        server.close()
        await server.wait_closed()
