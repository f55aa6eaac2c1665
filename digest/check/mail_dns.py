"""What receivers will find in the DNS about a list's mail: SPF, DKIM, DMARC, MX and PTR together. Pure over a look-up.

`doctor.py` calls `questions` and runs each in a thread of its own, as they ask the DNS. How a relay sends is seen by
who runs it: a provider sends from addresses of its own, which its SPF record names; any other relay is taken to send
from the address that it listens at; one on this machine, from this machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network

from digest.check import records, spf
from digest.check.findings import Finding, Record, failed, ok, warning
from digest.check.lookup import Lookup
from digest.check.spf import Verdict
from digest.hosts import is_loopback
from digest.providers import Provider, provider_of_relay

NOBODY = "192.0.2.1"
"""An address of nobody's (RFC 5737): judging it reads a whole record."""
_DOCUMENTATION = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a key that signs."""

    domain: str
    selector: str
    algorithm: str
    public: bytes
    """As `p=` has it, before base64."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What a list's mail looks like from outside."""

    sender: str
    """The address in `From`."""
    envelope: str
    """The address to which bounces go."""
    relays: tuple[str, ...]
    """Their hosts."""
    keys: tuple[PublicKey, ...] = ()
    own_address: str | None = None
    """This machine's, where the world knows it."""

    @property
    def domain(self) -> str:
        """Of `From`."""
        return _domain(self.sender)

    @property
    def envelope_domain(self) -> str:
        """Of bounces: the one that SPF is asked about."""
        return _domain(self.envelope)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


Question = tuple[str, Callable[[], list[Finding]]]
"""What is asked about, and the asking; it may raise NoAnswerError."""


def questions(mail: Mail, look_up: Lookup) -> list[Question]:
    """All that is to be asked about the list's mail."""
    asked: list[Question] = [
        (f"SPF of {mail.envelope_domain}", lambda: [_spf(mail, relay, look_up) for relay in mail.relays]),
        *(
            (f"DKIM key {key.selector}._domainkey.{key.domain}", partial(_dkim, key, look_up))
            for key in mail.keys
        ),
        (f"DMARC of {mail.domain}", lambda: [_dmarc(mail, look_up)]),
        (f"MX of {mail.envelope_domain}", lambda: [records.exchangers(mail.envelope_domain, "bounces", look_up)]),
        ("PTR", lambda: _reverse(mail, look_up)),
    ]  # fmt: skip
    if not mail.keys:
        asked.insert(1, ("DKIM", lambda: [_unsigned(mail)]))
    return asked


def _dkim(key: PublicKey, look_up: Lookup) -> list[Finding]:
    return [records.dkim(key.domain, key.selector, key.algorithm, key.public, look_up)]


def _unsigned(mail: Mail) -> Finding:
    subject = f"DKIM of {mail.domain}"
    signers = [provider.name for relay in mail.relays if (provider := provider_of_relay(relay))]
    if len(signers) == len(mail.relays):
        return ok(subject, f"no key of our own: {' and '.join(dict.fromkeys(signers))} can sign for its customers")
    todo = "let the relay sign, or write a [dkim] table: `digest check --fix` then makes its key"
    return warning(subject, "nothing is signed here, and whether the relay signs cannot be seen from here", todo)


def addresses_of(mail: Mail, relay: str, look_up: Lookup) -> tuple[str, ...]:
    """From where a relay that is no provider's sends, as far as can be seen from here."""
    try:
        found = [str(ip_address(relay))]
    except ValueError:
        found = [] if is_loopback(relay) else [*look_up(relay, "A"), *look_up(relay, "AAAA")]
    public = [address for address in found if not _is_inside(address)]
    return tuple(public) or ((mail.own_address,) if mail.own_address else ())


def _is_inside(address: str) -> bool:
    """Whether the world sees another address in this one's place. Those of documentation count as the world's."""
    ip = ip_address(address)
    return ip.is_loopback or ip.is_link_local or (ip.is_private and not any(ip in net for net in _DOCUMENTATION))


