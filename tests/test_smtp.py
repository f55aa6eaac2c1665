"""The SMTP conversation with servers that misbehave at every stage, over real sockets; their log is the judge."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import SendError
from digest.model import Address, DeliveryStatus, Envelope, Outcome, Relay, Security
from digest.send.opening import _own_name, tls_context
from digest.send.smtp import SmtpTransport, Timeouts, transports, wire_address
from tests.servers import certificates
from tests.servers import smtp as servers
from tests.servers.smtp import CollectingServer, Misbehaviour

SENT, DEFERRED, BOUNCED, UNKNOWN = (
    DeliveryStatus.SENT,
    DeliveryStatus.DEFERRED,
    DeliveryStatus.BOUNCED,
    DeliveryStatus.UNKNOWN,
)
RELAY_PASSING, RELAY_LASTING = "relay, passing", "relay, lasting"
BODY = b"Subject: Papers\r\n\r\n.dot\r\n..two dots\r\nlast line\r\n"
PATIENT = Timeouts(command=20, data=20, dot=20, quit=5)


def relay_of(server: CollectingServer, **changes: Any) -> Relay:
    return replace(Relay(server.host, server.port, Security.NONE), **changes)


def message(number: int) -> bytes:
    return b"Message-ID: <%d@example.org>\r\n" % number + BODY


class Client:
    """A transport and a record of how often `before_data` was called."""

    def __init__(self, relay: Relay, timeouts: Timeouts = PATIENT):
        self.transport = transports(relay, timeouts)()
        self.intents = 0

    async def _intent(self) -> None:
        self.intents += 1

    async def _send(self, recipients: Sequence[str]) -> list[Outcome]:
        outcomes = [
            await self.transport.submit(
                Envelope("digest@example.org", Address(recipient)), message(number), self._intent
            )
            for number, recipient in enumerate(recipients)
        ]
        await self.transport.close()
        return outcomes

    def send(self, *recipients: str) -> list[Outcome]:
        return asyncio.run(self._send(recipients or ["ada@example.org"]))


def meaning(outcome: Outcome) -> DeliveryStatus | str:
    if outcome.relay_trouble:
        return RELAY_LASTING if outcome.status is BOUNCED else RELAY_PASSING
    return outcome.status


def test_a_message_arrives_as_it_was() -> None:
    """Envelope and bytes reach the server unchanged, dots at line starts included."""
    with CollectingServer() as server:
        (outcome,) = Client(relay_of(server)).send("ada@example.org")
    (received,) = server.messages
    assert outcome == Outcome(SENT, "2.0.0", "250 2.0.0 Queued", data_begun=True)
    assert (received.sender, received.recipients) == ("digest@example.org", ("ada@example.org",))
    assert received.data == message(0)


@pytest.mark.parametrize("pipelining", [False, True])
def test_one_connection_takes_many_messages(pipelining: bool) -> None:
    """A connection is reused, also after a recipient was refused, and ends with QUIT."""
    refuses_bob = Misbehaviour("rcpt", b"550 5.1.1 No such user\r\n", only=b"bob")
    with CollectingServer(refuses_bob, pipelining=pipelining) as server:
        outcomes = Client(relay_of(server)).send("ada@example.org", "bob@example.org", "cem@example.org")
    assert [meaning(outcome) for outcome in outcomes] == [SENT, BOUNCED, SENT]
    assert server.message_ids == ["<0@example.org>", "<2@example.org>"]
    assert (server.connections, server.commands[-1]) == (1, b"QUIT")


def test_a_reply_that_comes_too_early_is_not_taken_for_the_final_one() -> None:
    """Words after the 354 are not the answer to a message that has not left: it stays here, and nothing is sent."""
    early = Misbehaviour("data", b"354 Go ahead\r\n250 2.0.0 Queued\r\n", accepts=True)
    with CollectingServer(early, servers.rejects_data_554) as server:
        (outcome,) = Client(relay_of(server)).send()
    assert outcome.status is DEFERRED
    assert not server.messages


def test_a_server_that_greets_twice_is_not_talked_to() -> None:
    """A second line behind the greeting would be taken for the answer to EHLO."""
    with CollectingServer(Misbehaviour("banner", b"220 test\r\n250 test\r\n", accepts=True)) as server:
        (outcome,) = Client(relay_of(server)).send()
    assert meaning(outcome) == RELAY_PASSING
    assert server.commands == []


NAMED = [
    (servers.answers_421_banner, RELAY_PASSING, 0),
    (servers.answers_554_banner, RELAY_LASTING, 0),
    (servers.rejects_mail_from, RELAY_LASTING, 0),
    (servers.rejects_rcpt_550, BOUNCED, 0),
    (servers.defers_rcpt_451, DEFERRED, 0),
    (servers.rejects_data_554, BOUNCED, 0),
    (servers.answers_251, SENT, 1),
]


@pytest.mark.parametrize("pipelining", [False, True])
@pytest.mark.parametrize(("misbehaviour", "expected", "arrived"), NAMED)
def test_every_named_misbehaviour(
    misbehaviour: Misbehaviour, expected: DeliveryStatus | str, arrived: int, pipelining: bool
) -> None:
    """What the server does, what it means, and whether the message is there."""
    with CollectingServer(misbehaviour, pipelining=pipelining) as server:
        (outcome,) = Client(relay_of(server)).send()
    assert meaning(outcome) == expected
    assert len(server.messages) == arrived


def test_only_an_address_that_does_not_exist_is_suppressed() -> None:
    """A 5.1.1 at RCPT suppresses; the same text after the dot does not."""
    with CollectingServer(servers.rejects_rcpt_550) as server:
        assert Client(relay_of(server)).send()[0].suppress
    with CollectingServer(replace(servers.rejects_rcpt_550, stage="dot")) as server:
        assert not Client(relay_of(server)).send()[0].suppress


@pytest.mark.parametrize("pipelining", [False, True])
@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_server_that_closes_after_n_messages_charges_nobody(then: Any, pipelining: bool) -> None:
    """The next message goes over a new connection, and each arrives once."""
    with CollectingServer(replace(servers.closes_after_n(2), then=then), pipelining=pipelining) as server:
        outcomes = Client(relay_of(server)).send(*["ada@example.org"] * 5)
    assert [meaning(outcome) for outcome in outcomes] == [SENT] * 5
    assert server.message_ids == [f"<{n}@example.org>" for n in range(5)]
    assert server.connections == 3


@pytest.mark.parametrize("pipelining", [False, True])
def test_a_server_that_says_421_between_two_messages_charges_nobody(pipelining: bool) -> None:
    """Words that nobody asked for end the connection, and the next message goes over a new one."""
    goodbye = Misbehaviour("dot", b"250 2.0.0 Queued\r\n421 4.4.2 Idle for too long\r\n", "close", accepts=True)
    with CollectingServer(goodbye, pipelining=pipelining) as server:
        outcomes = Client(relay_of(server)).send(*["ada@example.org"] * 3)
    assert [meaning(outcome) for outcome in outcomes] == [SENT] * 3
    assert (len(server.messages), server.connections) == (3, 3)


def commands_of(server: CollectingServer) -> list[bytes]:
    return [command[:4] for command in server.commands]


@pytest.mark.parametrize(("pipelining", "before"), [(False, [b"EHLO", b"MAIL", b"RCPT"]), (True, [b"EHLO"])])
def test_the_intent_comes_before_the_write_that_holds_data(pipelining: bool, before: list[bytes]) -> None:
    """While the intent is being committed, the server has not heard DATA; with pipelining, not even MAIL."""
    heard: list[bytes] = []

    async def attempt(server: CollectingServer) -> Outcome:
        async def commit() -> None:
            await asyncio.sleep(0.1)
            heard.extend(commands_of(server))

        transport = SmtpTransport(relay_of(server), timeouts=PATIENT)
        outcome = await transport.submit(Envelope("digest@example.org", Address("ada@example.org")), message(0), commit)
        await transport.close()
        return outcome

    with CollectingServer(pipelining=pipelining) as server:
        assert asyncio.run(attempt(server)).status is SENT
    assert heard == before
    assert commands_of(server) == [b"EHLO", b"MAIL", b"RCPT", b"DATA", b"QUIT"]


def test_a_server_that_wants_a_message_for_nobody_gets_none() -> None:
    """RCPT is refused, DATA answered with 354 all the same: RCPT's verdict stands, and nothing is delivered."""
    refuses_bob = replace(servers.rejects_rcpt_550, only=b"bob")
    with CollectingServer(refuses_bob, servers.wants_data_without_rcpt, pipelining=True) as server:
        outcomes = Client(relay_of(server)).send("ada@example.org", "bob@example.org", "cem@example.org")
    assert [(meaning(outcome), outcome.suppress) for outcome in outcomes] == [
        (SENT, False),
        (BOUNCED, True),
        (SENT, False),
    ]
    assert server.message_ids == ["<0@example.org>", "<2@example.org>"]
    assert (server.connections, server.fragments) == (2, [])


