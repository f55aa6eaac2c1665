"""`check_host()` of RFC 7208: what a record says of an address, and what a record should say."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.check import spf
from digest.check.lookup import NoAnswerError
from digest.check.spf import Verdict, judge

Zone = dict[tuple[str, str], Sequence[str]]


class Dns:
    """A look-up in a dictionary; it counts."""

    def __init__(self, zone: Zone):
        self.zone = zone
        self.asked: list[tuple[str, str]] = []

    def __call__(self, name: str, kind: str) -> Sequence[str]:
        self.asked.append((name, kind))
        if name == "broken.example":
            raise NoAnswerError("SERVFAIL")
        return self.zone.get((name, kind), ())


def domain(record: str, **more: str) -> Zone:
    """example.org with a record, and others: `a_example="v=spf1 …"`."""
    zone: Zone = {("example.org", "TXT"): ["other text", record]}
    for name, text in more.items():
        zone[name.replace("_", "."), "TXT"] = [text]
    return zone


ADDRESSES: Zone = {
    ("example.org", "A"): ["192.0.2.10"],
    ("example.org", "AAAA"): ["2001:db8::10"],
    ("example.org", "MX"): ["mx1.example.org", "mx2.example.org"],
    ("mx2.example.org", "A"): ["192.0.2.20"],
    ("10.2.0.192.in-addr.arpa", "PTR"): ["mail.example.org", "elsewhere.example"],
    ("mail.example.org", "A"): ["192.0.2.10"],
    ("ada._spf.example.org", "A"): ["127.0.0.2"],
    ("1.2.0.192.example.org", "A"): ["127.0.0.2"],
}


@pytest.mark.parametrize(
    ("record", "ip", "verdict"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.7", Verdict.PASS),
        ("v=spf1 ip4:192.0.2.0/24 -all", "198.51.100.7", Verdict.FAIL),
        ("v=spf1 ip4:192.0.2.0/24 ~all", "198.51.100.7", Verdict.SOFTFAIL),
        ("v=spf1 ip4:192.0.2.0/24 ?all", "198.51.100.7", Verdict.NEUTRAL),
        ("v=spf1 ip4:192.0.2.0/24", "198.51.100.7", Verdict.NEUTRAL),
        ("V=SPF1 IP4:192.0.2.7 -ALL", "192.0.2.7", Verdict.PASS),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", Verdict.PASS),
        ("v=spf1 ip6:2001:db8::/32 -all", "192.0.2.7", Verdict.FAIL),
        ("v=spf1 ip4:192.0.2.7 -all", "::ffff:192.0.2.7", Verdict.PASS),
        ("v=spf1 a -all", "192.0.2.10", Verdict.PASS),
        ("v=spf1 a -all", "2001:db8::10", Verdict.PASS),
        ("v=spf1 a/24 -all", "192.0.2.99", Verdict.PASS),
        ("v=spf1 a:mail.example.org/28 -all", "192.0.2.15", Verdict.PASS),
        ("v=spf1 a//64 -all", "2001:db8::99", Verdict.PASS),
        ("v=spf1 a//64 -all", "192.0.2.99", Verdict.FAIL),
        ("v=spf1 mx -all", "192.0.2.20", Verdict.PASS),
        ("v=spf1 mx -all", "192.0.2.10", Verdict.FAIL),
        ("v=spf1 ptr -all", "192.0.2.10", Verdict.PASS),
        ("v=spf1 ptr:example.net -all", "192.0.2.10", Verdict.FAIL),
        ("v=spf1 exists:%{l}._spf.%{d} -all", "192.0.2.10", Verdict.PASS),
        ("v=spf1 exists:%{ir}.%{d2} -all", "192.0.2.1", Verdict.PASS),
        ("v=spf1 -ip4:192.0.2.7 +all", "192.0.2.7", Verdict.FAIL),
        ("v=spf1 include:a.example -all", "192.0.2.7", Verdict.PASS),
        ("v=spf1 include:a.example ~all", "192.0.2.8", Verdict.SOFTFAIL),
        ("v=spf1 redirect=a.example", "192.0.2.8", Verdict.FAIL),
        ("v=spf1 redirect=a.example ip4:192.0.2.8", "192.0.2.8", Verdict.PASS),
        ("v=spf1 unknown=whatever ip4:192.0.2.8 -all", "192.0.2.8", Verdict.PASS),
        ("v=spf1 ip4:192.0.2.300 -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 ip4:2001:db8::1 -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 ipv4:192.0.2.8 -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 a/33 -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 exists:%{x}.example -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 exists:%(l).example -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 all:x", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 a:localhost -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 a:192.0.2.8 -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 exists:%%{l}.%%{d} -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 include:nothing.example -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 redirect=nothing.example", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 redirect=a.example redirect=a.example", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 include: -all", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf1 ip4:192.0.2.8 include:broken.example -all", "192.0.2.9", Verdict.TEMPERROR),
        ("v=spf1 ip4:192.0.2.8 -all nonsense!", "192.0.2.8", Verdict.PERMERROR),
        ("v=spf10 -all", "192.0.2.8", Verdict.NONE),
    ],
)
def test_a_record_says_who_may_send(record: str, ip: str, verdict: Verdict) -> None:
    """Every mechanism, qualifier and modifier, and every way to write it wrong, has the result that RFC 7208 gives."""
    zone = domain(record, a_example="v=spf1 ip4:192.0.2.7 -all") | ADDRESSES
    assert judge(ip, "example.org", "ada@example.org", Dns(zone)).verdict is verdict


def test_ten_terms_may_ask_and_no_eleventh() -> None:
    """The tenth look-up counts still; one more makes the record worthless."""
    chain = {f"a{n}_example": f"v=spf1 include:a{n + 1}.example" for n in range(1, 10)} | {"a10_example": "v=spf1 +all"}
    right = judge("192.0.2.1", "example.org", "", Dns(domain("v=spf1 include:a1.example -all", **chain)))
    assert (right.verdict, right.lookups) == (Verdict.PASS, 10)
    chain |= {"a10_example": "v=spf1 include:a11.example", "a11_example": "v=spf1 +all"}
    wrong = judge("192.0.2.1", "example.org", "", Dns(domain("v=spf1 include:a1.example -all", **chain)))
    assert (wrong.verdict, wrong.reason) == (Verdict.PERMERROR, "more than 10 terms ask the DNS")


def test_a_record_that_includes_itself_comes_to_an_end() -> None:
    """A loop runs into the limit."""
    dns = Dns(domain("v=spf1 include:example.org -all"))
    assert judge("192.0.2.1", "example.org", "", dns).verdict is Verdict.PERMERROR
    assert len(dns.asked) <= 11


def test_three_look_ups_in_vain_are_too_many() -> None:
    """Two names without an address are borne, a third is not."""
    two, three = "v=spf1 a:x.example a:y.example -all", "v=spf1 a:x.example a:y.example a:z.example -all"
    assert judge("192.0.2.1", "example.org", "", Dns(domain(two))).verdict is Verdict.FAIL
    assert judge("192.0.2.1", "example.org", "", Dns(domain(three))).verdict is Verdict.PERMERROR


def test_two_records_are_as_bad_as_a_wrong_one() -> None:
    """Receivers then take none: it is a permanent error, and says so."""
    zone: Zone = {("example.org", "TXT"): ["v=spf1 -all", "v=spf1 +all"]}
    found = judge("192.0.2.1", "example.org", "", Dns(zone))
    assert (found.verdict, found.reason) == (Verdict.PERMERROR, "example.org has 2 SPF records, and may have one")


def test_what_was_read_on_the_way_is_known() -> None:
    """By it a provider's include is recognised, however deep it stands."""
    zone = domain("v=spf1 include:A.example ~all", A_example="v=spf1 redirect=b.example", b_example="v=spf1 -all")
    assert judge("192.0.2.1", "example.org", "", Dns(zone)).included == {"example.org", "a.example", "b.example"}


@pytest.mark.parametrize(
    ("record", "terms", "expected"),
    [
        (None, ["ip4:192.0.2.1"], "v=spf1 ip4:192.0.2.1 ~all"),
        ("v=spf1 mx -all", ["include:x"], "v=spf1 mx include:x -all"),
        ("v=spf1 mx redirect=y", ["include:x"], "v=spf1 mx include:x redirect=y"),
        ("v=spf1 mx", ["include:x"], "v=spf1 mx include:x"),
        ("v=spf1 include:x ?all", ["include:x"], "v=spf1 include:x ?all"),
    ],
)
def test_the_record_to_publish_keeps_what_there_is(record: str | None, terms: list[str], expected: str) -> None:
    """What is missing goes before the term that ends the record; nothing is taken away or doubled."""
    assert spf.with_terms(record, terms) == expected


@given(st.lists(st.text("aipv4exmr:=/.%{}-~? 0123456789", max_size=20), max_size=6))
def test_no_record_breaks_the_judge(terms: list[str]) -> None:
    """Whatever a domain publishes, the answer is one of the seven."""
    record = " ".join(["v=spf1", *terms])
    assert judge("192.0.2.1", "example.org", "a@example.org", Dns(domain(record))).verdict in Verdict
