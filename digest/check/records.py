"""What the DNS should say of a DKIM key, of DMARC, of a mail exchanger and of an address's name. Pure.

Called by `mail_dns.py` with a look-up that asks; every function gives one finding, with the record to publish.
Sources: RFC 6376 section 3.6.1 and RFC 8463 (DKIM keys), RFC 7489 (DMARC), RFC 5321 section 5.1 and RFC 7505 (MX).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from ipaddress import ip_address

from digest.check.findings import Finding, Record, failed, ok, warning
from digest.check.lookup import Lookup


def tags(record: str) -> dict[str, str]:
    """The tag-list of RFC 6376 section 3.2, names in lower case; what is no tag is passed over, the first counts."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def dkim(domain: str, selector: str, algorithm: str, public: bytes, look_up: Lookup) -> Finding:  # noqa: PLR0911
    """Whether receivers find the key that we sign with. `public` is the key as `p=` has it, before base64."""
    name = f"{selector}._domainkey.{domain}"
    subject = f"DKIM key {name}"
    kind = algorithm.partition("-")[0]
    record = Record(name, "TXT", f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}")
    found = [text for text in look_up(name, "TXT") if "p" in tags(text)]
    if not found:
        return failed(subject, "is not published, so no receiver believes the signatures", "publish", record)
    if len(found) > 1:
        return failed(subject, f"there are {len(found)} records, and receivers take any", "keep one", record)
    published = tags(found[0])
    if not published["p"]:
        return failed(subject, "is revoked: its p= is empty", "publish the key, or sign with another selector", record)
    if published.get("k", "rsa") != kind or published.get("v", "DKIM1") != "DKIM1":
        return failed(subject, f"is published as another kind of key than {kind}", "publish", record)
    if _key_bytes(published["p"]) not in (public, _inner_rsa(public)):
        says = "the published key is not the one that `key_file` holds, so every signature fails"
        return failed(subject, says, "publish, or put the key back that belongs to the record", record)
    hashes, services = published.get("h", "sha256"), published.get("s", "*")
    if "sha256" not in re.split(r"[:\s]+", hashes) or not {"*", "email"} & set(re.split(r"[:\s]+", services)):
        return failed(subject, "its h= or s= does not allow what we sign: SHA-256, email", "publish", record)
    if "y" in re.split(r"[:\s]+", published.get("t", "")):
        says = "matches, but is published as a test (t=y): receivers may take no notice"
        return warning(subject, says, "publish it without", record)
    return ok(subject, "matches the private key")


def _key_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(re.sub(r"\s+", "", text), validate=True)
    except binascii.Error:
        return b""


def _inner_rsa(public: bytes) -> bytes:
    """The RSAPublicKey inside of a SubjectPublicKeyInfo: some publish that (RFC 6376 section 3.6.1's erratum)."""
    at = public.find(b"\x00\x30\x82")
    return public[at + 1 :] if at >= 0 else public


def is_aligned(one: str, other: str, *, strict: bool) -> bool:
    """Whether two domains belong together for DMARC (RFC 7489 section 3.1).

    Relaxed, they do if their organization is the same. Which domain is the organization's is known to nobody without a
    list of all registries, so here one must be the other or above it.
    """
    one, other = one.lower(), other.lower()
    return one == other or (not strict and (one.endswith(f".{other}") or other.endswith(f".{one}")))


def dmarc_record(domain: str, look_up: Lookup) -> tuple[str, dict[str, str]] | None:
    """Where the policy for a domain stands, and its tags; None if there is none.

    The domain itself is asked, then those above it down to two labels, as the organization's counts (RFC 7489 section
    6.6.3). Several records are as good as none.
    """
    labels = domain.split(".")
    for at in range(max(1, len(labels) - 1)):
        place = ".".join(labels[at:])
        found = [text for text in look_up(f"_dmarc.{place}", "TXT") if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
        if len(found) == 1:
            return place, tags(found[0])
    return None


def dmarc(
    domain: str, spf_domain: str | None, dkim_domains: Sequence[str], signs_for_us: bool, look_up: Lookup
) -> Finding:
    """Whether DMARC is published for the From domain, and what we send passes it.

    `spf_domain` is the envelope's, None if SPF does not pass; `signs_for_us` says that the relay, known to sign for the
    domain, is trusted to.
    """
    subject = f"DMARC of {domain}"
    found = dmarc_record(domain, look_up)
    if found is None:
        record = Record(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}")
        says = "is not published: Gmail and Yahoo ask it of whoever sends 5,000 messages a day"
        return warning(subject, says, "publish, and read the reports that come", record)
    place, policy = found
    wanted = policy.get("p", "none").lower()
    if place != domain:
        wanted = policy.get("sp", wanted).lower()
    by_dkim = [d for d in dkim_domains if is_aligned(d, domain, strict=policy.get("adkim", "r").lower() == "s")]
    by_spf = bool(spf_domain) and is_aligned(spf_domain or "", domain, strict=policy.get("aspf", "r").lower() == "s")
    where = f"p={wanted}" + (f" of {place}" if place != domain else "")
    ways = [*(["DKIM"] if by_dkim or signs_for_us else []), *(["SPF"] if by_spf else [])]
    if ways:
        return ok(subject, f"{where}, aligned by {' and '.join(ways)}")
    says = f"{where}, and neither a signature nor the envelope sender is aligned with {domain}"
    todo = "sign with a key of that domain ([dkim]), or send through a relay that its SPF record names"
    return warning(subject, says, todo) if wanted == "none" else failed(subject, says, todo)


def exchangers(domain: str, purpose: str, look_up: Lookup) -> Finding:
    """Whether mail for the domain can arrive. `purpose` names that mail: "bounces"."""
    subject = f"MX of {domain}"
    hosts = look_up(domain, "MX")
    if list(hosts) == ["."]:
        says = f"the domain takes no mail at all (null MX), so {purpose} are lost"
        return failed(subject, says, "use an address of a domain that does")
    if hosts:
        dead = [host for host in hosts if not (look_up(host, "A") or look_up(host, "AAAA"))]
        if len(dead) == len(hosts):
            return failed(subject, f"{', '.join(dead)}: no such host, so {purpose} are lost", "correct the MX record")
        return ok(subject, f"{hosts[0]} takes {purpose}")
    if look_up(domain, "A") or look_up(domain, "AAAA"):
        record = Record(domain, "MX", f"10 {domain}.")
        says = f"there is none, so {purpose} go to {domain} itself"
        return warning(subject, says, "publish one, so that it is meant", record)
    record = Record(domain, "MX", f"10 mail.{domain}.")
    says = f"there is none, nor an address: {purpose} are lost, and many receivers refuse such a sender"
    return failed(subject, says, "publish, with your own mail server's name", record)


def reverse(address: str, look_up: Lookup) -> Finding:
    """Whether an address that sends has a name, and the name leads back to it: many receivers ask for both."""
    subject = f"PTR of {address}"
    ip = ip_address(address)
    names = look_up(ip.reverse_pointer, "PTR")
    todo = "have whoever owns the address name it after the relay"
    if not names:
        record = Record(ip.reverse_pointer, "PTR", "mail.example.org.")
        return warning(subject, "the address has no name: Gmail and others refuse such senders", todo, record)
    kind = "A" if ip.version == 4 else "AAAA"
    for name in names:
        if any(ip_address(found) == ip for found in look_up(name, kind)):
            return ok(subject, f"{name}, which leads back to it")
    record = Record(names[0], kind, address)
    return warning(subject, f"{names[0]} does not lead back to it", f"publish, or {todo}", record)