def test_every_reply_to_one_write_is_heeded() -> None:
    """RCPT is refused in good order and DATA with a 421: the verdict is RCPT's, and the connection is done with."""
    closes = Misbehaviour("data without rcpt", b"421 4.3.2 Closing\r\n")
    with CollectingServer(replace(servers.rejects_rcpt_550, only=b"bob"), closes, pipelining=True) as server:
        outcomes = Client(relay_of(server)).send("bob@example.org", "cem@example.org")
    assert [meaning(outcome) for outcome in outcomes] == [BOUNCED, SENT]
    assert server.connections == 2


@pytest.mark.parametrize("security", [Security.NONE, Security.TLS])
@pytest.mark.parametrize(("early", "expected"), [(b"250 Queued\r\n", UNKNOWN), (b"552 5.3.4 Too large\r\n", BOUNCED)])
def test_a_reply_before_the_message_has_left(
    tmp_path: Path, early: bytes, expected: DeliveryStatus, security: Security
) -> None:
    """While most of a message waits to be sent, it can be refused, not accepted; its connection is done with."""

    async def answer_too_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        for reply in (b"250 test\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 Go ahead\r\n", early):
            await reader.readline()
            writer.write(reply)
        open_ends.append(writer)

    open_ends: list[asyncio.StreamWriter] = []

    async def main() -> Outcome:
        tls = certificates.server_context(tmp_path) if security is Security.TLS else None
        server = await asyncio.start_server(answer_too_early, "127.0.0.1", 0, ssl=tls)
        port, ca = server.sockets[0].getsockname()[1], certificates.ca_file(tmp_path)
        transport = SmtpTransport(Relay("127.0.0.1", port, security, ca_file=ca), timeouts=PATIENT)
        large = b"Subject: Papers\r\n\r\n" + b"x" * 20_000_000 + b"\r\n"

        async def intent() -> None: ...

        ada = Envelope("digest@example.org", Address("ada@example.org"))
        outcome = await transport.submit(ada, large, intent)
        await transport.submit(ada, large, intent)
        server.close()
        for writer in open_ends:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # the loop closes both ends
        return outcome

    assert asyncio.run(main()).status is expected
    assert len(open_ends) == 2


