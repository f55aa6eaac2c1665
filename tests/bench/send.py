"""How fast messages leave, beside Postfix's own load generator: ratios, all in one run.

    python tests/bench/send.py                   everything, in about five minutes
    python tests/bench/send.py --rounds 1        a glance

Needs the Debian package postfix; nodemailer's row also npm, which installs it into a folder of its own. smtp-sink
receives, on this host, and where there is TLS or a distance the sink of `send_sinks.py`; every sender has as many
connections, and messages that are as long.

    smtp-source          Postfix's load generator, in C, over connections that it keeps: 1.0
    digest               `digest.send.smtp`, messages already composed, nothing recorded
    aiosmtplib sendmail  the library that opens digest's connections, given bytes
    aiosmtplib message   the same, given an `EmailMessage`
    smtplib              a thread for each connection, given bytes
    nodemailer           its pool, given bytes
    ... TLS              the same with TLS from the first byte

Figures are medians over the rounds. `ratio` is messages a second against smtp-source's in the same round, `CPU` is
milliseconds of the sender's processor time for each message, the kernel's share included.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import resource
import smtplib
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import NamedTuple

import aiosmtplib

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from digest.model import Address, DeliveryStatus, Envelope, Relay, Security
from digest.send.smtp import transports
from tests.bench.send_sinks import HOST, distant_sink, postfix_sink, tls_sink
from tests.servers import certificates

SENDER, RECIPIENT = "digest@example.org", "ada@example.org"
SIZES = (32_000, 60_000, 107_000)
"""Bytes of a message: five, ten and twenty papers."""
CONNECTIONS = 10
ROUND_TRIPS = (0.020, 0.050)
FAR_CONNECTIONS = 100
MESSAGES = 2_000
"""What the fast senders send in a round; the others send a quarter."""
FAR_MESSAGES = 8_000
"""Enough that opening the connections, of which each takes several round trips, counts for little."""


@dataclass(frozen=True)
class Load:
    """What a sender is to send, and where."""

    port: int
    message: bytes
    count: int
    connections: int = CONNECTIONS
    ca_file: Path | None = None
    """Given for a relay behind TLS."""


class Cost(NamedTuple):
    """Seconds for all messages."""

    wall: float
    cpu: float


Sender = Callable[[Load], Cost]


def message(size: int) -> bytes:
    """A message in wire form: its body looks as quoted-printable does."""
    head = f"From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nMessage-ID: <1@example.org>\r\nSubject: Papers\r\n\r\n".encode()
    line = b"x" * 74 + b"=\r\n"
    return head + line * ((size - len(head)) // len(line))


def cost(work: Callable[[], object]) -> Cost:
    """What `work` takes, processes that it starts and waits for included."""
    wall, cpu = time.perf_counter(), processor_time()
    work()
    return Cost(time.perf_counter() - wall, processor_time() - cpu)


def processor_time() -> float:
    """Seconds that this process and its children that have ended have been computing."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def smtp_source(load: Load) -> Cost:
    """Postfix's load generator."""
    numbers = {"-s": load.connections, "-m": load.count, "-l": len(load.message)}
    options = itertools.chain.from_iterable((name, str(number)) for name, number in numbers.items())
    command = ["smtp-source", "-d", *options, "-f", SENDER, "-t", RECIPIENT, f"{HOST}:{load.port}"]
    return cost(lambda: subprocess.run(command, check=True))


def digest(load: Load) -> Cost:
    """The transport of this program."""
    security = Security.TLS if load.ca_file else Security.NONE
    new_transport = transports(Relay("localhost", load.port, security, ca_file=load.ca_file))
    envelope = Envelope(SENDER, Address(RECIPIENT))

    async def no_intent() -> None: ...

    async def connection(numbers: Iterator[int]) -> None:
        transport = new_transport()
        for _ in numbers:
            outcome = await transport.submit(envelope, load.message, no_intent)
            if outcome.status is not DeliveryStatus.SENT:
                raise RuntimeError(outcome.reply)
        await transport.close()

    return cost(lambda: asyncio.run(over_all(load, connection)))


def aiosmtplib_sendmail(load: Load) -> Cost:
    """aiosmtplib, given bytes."""
    return aiosmtplib_with(load, lambda client: client.sendmail(SENDER, [RECIPIENT], load.message))


def aiosmtplib_message(load: Load) -> Cost:
    """aiosmtplib, given a parsed message."""
    parsed = message_from_bytes(load.message, policy=policy.default)
    return aiosmtplib_with(load, lambda client: client.send_message(parsed))


def aiosmtplib_with(load: Load, send: Callable[[aiosmtplib.SMTP], Awaitable[object]]) -> Cost:
    """aiosmtplib, by the method that `send` calls."""
    tls = ssl.create_default_context(cafile=load.ca_file) if load.ca_file else None

    async def connection(numbers: Iterator[int]) -> None:
        client = aiosmtplib.SMTP(
            hostname="localhost", port=load.port, use_tls=load.ca_file is not None, tls_context=tls, start_tls=False
        )
        async with client:
            for _ in numbers:
                await send(client)

    return cost(lambda: asyncio.run(over_all(load, connection)))