def _spf(mail: Mail, relay: str, look_up: Lookup) -> Finding:
    domain, provider = mail.envelope_domain, provider_of_relay(relay)
    subject = f"SPF of {domain} for {relay}"
    if provider and domain in provider.domains:
        return ok(subject, f"{domain} is {provider.name}'s own")
    addresses = () if provider else addresses_of(mail, relay, look_up)
    wanted = [f"include:{provider.spf}"] if provider and provider.spf else [spf.term_of(ip) for ip in addresses]
    judged = [spf.judge(ip, domain, mail.envelope, look_up) for ip in addresses or (NOBODY,)]
    bad = next((j for j in judged if j.verdict in (Verdict.PERMERROR, Verdict.TEMPERROR)), None)
    if bad and bad.verdict is Verdict.PERMERROR:
        return failed(subject, f"the record is wrong, so it counts for nothing: {bad.reason}", "correct it")
    if bad:
        return warning(subject, f"the DNS did not answer: {bad.reason}", "try again")
    record = spf.record_of(domain, look_up)
    publish = [Record(domain, "TXT", spf.with_terms(record, wanted))] if wanted else []
    if record is None:
        unseen = "" if publish else ", with the address by which mail leaves: from here it cannot be seen"
        return failed(subject, "there is no record, so nobody may send for the domain", f"publish{unseen}", *publish)
    return _judgement(subject, provider, addresses, judged, publish)


def _judgement(  # noqa: PLR0911 - one for each state
    subject: str,
    provider: Provider | None,
    addresses: Sequence[str],
    judged: Sequence[spf.Judged],
    publish: Sequence[Record],
) -> Finding:
    used = f"{max(j.lookups for j in judged)} of {spf.MOST_LOOKUPS} look-ups"
    if provider and not provider.spf:
        return ok(subject, f"there is a record; what {provider.name} sends from is not known here ({used})")
    if provider:
        if provider.spf.lower() in judged[0].included:
            return ok(subject, f"includes {provider.spf} ({used})")
        says = f"does not include {provider.spf}, where {provider.name} names the addresses that it sends from"
        return failed(subject, says, "publish", *publish)
    if not addresses:
        return ok(subject, f"there is a record; by which address mail leaves here cannot be seen from inside ({used})")
    for address, one in zip(addresses, judged, strict=True):
        if one.verdict is Verdict.PASS:
            continue
        says = f"{address} is not among those that may send: {one.verdict} by `{one.reason or 'no record'}`"
        if one.verdict is Verdict.FAIL:
            return failed(subject, says, "publish, if the relay sends from there", *publish)
        return warning(subject, says, "publish, if the relay sends from there", *publish)
    return ok(subject, f"lets {' and '.join(addresses)} send, by `{judged[0].reason}` ({used})")


def _passes_spf(mail: Mail, look_up: Lookup) -> bool:
    """Whether SPF lets every relay send for the envelope's domain, as far as can be seen."""
    return all(not _spf(mail, relay, look_up).todo for relay in mail.relays)


def _dmarc(mail: Mail, look_up: Lookup) -> Finding:
    published = [
        key.domain
        for key in mail.keys
        if not records.dkim(key.domain, key.selector, key.algorithm, key.public, look_up).todo
    ]
    own = all((p := provider_of_relay(relay)) and mail.domain in p.domains for relay in mail.relays)
    spf_domain = mail.envelope_domain if _passes_spf(mail, look_up) else None
    return records.dmarc(mail.domain, spf_domain, published, own, look_up)


def _reverse(mail: Mail, look_up: Lookup) -> list[Finding]:
    relays = [relay for relay in mail.relays if not provider_of_relay(relay)]
    found = dict.fromkeys(address for relay in relays for address in addresses_of(mail, relay, look_up))
    return [records.reverse(address, look_up) for address in found]
