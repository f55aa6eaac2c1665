"""How often one client may ask for what costs something: a sliding window, kept in memory; and who a client is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from digest.model import Rate

CLIENTS = 50_000
"""Clients that are remembered; of more, those that came first are forgotten."""
Networks = Sequence[IPv4Network | IPv6Network]


class SlidingWindow:
    """At most `rate.count` of one key in any `rate.seconds`."""

    def __init__(self, rate: Rate, clock: Callable[[], float]):
        """`clock` gives seconds that never go back."""
        self._rate = rate
        self._clock = clock
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str) -> float:
        """0.0, and one is taken; else in how many seconds there is room again, and nothing is taken."""
        now = self._clock()
        taken = self._taken.pop(key, None) or deque()
        while taken and taken[0] <= now - self._rate.seconds:
            taken.popleft()
        if full := len(taken) >= self._rate.count:
            wait = taken[0] + self._rate.seconds - now
        else:
            taken.append(now)
        self._taken[key] = taken  # the last to have asked is the last to be forgotten
        while len(self._taken) > CLIENTS:
            del self._taken[next(iter(self._taken))]
        return wait if full else 0.0


def client_of(peer: str, forwarded_for: Sequence[str], trusted: Networks) -> str:
    """Who asks: the peer, or what the last of our proxies says of its own (X-Forwarded-For, read from its end).

    An IPv6 client is its /64, which one customer has as a whole.
    """
    names = [name.strip() for field in forwarded_for for name in field.split(",")]
    client = peer
    while names and _is_in(client, trusted):
        client = names.pop()
    try:
        address = ip_address(client)
    except ValueError:
        return peer
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _is_in(client: str, networks: Networks) -> bool:
    try:
        address = ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in networks)