def test_what_the_ledger_raises_comes_out_and_nothing_was_sent() -> None:
    """An intent that cannot be committed, even for a full disk, is no trouble of the relay's, and DATA is not sent."""

    async def full_disk() -> None:
        raise OSError("database or disk is full")

    async def attempt(relay: Relay) -> None:
        transport = SmtpTransport(relay, timeouts=PATIENT)
        await transport.submit(Envelope("digest@example.org", Address("ada@example.org")), message(0), full_disk)

    with CollectingServer() as server, pytest.raises(OSError, match="disk is full"):
        asyncio.run(attempt(relay_of(server)))
    assert b"DATA" not in server.commands
    assert not server.messages


def test_a_cancelled_conversation_leaves_no_connection() -> None:
    """After a cancellation in the middle of DATA, what was not yet sent stays unsent and the connection is dropped."""

    async def attempt(relay: Relay) -> bool:
        transport = SmtpTransport(relay, timeouts=PATIENT)
        reached = asyncio.Event()

        async def reach() -> None:
            reached.set()

        sending = asyncio.ensure_future(
            transport.submit(Envelope("digest@example.org", Address("ada@example.org")), message(0), reach)
        )
        await reached.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return sending.cancelled()

    with CollectingServer(Misbehaviour("data", then="stall")) as server:
        assert asyncio.run(attempt(relay_of(server)))
    assert not server.messages


