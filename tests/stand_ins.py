"""What stands in for the world while a page of the docs is run: its clock, its sources, its servers.

The commands of a page are typed as a reader would type them, with the names of hosts that are not there.
`python -m tests.stand_ins digest …` is the `digest` of such a page: the program itself, to which other hosts answer.
Host names that a page has servers for lead to these, on loopback, by certificates that the page trusts; no other does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "STAND_INS"
"""JSON for the child: `{"now": …, "hosts": {"smtp.example.org": 1234}}`."""
DAY = "2026-06-09T07:05Z"
"""A moment after the demo's first day was announced."""


@dataclass(frozen=True)
class World:
    """What is replaced for one page."""

    relays: tuple[str, ...] = ()
    """Hosts at which a server takes all mail: with STARTTLS, or TLS at once where it is written `host:465`."""
    login: tuple[str, str] | None = None
    """The user and password that these servers want."""
    now: str | None = DAY
    """The time, for commands that take `--now`; None: the real one."""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that a reader has and a page does not show, such as those of passwords."""

    @contextlib.contextmanager
    def around(self, folder: Path) -> Iterator[dict[str, str]]:
        """The environment of the page's commands, while its servers answer. `folder` is the page's own, made here."""
        folder.mkdir()
        behind = folder.with_name(folder.name + "-behind")
        behind.mkdir()
        for name, text in self.files.items():
            (folder / name).write_text(text)
        for name in ("digest", "pip"):
            shim = behind / "bin" / name
            shim.parent.mkdir(exist_ok=True)
            shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.stand_ins {name} "$@"\n')
            shim.chmod(0o755)
        with contextlib.ExitStack() as stack:
            hosts = _relays(stack, behind, self.relays, self.login)
            child: dict[str, Any] = {"now": self.now, "hosts": hosts}
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
                "DIGEST_SOURCES": json.dumps(_SOURCES),
                "DIGEST_LIST__SEMANTIC": "false",  # whatever is installed here
                VARIABLE: json.dumps(child),
                **self.environment,
            }


_FEEDS = ROOT / "digest" / "demo" / "feeds"
_SOURCES = [
    {"kind": "arxiv", "categories": ["cs.CV", "cs.LG"], "url": (_FEEDS / "arxiv").as_uri()},
    {"kind": "huggingface", "url": (_FEEDS / "huggingface").as_uri()},
]
"""The demo's feeds, for arXiv's and Hugging Face's own."""


def _relays(
    stack: contextlib.ExitStack, behind: Path, names: tuple[str, ...], login: tuple[str, str] | None
) -> dict[str, int]:
    from tests.servers.smtp import CollectingServer

    hosts = {}
    pem = _certificate(behind, [name.partition(":")[0] for name in names])
    for name in names:
        host, _, port = name.partition(":")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
        server = CollectingServer(tls=context, implicit_tls=port == "465", credentials=login)
        hosts[host] = stack.enter_context(server).port
    return hosts


def _certificate(folder: Path, names: list[str]) -> Path:
    """A certificate and key for these hosts in one file; `ca.pem` beside it is what a client is to trust."""
    from datetime import UTC, datetime, timedelta

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
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names or ["localhost"]]), critical=False)
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


def digest(words: list[str], world: Mapping[str, Any]) -> None:
    """`digest WORDS` as it is in this world: at its time, with its hosts."""
    from digest.cli import main

    _lead_hosts_to(world["hosts"])
    options = _options_of(words)
    if world["now"] and "--now" in options and "--now" not in words:
        words = [*words, "--now", world["now"]]
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
    """Names that there are servers for are at loopback and these ports; every other name is nowhere."""
    real: Callable[..., Any] = socket.getaddrinfo

    def found(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in ports:
            return real("127.0.0.1", ports[name], *args, **kwargs)
        if name and re.search(r"[a-z]\.|^[a-z]+$", name, re.I) and name != "localhost" and name != socket.gethostname():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, port, *args, **kwargs)

    socket.getaddrinfo = found


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
    if sys.argv[1] == "pip":
        pip(sys.argv[2:])
    else:
        digest(sys.argv[2:], json.loads(os.environ[VARIABLE]))
