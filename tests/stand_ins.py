"""What stands in for the world while a page of the docs is run: its clock, its sources, its servers.

The commands of a page are typed as a reader would type them, with the names of hosts that are not there.
The `digest` of such a page (`tests/shims.py`) is the program itself, to which other hosts answer.
Host names that a page has servers for lead to these, on loopback, by certificates that the page trusts; no other does.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import ssl
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.servers.postfix import Postfix
    from tests.servers.smtp import Misbehaviour

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "STAND_INS"
"""JSON for the child: `{"now": …, "hosts": {"smtp.example.org": 1234}, "dns": "127.0.0.1:5300"}`."""
DAY = "2026-06-09T07:05Z"
"""A moment after the demo's first day was announced."""


@dataclass(frozen=True)
class World:
    """What is replaced for one page."""

    relays: tuple[str, ...] = ()
    """Hosts at which a server takes all mail: with STARTTLS, or TLS at once where it is written `host:465`."""
    login: tuple[str, str] | None = None
    """The user and password that these servers want."""
    misbehaviours: tuple[Misbehaviour, ...] = ()
    """What they do in place of what is usual: a refusal that a page tells of."""
    postfix: tuple[str, ...] = ()
    """The mailboxes of a real Postfix at localhost and mail.example.org, whose certificate is the test CA's."""
    mailbox: str | None = None
    """The host of a mailbox, by TLS; its user is `digest`, its password that of `tests/servers/imap.py`."""
    mail: tuple[bytes, ...] = ()
    """What lies in it."""
    now: str | None = DAY
    """The time, for commands that take `--now`; None: the real one."""
    serves_pages: bool = False
    """Whether `digest web` runs there: it is given a port that is free then, not when the tests were collected."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that a reader has and a page does not show, such as those of passwords."""
    dns: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    """What the DNS says: `{"example.org": [("TXT", '"v=spf1 -all"')]}`; nothing else is known there."""

    @contextlib.contextmanager
    def around(self, folder: Path) -> Iterator[dict[str, str]]:
        """The environment of the page's commands, while its servers answer. `folder` is the page's own, made here."""
        folder.mkdir()
        behind = folder.with_name(folder.name + "-behind")
        behind.mkdir()
        for name, text in self.files.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        from tests import shims
        from tests.servers.dns import DnsServer
        from tests.servers.ports import free_port

        (behind / "bin").mkdir()
        shims.write(behind / "bin" / "digest")
        pip = behind / "bin" / "pip"
        pip.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.stand_ins "$@"\n')
        pip.chmod(0o755)

        with contextlib.ExitStack() as stack:
            hosts = _servers(stack, behind, self)
            child: dict[str, Any] = {"now": self.now, "hosts": hosts}
            child["dns"] = stack.enter_context(DnsServer(self.dns)).address
            yield {
                "PATH": os.pathsep.join([str(behind / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "HOME": str(folder),
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                "COLUMNS": "120",
                "BROWSER": "true",  # takes `--open` for done
                "SSL_CERT_FILE": str(behind / "ca.pem"),
                VARIABLE: json.dumps(child),
                **({"DIGEST_WEB__PORT": str(free_port())} if self.serves_pages else {}),
            }


def _servers(stack: contextlib.ExitStack, behind: Path, world: World) -> dict[str, int]:
    """The ports of the servers of each host name, from now to the end of `stack`."""
    from tests.servers import papers
    from tests.servers.imap import ImapServer, offers_idle
    from tests.servers.smtp import CollectingServer

    hosts: dict[str, int] = {}
    names = [*papers.HOSTS, *(name.partition(":")[0] for name in world.relays), *filter(None, [world.mailbox])]
    pem = _certificate(behind, names)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    day = datetime.fromisoformat(world.now or DAY).date()
    sources = stack.enter_context(papers.PaperServer(context, day))
    hosts |= dict.fromkeys(papers.HOSTS, sources.port)
    for name in world.relays:
        host, _, port = name.partition(":")
        server = CollectingServer(
            *world.misbehaviours, tls=context, implicit_tls=port == "465", credentials=world.login, pipelining=True
        )
        hosts[host] = stack.enter_context(server).port
    if world.mailbox:
        inbox = ImapServer(world.mail, offers_idle, "tls", tls=context)
        hosts[world.mailbox] = stack.enter_context(inbox).port
    if world.postfix:
        hosts |= dict.fromkeys(("localhost", "mail.example.org"), stack.enter_context(_postfix(behind, world)).port)
    return hosts


def _postfix(behind: Path, world: World) -> Postfix:
    from tests.servers import certificates
    from tests.servers.postfix import Postfix

    pem = behind / "mail.pem"
    pem.write_text(certificates.ANOTHER_HOST)
    lines = f"smtpd_tls_cert_file = {pem}\nsmtpd_tls_key_file = {pem}\nmynetworks = 127.0.0.0/8\n"
    lines += "message_size_limit = 10240000\n"
    lines += "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination\n"
    return Postfix(list(world.postfix), main_cf=lines)


def _certificate(folder: Path, names: list[str]) -> Path:
    """A certificate and key for these hosts in one file; `ca.pem` beside it is what a client is to trust."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-ins")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(public)
    (folder / "server.pem").write_bytes(public + secret)
    return folder / "server.pem"


# --- In the page's own processes ------------------------------------------------------------------------------------


def _base_install() -> None:
    """Readers of a page have no extra `semantic`, whatever is here."""
    from digest.rank import embedding

    known = embedding.available
    for module in [module for module in sys.modules.values() if getattr(module, "available", None) is known]:
        vars(module)["available"] = lambda: False


def digest(words: list[str], world: Mapping[str, Any]) -> None:
    """`digest WORDS` as it is in this world: at its time, with its hosts."""
    from digest.cli import main

    _base_install()
    _lead_hosts_to(world["hosts"])
    options = _options_of(words)
    for option, value in (("--now", world["now"]), ("--resolver", world["dns"])):
        if value and option in options and option not in words:
            words = [*words, option, value]
    sys.argv = ["digest", *words]
    main()


def _options_of(words: list[str]) -> set[str]:
    import typer

    from digest.cli import cli

    command: Any = typer.main.get_command(cli)
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    return {option for parameter in command.params for option in parameter.opts}


def _lead_hosts_to(ports: Mapping[str, int]) -> None:
    """Gives these names addresses at which the servers on loopback answer. No other name or address is known.

    The addresses are public ones, as digest does not ask sources at private ones; nothing is ever sent there.
    """
    resolve: Callable[..., Any] = socket.getaddrinfo
    connect: Callable[..., Any] = socket.socket.connect
    addresses = {name: f"93.184.215.{number}" for number, name in enumerate(ports, 1)}
    leads = {addresses[name]: port for name, port in ports.items()}

    def resolved(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not _is_address(name) and name not in {"localhost", *addresses}:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(addresses.get(name, name), *args, **kwargs)

    def connected(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple):
            if address[0] in leads:
                address = ("127.0.0.1", leads[address[0]])
            elif not address[0].startswith(("127.", "::1", "localhost")):
                raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return connect(self, address)

    vars(socket)["getaddrinfo"] = resolved
    setattr(socket.socket, "connect", connected)  # noqa: B010 - a type checker knows that this is not meant to be done


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def pip(words: list[str]) -> None:
    """`pip install` of digest itself, which is here already: whether it would have the extras that are named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words[0] == "install", words
    for word in (word for word in words[1:] if not word.startswith("-")):
        named = re.fullmatch(rf"(?:\.|{project['name']})(?:\[([\w,]+)\])?", word)
        assert named, f"{word}: this is not digest"
        for extra in filter(None, (named[1] or "").split(",")):
            assert extra in project["optional-dependencies"], f"there is no extra {extra}"


if __name__ == "__main__":
    pip(sys.argv[1:])