def test_nobody_listens() -> None:
    """A refused connection is the relay's passing trouble, and says where it was tried."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (outcome,) = Client(Relay("127.0.0.1", port, Security.NONE)).send()
    assert meaning(outcome) == RELAY_PASSING
    assert str(port) in outcome.reply


def test_a_message_too_large_is_told_before_it_is_sent() -> None:
    """The server's SIZE is looked at first: bounced, without MAIL."""
    with CollectingServer(size=50) as server:
        (outcome,) = Client(relay_of(server)).send()
    assert (outcome.status, outcome.enhanced_code) == (BOUNCED, "5.3.4")
    assert f"{len(message(0))} bytes" in outcome.reply
    assert "at most 50" in outcome.reply
    assert not [command for command in server.commands if command.startswith(b"MAIL")]


def test_a_size_of_zero_is_no_limit() -> None:
    """SIZE 0 says that there is no fixed limit (RFC 1870)."""
    with CollectingServer(size=0) as server:
        assert Client(relay_of(server)).send()[0].status is SENT


def test_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    """It is announced where the server offers it, and bounces where not; an ordinary address never announces it."""
    with CollectingServer(smtputf8=True) as server:
        outcomes = Client(relay_of(server)).send("jörg@example.org", "ada@example.org")
    assert [outcome.status for outcome in outcomes] == [SENT, SENT]
    assert [b"SMTPUTF8" in command for command in server.commands if command.startswith(b"MAIL")] == [True, False]
    with CollectingServer() as server:
        (outcome,) = Client(relay_of(server)).send("jörg@example.org")
    assert (meaning(outcome), outcome.enhanced_code, outcome.suppress) == (BOUNCED, "5.6.7", False)
    assert not server.messages


def test_an_international_domain_goes_as_a_labels() -> None:
    """The server sees ASCII and no SMTPUTF8 is needed."""
    with CollectingServer() as server:
        assert Client(relay_of(server)).send("ada@bücher.example")[0].status is SENT
    assert server.messages[0].recipients == ("ada@xn--bcher-kva.example",)


@pytest.mark.parametrize("address", ["a@b.org>\r\nRCPT TO:<c@d.org", "a b@c.org", "a@xn--\u2028.org", "a@\u2488com"])
def test_an_address_cannot_smuggle_a_command(address: str) -> None:
    """What would not stay one address on a command line is bounced without a connection."""
    with CollectingServer() as server:
        (outcome,) = Client(relay_of(server)).send(address)
    assert (meaning(outcome), outcome.suppress) == (BOUNCED, False)
    assert server.connections == 0


@pytest.mark.parametrize("pipelining", [False, True])
def test_starttls_and_login(tmp_path: Path, pipelining: bool) -> None:
    """With a CA that is trusted, the password and the message go over TLS."""
    context = certificates.server_context(tmp_path)
    with CollectingServer(tls=context, credentials=("digest", "s3cret"), pipelining=pipelining) as server:
        relay = relay_of(
            server,
            security=Security.STARTTLS,
            ca_file=certificates.ca_file(tmp_path),
            username="digest",
            password="s3cret",
        )
        assert Client(relay).send()[0].status is SENT
    (received,) = server.messages
    assert (received.tls, received.user) == (True, "digest")
    clear = server.commands[: server.commands.index(b"STARTTLS")]
    assert [command[:4] for command in clear] == [b"EHLO"]


def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    """`tls` needs no STARTTLS."""
    with CollectingServer(tls=certificates.server_context(tmp_path), implicit_tls=True) as server:
        relay = relay_of(server, security=Security.TLS, ca_file=certificates.ca_file(tmp_path))
        assert Client(relay).send()[0].status is SENT
    assert server.messages[0].tls


UNTRUSTED = [
    # the server's certificate, the CA that the client trusts
    (certificates.LOCALHOST, certificates.OTHER_CA),
    (certificates.ANOTHER_HOST, certificates.CA),
]


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
@pytest.mark.parametrize(("certificate", "ca"), UNTRUSTED)
def test_a_bad_certificate_ends_it(tmp_path: Path, security: Security, certificate: str, ca: str) -> None:
    """A certificate of another CA, or for another host: no login, no MAIL, and no trying in the clear."""
    context = certificates.server_context(tmp_path, certificate)
    with CollectingServer(tls=context, implicit_tls=security is Security.TLS, credentials=("digest", "x")) as server:
        relay = relay_of(
            server, security=security, ca_file=certificates.ca_file(tmp_path, ca), username="digest", password="x"
        )
        (outcome,) = Client(relay).send()
    assert meaning(outcome) == RELAY_LASTING
    assert outcome.reply.startswith("TLS failed: ")
    assert not [command for command in server.commands if command[:4] in (b"AUTH", b"MAIL")]


