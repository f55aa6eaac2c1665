"""Which hosts are this machine, and in what words one that does not answer is told of. Pure: no name is looked up."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket


def is_loopback(host: str) -> bool:
    """Whether what is said to the host stays on this machine, so that nobody on the way can read it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def no_connection(host: str, port: int, error: BaseException, table: str) -> str:  # noqa: PLR0911
    """Why there is no connection and what to do, in place of the system's number. `table` is the config's, `[smtp]`."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match error:
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return f"no name server answers, so nobody knows where {host} is: is there a network?"
        case socket.gaierror():
            return f"there is no host {host}: correct `host` of {table}, or see whether there is a network"
        case ConnectionRefusedError():
            advice = f"does the server run there, and are `host` and `port` of {table} right?"
            return f"nobody answers at {place} (connection refused): {advice}"
        case TimeoutError():
            return f"nobody answers at {place} in time: a firewall or the provider may block the port; try another"
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return f"there is no way to {place} from here: is there a network?"
        case OSError(errno=number) if number:
            return f"no connection to {place}: {os.strerror(number)}"
    return f"no connection to {place}: {error}"