def smtplib_threads(load: Load) -> Cost:
    """The standard library, a thread for each connection."""

    def connection(numbers: Iterator[int]) -> None:
        with smtplib.SMTP(HOST, load.port) as client:
            for _ in numbers:
                client.sendmail(SENDER, [RECIPIENT], load.message)

    def work() -> None:
        numbers = iter(range(load.count))
        threads = [threading.Thread(target=connection, args=(numbers,)) for _ in range(load.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return cost(work)


NODEMAILER = """
const nodemailer = require("nodemailer");
const { host, port, count, connections, from, to, raw } = JSON.parse(require("fs").readFileSync(0));
const message = { envelope: { from, to: [to] }, raw: Buffer.from(raw) };
const pool = nodemailer.createTransport(
  { host, port, pool: true, maxConnections: connections, maxMessages: Infinity, ignoreTLS: true });
const start = process.hrtime.bigint(), before = process.cpuUsage();
Promise.all(Array.from({ length: count }, () => pool.sendMail(message))).then(() => {
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify([Number(process.hrtime.bigint() - start) / 1e9, (user + system) / 1e6]));
  pool.close();
});
"""


@contextlib.contextmanager
def nodemailer() -> Iterator[Sender | None]:
    """A pool of nodemailer's; its own time, without that of starting Node. None where npm cannot install it."""
    with tempfile.TemporaryDirectory(prefix="digest-nodemailer-") as folder:
        npm = ["npm", "install", "--no-progress", "--no-save", "--loglevel=error", "nodemailer@^10"]
        try:
            subprocess.run(npm, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return

        def send(load: Load) -> Cost:
            task = {"host": HOST, "port": load.port, "count": load.count, "connections": load.connections}
            task |= {"from": SENDER, "to": RECIPIENT, "raw": load.message.decode()}
            told = subprocess.run(
                ["node", "-e", NODEMAILER], cwd=folder, input=json.dumps(task).encode(), check=True, capture_output=True
            )
            return Cost(*json.loads(told.stdout))

        yield send


async def over_all(load: Load, connection: Callable[[Iterator[int]], Awaitable[None]]) -> None:
    """Lets so many connections share the messages, each taking the next one when it has sent one."""
    numbers = iter(range(load.count))
    await asyncio.gather(*[connection(numbers) for _ in range(load.connections)])


class Row(NamedTuple):
    """A line of a table: who sends what."""

    name: str
    sender: Sender
    load: Load


def table(title: str, rows: Sequence[Row], rounds: int) -> None:
    """Measures the rows in turn, so many times, and prints their medians. The first one is 1.0."""
    costs: list[list[Cost]] = [[] for _ in rows]
    for _ in range(rounds):
        for row, found in zip(rows, costs, strict=True):
            total = row.sender(row.load)
            found.append(Cost(*(each / row.load.count for each in total)))
    print(f"\n{title}\n{'':22}{'a second':>10}{'ratio':>8}{'CPU ms':>9}")
    for row, found in zip(rows, costs, strict=True):
        rate = statistics.median(1 / each.wall for each in found)
        ratio = statistics.median(first.wall / each.wall for first, each in zip(costs[0], found, strict=True))
        cpu = statistics.median(each.cpu for each in found) * 1e3
        print(f"{row.name:22}{rate:10,.0f}{ratio:8.2f}{cpu:9.3f}", flush=True)


def near(port: int, tls_port: int, ca_file: Path, pool: Sender | None, rounds: int) -> None:
    """Prints the tables of this host."""
    for size in SIZES:
        fast = Load(port, message(size), MESSAGES)
        slow = replace(fast, count=MESSAGES // 4)
        rows = [
            Row("smtp-source", smtp_source, fast),
            Row("digest", digest, fast),
            Row("aiosmtplib sendmail", aiosmtplib_sendmail, slow),
            Row("aiosmtplib message", aiosmtplib_message, slow),
            Row("smtplib", smtplib_threads, slow),
            *([Row("nodemailer", pool, slow)] if pool else []),
            Row("digest, TLS", digest, replace(slow, port=tls_port, ca_file=ca_file)),
            Row("aiosmtplib s., TLS", aiosmtplib_sendmail, replace(slow, port=tls_port, ca_file=ca_file)),
        ]
        table(f"{size:,} bytes, {CONNECTIONS} connections", rows, rounds)


def far(rounds: int) -> None:
    """Prints the tables of sinks that are far away."""
    for round_trip in ROUND_TRIPS:
        with distant_sink(round_trip) as port:
            load = Load(port, message(SIZES[1]), FAR_MESSAGES, FAR_CONNECTIONS)
            rows = [
                Row("smtp-source", smtp_source, load),
                Row("digest", digest, load),
                Row("aiosmtplib sendmail", aiosmtplib_sendmail, replace(load, count=FAR_MESSAGES // 4)),
            ]
            where = f"{round_trip * 1e3:.0f} ms away"
            table(f"{SIZES[1]:,} bytes, {FAR_CONNECTIONS} connections, {where}", rows, rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, nodemailer() as pool:
        certificate = Path(folder) / "server.pem"
        certificate.write_text(certificates.LOCALHOST)
        with postfix_sink() as port, tls_sink(certificate) as tls_port:
            near(port, tls_port, certificates.ca_file(Path(folder)), pool, asked.rounds)
    far(asked.rounds)


if __name__ == "__main__":
    main()
