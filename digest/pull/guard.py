"""Which hosts may be asked: none on this machine or in this network, unless the config allows it.

A feed's address, and every redirect of a server, may name a host that resolves to a private address, and may resolve to
another one a moment later (DNS rebinding). So a name is resolved here, once, every address it has is checked, and the
connection goes to the address that was checked; the name still goes into the Host header and the TLS certificate's
check. Odd notations (`http://2130706433/`, `127.1`, `[::ffff:127.0.0.1]`) are caught as what they resolve to.

Called by `http.py`. Connections are not kept: httpx2 would share one between the names of one address. No proxy of the
environment is used, as it would resolve the names unseen; with `allow_private = true` it is, and nothing is checked.
Which addresses are public: the IANA special-purpose registries, as Python's `ipaddress` has them (RFC 6890).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import httpx2

from digest.errors import SourceError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")


class PrivateAddressError(SourceError):
    """A host that must not be asked."""


def is_public(address: Address) -> bool:
    """Say whether an address is anybody's on the internet; what embeds another address counts as that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and address in _SIX_TO_FOUR:
            inner = address.sixtofour
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local or address.scope_id:
            return False
    return address.is_global and not address.is_multicast


class GuardedTransport(httpx2.AsyncBaseTransport):
    """httpx2's transport, with names resolved and checked before a connection is made."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to a checked address. Raises `PrivateAddressError`, and httpx2's errors."""
        host = request.url.host
        addresses = await _resolve(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        for address in addresses:
            if not is_public(address):
                named = host if host.strip("[]") == str(address) else f"{host} ({address})"
                raise PrivateAddressError(
                    f"{named} is no public address: refused; if this source is meant to be on this machine or in your "
                    "network, write `allow_private = true` under [pull]"
                )
        for address in addresses[:-1]:
            try:
                return await self._send(request, host, address)
            except httpx2.ConnectError:
                continue  # the host has another address
        return await self._send(request, host, addresses[-1])

    async def _send(self, request: httpx2.Request, host: str, address: Address) -> httpx2.Response:
        return await self._inner.handle_async_request(
            httpx2.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host.rstrip(".")},
            )
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


async def _resolve(host: str, port: int) -> list[Address]:
    """Return every address of a host, each once, in the resolver's order; at least one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx2.ConnectError(str(error)) from error
    return list(dict.fromkeys(ipaddress.ip_address(place[0]) for *_, place in found))
