"""Which addresses may send for a domain: SPF's `check_host()` (RFC 7208), and the record that is missing.

Pure: the DNS is a function. Terms are counted as section 4.6.4 says: ten that ask the DNS, two of them in vain. No
released library does this on dnspython: pyspf's last release (2.0.14) is of 2020.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from digest.check.lookup import Lookup, NoAnswerError

Ip = IPv4Address | IPv6Address

MOST_LOOKUPS = 10
MOST_VOID = 2
_TERM = re.compile(r"(?P<qualifier>[-+~?]?)(?P<name>[A-Za-z][A-Za-z0-9_.-]*)(?P<rest>[:/=].*)?")
_CIDR = re.compile(r"(?P<domain>[^/]*?)(?:/(?P<four>\d{1,2}))?(?://(?P<six>\d{1,3}))?")
_MACRO = re.compile(
    r"%(?:\{(?P<letter>[A-Za-z])(?P<digits>\d*)(?P<reverse>[rR]?)(?P<cuts>[-.+,/_=]*)\}|(?P<sign>[%_-]))"
)
_DOMAIN_END = re.compile(r"(?:\.(?=[^.]*[A-Za-z-])[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|%\{[^}]*\})$")
"""How a domain-spec ends (section 7.1): with a label that is no number, or with a macro."""
_SIGNS = {"%": "%", "_": " ", "-": "%20"}


class Verdict(StrEnum):
    """The results of section 2.6."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - no password
    NEUTRAL = "neutral"
    SOFTFAIL = "softfail"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_QUALIFIERS = {"": Verdict.PASS, "+": Verdict.PASS, "-": Verdict.FAIL, "~": Verdict.SOFTFAIL, "?": Verdict.NEUTRAL}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a domain says of one address."""

    verdict: Verdict
    reason: str = ""
    """The term that matched, or what is wrong."""
    lookups: int = 0
    included: frozenset[str] = frozenset()
    """The domains whose records were read on the way, in lower case."""


class _PermError(Exception):
    """The record is wrong: section 2.6.7."""


@dataclass
class _Count:
    lookups: int = 0
    void: int = 0
    read: set[str] = field(default_factory=set)

    def term(self) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise _PermError(f"more than {MOST_LOOKUPS} terms ask the DNS")

    def answer(self, found: Sequence[str]) -> Sequence[str]:
        if not found:
            self.void += 1
            if self.void > MOST_VOID:
                raise _PermError(f"more than {MOST_VOID} look-ups find nothing")
        return found


def judge(ip: str, domain: str, sender: str, look_up: Lookup) -> Judged:
    """What the record of `domain` says of mail with the envelope sender `sender` that comes from the address `ip`."""
    count = _Count()
    host = _CheckHost(ip_address(ip), sender, look_up, count)
    try:
        verdict, reason = host.run(domain)
    except NoAnswerError as error:
        verdict, reason = Verdict.TEMPERROR, str(error)
    except _PermError as error:
        verdict, reason = Verdict.PERMERROR, str(error)
    return Judged(verdict, reason, count.lookups, frozenset(count.read))


def record_of(domain: str, look_up: Lookup) -> str | None:
    """The domain's SPF record; None if there is none. Raises NoAnswerError, ValueError where there are several."""
    found = [text for text in look_up(domain, "TXT") if re.match(r"v=spf1(?: |$)", text, re.I)]
    if len(found) > 1:
        raise ValueError(f"{domain} has {len(found)} SPF records, and may have one")
    return found[0] if found else None


def with_terms(record: str | None, terms: Sequence[str]) -> str:
    """The record with more terms, before what ends it; a new one ends with ~all."""
    have = (record or "v=spf1 ~all").split()
    at = next((n for n, term in enumerate(have) if re.match(r"[-+~?]?all$|redirect=", term, re.I)), len(have))
    return " ".join([*have[:at], *(term for term in terms if term not in have), *have[at:]])


def term_of(ip: str) -> str:
    """The term that names one address."""
    return f"ip{ip_address(ip).version}:{ip}"


