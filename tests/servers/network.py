"""A host of its own on this machine: a network namespace, and one wire to it that can lose packets, or be cut.

    with Host() as host:
        subprocess.Popen(host.command("digest", "worker"))   # it reaches servers that listen at `host.here`
        host.loss = 0.2                                       # of the packets of `host.port`, each way
        host.cut = True                                       # none of them comes through, and nobody is told

The wire is two TUN devices and a thread that carries IP packets from one to the other, so what TCP meets is what it
meets in a bad network: no reply, no reset. Kernels have a device for that too (`tc … netem`), but many are built
without it. Needs root, the Debian package iproute2 and /dev/net/tun.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import shutil
import struct
import subprocess
import threading
from itertools import count
from types import TracebackType
from typing import Self

TUN = "/dev/net/tun"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_TCP = 6
_NUMBERS = count()


def missing() -> str | None:
    """Why there can be no such host here; None when there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "a network namespace is root's to make"
    if shutil.which("ip") is None:
        return "needs the Debian package iproute2"
    name = f"digest-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if tried.returncode:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None if os.access(TUN, os.R_OK | os.W_OK) else f"there is no {TUN} here"


class Host:
    """From `with` to the end of it."""

    def __init__(self, port: int = 0, seed: int = 1):
        """`port`: what the wire does to packets it does to those alone that go to or come from that port of TCP."""
        number = next(_NUMBERS)
        # The range for tests between networks (RFC 2544), which nobody routes; a network of four addresses.
        network = (os.getpid() * 64 + number) % 2**15 * 4
        self.here, self.there = (f"198.{18 + (network >> 16)}.{network >> 8 & 255}.{network + n & 255}" for n in (1, 2))
        self.port = port
        self.loss = 0.0
        self.cut = False
        self.lost = 0
        """Packets that did not come through."""
        self._name = f"digest-{os.getpid()}-{number}"
        self._devices = tuple(f"dg{os.getpid()}{end}{number}" for end in "ab")
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._carrying = threading.Thread(target=self._carry, name=self._name)

    def __enter__(self) -> Self:
        self._ends = [_tun(device) for device in self._devices]
        _ip("netns", "add", self._name)
        _ip("link", "set", self._devices[1], "netns", self._name)
        for where, device, address in (
            ((), self._devices[0], self.here),
            (("-n", self._name), self._devices[1], self.there),
        ):
            _ip(*where, "address", "add", f"{address}/30", "dev", device)
            _ip(*where, "link", "set", device, "up")
        _ip("-n", self._name, "link", "set", "lo", "up")
        self._carrying.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._carrying.join()
        for end in self._ends:
            os.close(end)  # and with it the device
        _ip("netns", "delete", self._name)

    def command(self, *arguments: str) -> list[str]:
        """What runs a program there, with the process id that it is started with."""
        return ["ip", "netns", "exec", self._name, *arguments]

    def _carry(self) -> None:
        other = dict(zip(self._ends, reversed(self._ends), strict=True))
        ready = select.poll()
        for end in self._ends:
            ready.register(end, select.POLLIN)
        while not self._over.is_set():
            for end, _ in ready.poll(100):
                packet = os.read(end, 65536)
                if self._comes_through(packet):
                    os.write(other[end], packet)
                else:
                    self.lost += 1

    def _comes_through(self, packet: bytes) -> bool:
        if packet[0] >> 4 != 4:  # the kernel's own IPv6
            return False
        header = (packet[0] & 15) * 4
        if packet[9] != _TCP or self.port not in struct.unpack_from("!HH", packet, header):
            return True
        return not self.cut and self._chance.random() >= self.loss


def _tun(name: str) -> int:
    end = os.open(TUN, os.O_RDWR)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return end


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
