"""Where a list's messages leave, as its config has it: relays with their limits, or a Maildir; and what signs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from digest.model import Relay
from digest.render.message import Sign
from digest.send.maildir import MaildirTransport
from digest.send.rate import Limiter, SharedLimiter, Turns
from digest.send.routes import Allowance, Route, is_limited
from digest.send.smtp import transports
from digest.settings import ListConfig
from digest.store import Database, RelayDays


def routes(
    config: ListConfig, database: Database, now: Callable[[], datetime], turns: Turns | None = None
) -> tuple[Route, ...]:
    """The ways out, in the order of the config. `turns`: their rates are shared with other hosts."""

    def limiter(relay: Relay) -> Limiter | SharedLimiter | None:
        if not (relay.rate or relay.per_domain):
            return None
        rates = (relay.rate, dict(relay.per_domain))
        return SharedLimiter(relay.name, turns, *rates) if turns else Limiter(*rates)

    if not config.relays:
        return (Route(lambda: MaildirTransport(config.outbox)),)
    counts, zone = RelayDays(database), ZoneInfo(config.mailing_list.timezone)
    return tuple(
        Route(
            transports(relay),
            relay.connections,
            limiter(relay),
            relay.name,
            relay.weight,
            Allowance(relay, counts, lambda: now().astimezone(zone).date()) if is_limited(relay) else None,
        )
        for relay in config.relays
    )


def names(config: ListConfig) -> tuple[str, ...]:
    """Where messages go, for a person; a test goes to the first."""
    return tuple(f"{relay.host}:{relay.port}" for relay in config.relays) or (f"the Maildir {config.outbox}",)


def signer(config: ListConfig) -> Sign | None:
    """What signs its messages (DKIM), if anything does."""
    if not config.signing:
        return None
    from digest.send.dkim import sign

    return partial(sign, config.signing)