class _CheckHost:
    """One call of `check_host()`, with those that it makes of itself."""

    def __init__(self, ip: Ip, sender: str, look_up: Lookup, count: _Count):
        self._ip = ip.ipv4_mapped if isinstance(ip, IPv6Address) and ip.ipv4_mapped else ip
        self._sender = sender if "@" in sender.lstrip("@") else f"postmaster@{sender.lstrip('@')}"
        self._look_up = look_up
        self._count = count
        self._address_kind = "A" if self._ip.version == 4 else "AAAA"

    def run(self, domain: str) -> tuple[Verdict, str]:
        try:
            record = record_of(domain, self._look_up)
        except ValueError as error:
            raise _PermError(str(error)) from None
        self._count.read.add(domain.lower())
        if record is None:
            return Verdict.NONE, ""
        mechanisms, redirect = _parsed(record)
        for qualifier, name, rest in mechanisms:
            if self._matches(name, rest, domain):
                return _QUALIFIERS[qualifier], f"{qualifier}{name}{rest}"
        if redirect is None:
            return Verdict.NEUTRAL, "no term matches"
        self._count.term()
        verdict, reason = self.run(self._expanded(redirect, domain))
        if verdict is Verdict.NONE:
            raise _PermError(f"redirect={redirect} leads to no SPF record")
        return verdict, reason

    def _matches(self, name: str, rest: str, domain: str) -> bool:  # noqa: PLR0911 - one for each mechanism
        match name:
            case "all":
                return True
            case "ip4" | "ip6":
                return self._in_network(name, rest)
            case "include":
                return self._included(rest, domain)
        self._count.term()
        target, four, six = self._target(name, rest, domain)
        match name:
            case "a":
                return self._any_within(self._count.answer(self._look_up(target, self._address_kind)), four, six)
            case "mx":
                hosts = self._count.answer(self._look_up(target, "MX"))
                if len(hosts) > MOST_LOOKUPS:
                    raise _PermError(f"{target} has more than {MOST_LOOKUPS} mail exchangers")
                return any(self._any_within(self._look_up(host, self._address_kind), four, six) for host in hosts)
            case "exists":
                return bool(self._count.answer(self._look_up(target, "A")))
            case _:  # ptr; `_parsed` lets nothing else through
                return self._has_name_below(target)

    def _in_network(self, name: str, rest: str) -> bool:
        try:
            network = ip_network(rest[1:], strict=False)
        except ValueError:
            raise _PermError(f"{name}{rest} is no network") from None
        if network.version != int(name[2]):
            raise _PermError(f"{name}{rest} is of another kind")
        return self._ip.version == network.version and self._ip in network

    def _included(self, rest: str, domain: str) -> bool:
        self._count.term()
        target = self._expanded(rest[1:], domain)
        if not rest.startswith(":") or not target:
            raise _PermError("include names no domain")
        verdict, _ = self.run(target)
        if verdict is Verdict.NONE:
            raise _PermError(f"include:{target}: there is no SPF record")
        return verdict is Verdict.PASS

    def _target(self, name: str, rest: str, domain: str) -> tuple[str, int, int]:
        found = _CIDR.fullmatch(rest.removeprefix(":"))
        if (
            found is None
            or (rest.startswith(":") and not found["domain"])
            or (name == "exists" and not found["domain"])
        ):
            raise _PermError(f"{name}{rest} cannot be read")
        four, six = int(found["four"] or 32), int(found["six"] or 128)
        if four > 32 or six > 128:
            raise _PermError(f"{name}{rest} cannot be read")
        return self._expanded(found["domain"], domain) or domain, four, six

    def _any_within(self, addresses: Sequence[str], four: int, six: int) -> bool:
        length = four if self._ip.version == 4 else six
        return any(self._ip in ip_network(f"{address}/{length}", strict=False) for address in addresses)

    def _has_name_below(self, target: str) -> bool:
        """Section 5.5: names of the address that lead back to it, of which one is the target or below."""
        names = self._count.answer(self._look_up(self._ip.reverse_pointer, "PTR"))[:MOST_LOOKUPS]
        below = [name for name in names if f".{name.lower()}".endswith(f".{target.lower()}")]
        return any(self._any_within(self._look_up(name, self._address_kind), 32, 128) for name in below)

    def _expanded(self, text: str, domain: str) -> str:
        """Section 7: macros."""

        def value(found: re.Match[str]) -> str:
            if found["sign"]:
                return _SIGNS[found["sign"]]
            local, _, host = self._sender.rpartition("@")
            words = {
                "s": self._sender,
                "l": local,
                "o": host,
                "d": domain,
                "i": _dotted(self._ip),
                "p": "unknown",
                "v": "in-addr" if self._ip.version == 4 else "ip6",
                "h": host,
            }
            if (letter := found["letter"].lower()) not in words:
                raise _PermError(f"{text}: no such macro")
            parts = re.split(f"[{re.escape(found['cuts'] or '.')}]", words[letter])
            parts = parts[::-1] if found["reverse"] else parts
            return ".".join(parts[-int(found["digits"]) :] if found["digits"] else parts)

        if text and not _DOMAIN_END.search(text.replace("%%", "")):
            raise _PermError(f"{text} is no domain")
        if "%" in _MACRO.sub("", text):
            raise _PermError(f"{text}: a macro that cannot be read")
        expanded = _MACRO.sub(value, text)
        while len(expanded) > 253:
            expanded = expanded.partition(".")[2]
        return expanded.removesuffix(".")


_MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})


def _parsed(record: str) -> tuple[list[tuple[str, str, str]], str | None]:
    """The mechanisms, each a qualifier, a name and the rest; and where it redirects. All is read first, as 4.6 asks."""
    mechanisms: list[tuple[str, str, str]] = []
    redirects: list[str] = []
    for term in record.split(" ")[1:]:
        if not term:
            continue
        found = _TERM.fullmatch(term)
        if found is None:
            raise _PermError(f"{term} cannot be read")
        name, rest = found["name"].lower(), found["rest"] or ""
        if rest.startswith("=") and not found["qualifier"]:
            if name == "redirect":
                redirects.append(rest[1:])
        elif name in _MECHANISMS and not (name == "all" and rest):
            mechanisms.append((found["qualifier"], name, rest))
        else:
            raise _PermError(f"{term} is no term of SPF")
    if len(redirects) > 1:
        raise _PermError("it redirects twice")
    return mechanisms, redirects[0] if redirects else None


def _dotted(ip: Ip) -> str:
    return str(ip) if ip.version == 4 else ".".join(ip.exploded.replace(":", ""))
