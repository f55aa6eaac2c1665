"""Runs every check of a list at once, each within its time; one that fails or hangs never keeps another.

What blocks runs in threads that die with the program, so that Ctrl-C ends it at once, whatever a server is doing.
Called by `cli/checking.py`; prints nothing, and changes nothing: `fixing.py` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from functools import partial
from typing import TypeVar

from digest.check import local, mail_dns, sources, speaking
from digest.check.findings import Finding, failed, warning
from digest.check.links import pages
from digest.check.lookup import Lookup, NoAnswerError
from digest.check.speaking import Told
from digest.errors import DigestError
from digest.settings import ListConfig

log = logging.getLogger("digest.check")
T = TypeVar("T")

SHORT, LONG = 45.0, 150.0
"""Seconds for a check; and for the sources, between whose requests there must be pauses."""


def _nobody(name: str) -> None:
    """Who is told of what is done, where nobody watches."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. `run` may raise anything."""

    name: str
    run: Callable[[], Awaitable[Sequence[Finding]]]
    seconds: float = SHORT


class Doctor:
    """The checks of one list."""

    def __init__(self, config: ListConfig, now: datetime, look_up: Lookup, environ: Mapping[str, str]):
        """`look_up` blocks; it is called in threads. `own_address` of `mail_of` is asked for by the caller."""
        self._config = config
        self._now = now
        self._look_up = look_up
        self._environ = environ
        self._told: list[Told] = []

    def checks(self, own_address: str | None) -> list[Check]:
        """All but the clock, which hears from the others."""
        config, now = self._config, self._now
        several = len(config.relays) > 1
        labels = [f"[[smtp]] {relay.name}" if several else "[smtp]" for relay in config.relays]
        found = [
            Check("templates", partial(in_thread, local.templates, config, now)),
            Check("sources", partial(self._heard, partial(sources.sources, config, now)), LONG),
            *(
                Check(f"relay {relay.host}:{relay.port}", partial(self._heard, partial(speaking.relay, relay, label)))
                for relay, label in zip(config.relays, labels, strict=True)
            ),
        ]
        if not config.relays:
            found.append(Check("relay", self._maildir))
        if inbox := config.inbox:
            name = f"mailbox {inbox.name}"
            found.append(Check(name, partial(self._heard, partial(in_thread, speaking.mailbox, inbox))))
        if config.relays:
            asked = mail_dns.questions(mail_of(config, own_address), self._look_up)
            found += [Check(name, partial(in_thread, partial(_answered, name, ask))) for name, ask in asked]
        found += [
            Check("links", partial(pages, config)),
            Check("secret files", partial(in_thread, local.secrets, config.path, self._environ)),
            Check("database", partial(in_thread, local.database, config), LONG),
            Check("time zone", partial(in_thread, local.time_zone, config, now)),
        ]
        return found

    async def examine(self, own_address: str | None, on_done: Callable[[str], object] = _nobody) -> list[Finding]:
        """All findings, in the order of the checks. `on_done` is told of each check's end."""
        checks = self.checks(own_address)
        found = await asyncio.gather(*(_done(check, on_done) for check in checks))
        on_done("clock")
        return [finding for findings in found for finding in findings] + [local.clock(self._told)]

    async def _heard(self, ask: Callable[[], Awaitable[tuple[Sequence[Finding], Sequence[Told]]]]) -> Sequence[Finding]:
        findings, told = await ask()
        self._told += told
        return findings

    async def _maildir(self) -> Sequence[Finding]:
        return [local.maildir(self._config.outbox)]


def number_of_checks(doctor: Doctor) -> int:
    """How often `examine` calls `on_done`."""
    return len(doctor.checks(None)) + 1


def mail_of(config: ListConfig, own_address: str | None) -> mail_dns.Mail:
    """What the list's mail looks like from outside."""
    sender = parseaddr(config.mailing_list.from_)[1]
    keys = []
    if config.signing:
        from digest.send.dkim import published

        keys = [mail_dns.PublicKey(k.domain, k.selector, k.algorithm, published(k.key)) for k in config.signing]
    relays = tuple(dict.fromkeys(relay.host for relay in config.relays))
    return mail_dns.Mail(sender, config.mailing_list.bounces or sender, relays, tuple(keys), own_address)


def _answered(name: str, ask: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return ask()
    except NoAnswerError as error:
        return [warning(name, str(error), "see whether there is a network; `--resolver 9.9.9.9` asks another server")]


async def _done(check: Check, on_done: Callable[[str], object]) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(check.seconds):
            return await check.run()
    except TimeoutError:
        return [failed(check.name, f"not done within {check.seconds:.0f} s", "try again; if it stays, see the network")]
    except DigestError as error:
        return [failed(check.name, str(error), todo="")]  # what to do is in its text
    except Exception as error:
        log.debug("the check %s failed", check.name, exc_info=error)
        reason = f"{type(error).__name__}: {error}"
        return [failed(check.name, f"the check itself failed ({reason})", "`digest check -v` shows where: report it")]
    finally:
        on_done(check.name)


async def in_thread(work: Callable[..., T], *arguments: object) -> T:
    """What `work` returns, from a thread that nobody waits for at the end: `asyncio.to_thread` would be waited for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(method: Callable[[T], None] | Callable[[BaseException], None], value: object) -> None:
        if not future.done():
            method(value)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result: object = work(*arguments)
            method: Callable[..., None] = future.set_result
        except BaseException as error:
            result, method = error, future.set_exception
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, method, result)

    threading.Thread(target=run, name=f"check {getattr(work, '__name__', '')}", daemon=True).start()
    return await future