@pytest.mark.parametrize(
    ("misbehaviour", "expected"),
    [
        (servers.strips_starttls, RELAY_LASTING),
        (servers.injects_after_starttls, RELAY_LASTING),
        (Misbehaviour("starttls", b"454 4.7.0 TLS not available\r\n"), RELAY_PASSING),
        (Misbehaviour("starttls", b"502 5.5.1 What?\r\n"), RELAY_LASTING),
        (Misbehaviour("starttls", b"250 Not what was asked for\r\n"), RELAY_PASSING),
        (Misbehaviour("starttls", b"220 Ready\r\nnot a handshake"), RELAY_LASTING),
        (Misbehaviour("starttls", then="reset"), RELAY_PASSING),
    ],
)
def test_without_tls_there_is_no_login_and_no_mail(tmp_path: Path, misbehaviour: Misbehaviour, expected: str) -> None:
    """STARTTLS stripped, refused, broken, or followed by words in the clear: never a silent fall-back."""
    context = certificates.server_context(tmp_path)
    with CollectingServer(misbehaviour, tls=context, credentials=("digest", "x")) as server:
        relay = relay_of(
            server,
            security=Security.STARTTLS,
            ca_file=certificates.ca_file(tmp_path),
            username="digest",
            password="x",
        )
        outcomes = Client(relay).send("ada@example.org", "bob@example.org")
    assert [meaning(outcome) for outcome in outcomes] == [expected] * 2
    assert not [command for command in server.commands if command[:4] in (b"AUTH", b"MAIL")]


def test_a_wrong_password_is_tried_once() -> None:
    """One refusal is enough: no second method, no MAIL, nobody marked."""
    with CollectingServer(credentials=("digest", "right")) as server:
        (outcome,) = Client(relay_of(server, username="digest", password="wrong")).send()
    assert meaning(outcome) == RELAY_LASTING
    assert "535" in outcome.reply
    assert "wrong" not in outcome.reply
    assert len([command for command in server.commands if command.startswith(b"AUTH")]) == 1


def test_a_relay_that_offers_no_login() -> None:
    """A username is set and AUTH is not offered: said in words, and nothing is sent without it."""
    with CollectingServer() as server:
        (outcome,) = Client(relay_of(server, username="digest", password="x")).send()
    assert meaning(outcome) == RELAY_LASTING
    assert "username" in outcome.reply


def test_a_password_is_not_sent_in_the_clear_beyond_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS, AUTH is for loopback only."""
    with CollectingServer(credentials=("digest", "x")) as server:
        relay = relay_of(server, username="digest", password="x")
        monkeypatch.setattr("digest.send.opening.is_loopback", lambda host: False)
        (outcome,) = Client(relay).send()
    assert meaning(outcome) == RELAY_LASTING
    assert not [command for command in server.commands if command[:4] in (b"AUTH", b"MAIL")]


def test_a_host_whose_name_is_none_is_called_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux lets a host have 64 letters; whoever looks such a name up is told by Python that it is too long."""
    monkeypatch.setattr(socket, "gethostname", lambda: "a" * 64)
    assert asyncio.run(_own_name("192.0.2.1")) == "[192.0.2.1]"


def test_transports_of_a_relay_share_one_tls_context(tmp_path: Path) -> None:
    """Building a context costs as much as sending many messages."""
    relay = Relay("localhost", 1, Security.TLS, ca_file=certificates.ca_file(tmp_path))
    new = transports(relay)
    assert new()._tls is new()._tls


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A missing or broken `ca_file` is one clear line."""
    for path in (tmp_path / "missing.pem", tmp_path / "broken.pem"):
        (tmp_path / "broken.pem").write_text("not a certificate")
        with pytest.raises(SendError, match=path.name):
            tls_context(Relay("localhost", 1, Security.TLS, ca_file=path))


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])))
def test_any_address_stays_on_its_line(address: str) -> None:
    """Whatever the address, it is refused or has no character that ends it or its line."""
    try:
        wire = wire_address(address).wire
    except ValueError:
        return
    assert not set(wire) & set(b"\x00\r\n <>")
