"""Nobody makes us ask a private host: not a config by mistake, not a server by a redirect, not a name that changes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import pytest

from digest.errors import SourceError
from digest.pull import guard
from digest.pull.guard import PrivateAddressError, is_public
from digest.pull.http import Fetcher
from tests.servers.http import Server, says


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:db8::1", "2001:0:7f00:1::",
    ],
)  # fmt: skip
def test_what_is_not_public(address: str) -> None:
    """Loopback, private, link-local, multicast, reserved, shared and documentation addresses, in every disguise."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "151.101.3.42", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_public(address: str) -> None:
    """Addresses that anybody can reach, also mapped ones."""
    assert is_public(ipaddress.ip_address(address))


def fetch(url: str) -> Any:
    async def work() -> Any:
        async with Fetcher() as fetcher:
            try:
                return await fetcher.get(url)
            except SourceError as error:
                return error

    return asyncio.run(work())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0"]
)
def test_odd_notations_are_seen_through(host: str) -> None:
    """However it is written, this machine is not asked, and the error says what to do."""

    async def work() -> tuple[object, Server]:
        server = Server(a=says("200 OK", b"secret"))
        async with server, Fetcher() as fetcher:
            port = server.url.rstrip("/").rpartition(":")[2]
            try:
                return await fetcher.get(f"http://{host}:{port}/a"), server
            except SourceError as error:
                return error, server

    error, server = asyncio.run(work())
    assert isinstance(error, PrivateAddressError)
    assert "is no public address: refused" in str(error)
    assert "`allow_private = true` under [pull]" in str(error)
    assert server.requests == []


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One private address among public ones is enough."""

    async def resolves(host: str, port: int) -> list[Any]:
        assert (host, port) == ("feed.example", 443)
        return [ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("10.0.0.1")]

    monkeypatch.setattr(guard, "_resolve", resolves)
    assert str(fetch("https://feed.example/x")).startswith("feed.example (10.0.0.1) is no public address")


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that means another address a moment later (DNS rebinding) is asked at the first; the Host is the name."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinds(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "feed.example":
            asked.append(host)
            host = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return real(host, *arguments, **options)

    async def work() -> tuple[bytes, Server]:
        server = Server(a=says("200 OK", b"<rss/>"))
        async with server, Fetcher() as fetcher:
            port = server.url.rstrip("/").rpartition(":")[2]
            return (await fetcher.get(f"http://feed.example:{port}/a")).body, server

    monkeypatch.setattr(socket, "getaddrinfo", rebinds)
    monkeypatch.setattr(guard, "is_public", lambda address: str(address) == "127.0.0.1")
    body, server = asyncio.run(work())
    assert body == b"<rss/>"
    assert asked == ["feed.example"]
    assert "host: feed.example:" in server.requests[0].lower()


def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public server cannot send us home."""
    monkeypatch.setattr(guard, "is_public", lambda address: str(address) == "127.0.0.1")

    async def work() -> object:
        server = Server(a=says("302 Found", b"", "Location: http://169.254.169.254/latest/meta-data"))
        async with server, Fetcher() as fetcher:
            try:
                return await fetcher.get(server.url + "a")
            except SourceError as error:
                return error

    assert str(asyncio.run(work())).startswith("169.254.169.254 is no public address: refused")


def test_no_proxy_resolves_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment would ask whatever host it is told; it is not used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert isinstance(fetch("http://127.0.0.1:10/x"), PrivateAddressError)


def test_a_name_that_nobody_knows() -> None:
    """A host that does not resolve is named as such."""
    assert "could not connect to nobody.invalid: no such host" in str(fetch("http://nobody.invalid/x"))
