"""What `digest check` says of a list's DNS, asked of a real DNS server on loopback."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest

from digest.check.findings import Finding, Level
from digest.check.lookup import NoAnswerError
from digest.check.mail_dns import Mail, PublicKey, questions
from digest.check.records import is_aligned, tags
from digest.check.resolver import Resolver, server_address
from digest.errors import ConfigError
from digest.send.dkim import DkimKey, published
from tests.dkim_keys import ed25519_key, records, rsa_key
from tests.servers.dns import DnsServer, Zone, txt

RELAY = "mail.example.org"


def public(key: DkimKey) -> PublicKey:
    return PublicKey(key.domain, key.selector, key.algorithm, published(key.key))


MAIL = Mail("digest@example.org", "bounces@example.org", (RELAY,), (public(rsa_key()), public(ed25519_key())))
RIGHT: dict[str, list[tuple[str, str]]] = {
    "example.org": [
        txt("v=spf1 mx -all"),
        txt("something-else=1"),
        ("MX", f"10 {RELAY}."),
        ("MX", "20 b.example.org."),
    ],
    RELAY: [("A", "192.0.2.10")],
    "10.2.0.192.in-addr.arpa": [("PTR", f"{RELAY}.")],
    "_dmarc.example.org": [txt("v=DMARC1; p=reject; adkim=s")],
    **{name: [txt(text)] for name, text in records(rsa_key(), ed25519_key()).items()},
}
"""Everything as it should be."""


def asked(zone: Zone, mail: Mail = MAIL, broken: Sequence[str] = ()) -> dict[str, Finding]:
    """All findings, by what they are about: SPF, DKIM, DMARC, MX, PTR; of two DKIM keys the last."""
    with DnsServer(zone, broken) as server:
        look_up = Resolver(server.address, seconds=3)
        found: dict[str, Finding] = {}
        for name, ask in questions(mail, look_up):
            try:
                found |= {finding.subject.split()[0]: finding for finding in ask()}
            except NoAnswerError as error:
                found[name.split()[0]] = Finding(name, Level.WARNING, str(error), "ask again")
    return found


def without(*names: str, **more: list[tuple[str, str]]) -> Zone:
    return {name: found for name, found in RIGHT.items() if name not in names} | more


def test_all_is_well() -> None:
    """With everything published, five subjects are ok and nothing is to do."""
    found = asked(RIGHT)
    assert {subject: finding.level.value for subject, finding in found.items()} == dict.fromkeys(
        ("SPF", "DKIM", "DMARC", "MX", "PTR"), "ok"
    )
    assert not any(finding.todo or finding.publish for finding in found.values())
    assert found["SPF"].says == "lets 192.0.2.10 send, by `mx` (1 of 10 look-ups)"
    assert found["DMARC"].says == "p=reject, aligned by DKIM and SPF"
    assert found["PTR"].says == "mail.example.org, which leads back to it"


def test_a_long_record_comes_whole() -> None:
    """A key of 4096 bits does not fit into a datagram: it is asked for again, and its strings are joined."""
    name = "rsa._domainkey.example.org"
    padded = records(rsa_key())[name] + "; n=" + "x" * 1500
    found = asked(RIGHT | {name: [txt(padded)]}, replace(MAIL, keys=(public(rsa_key()),)))
    assert found["DKIM"].level is Level.OK


@pytest.mark.parametrize(
    ("record", "level", "says", "publish"),
    [
        (None, Level.FAILED, "there is no record", "v=spf1 ip4:192.0.2.10 ~all"),
        ("v=spf1 mx:x.example -all", Level.FAILED, "192.0.2.10 is not", "v=spf1 mx:x.example ip4:192.0.2.10 -all"),
        ("v=spf1 ip4:192.0.2.9 ~all", Level.WARNING, "softfail by", "v=spf1 ip4:192.0.2.9 ip4:192.0.2.10 ~all"),
        ("v=spf1 a:x.example a:y.example a:z.example -all", Level.FAILED, "more than 2 look-ups find nothing", None),
    ],
)  # fmt: skip
def test_an_spf_record_that_leaves_the_relay_out(
    record: str | None, level: Level, says: str, publish: str | None
) -> None:
    """What is wrong is told, with the whole record to publish in its place."""
    own = [txt(record)] if record else []
    found = asked(RIGHT | {"example.org": [*own, ("MX", f"10 {RELAY}.")]})["SPF"]
    assert (found.level, says in found.says) == (level, True), found.says
    assert [r.value for r in found.publish] == ([publish] if publish else [])
    assert all((r.name, r.type) == ("example.org", "TXT") for r in found.publish)


def test_a_providers_relay_is_known_by_its_include() -> None:
    """Gmail sends from other addresses than it listens at: its own record must be included, at any depth."""
    mail = replace(MAIL, relays=("smtp.gmail.com",))
    zone = {"_spf.google.com": [txt("v=spf1 ip4:198.51.100.0/24 ~all")]}
    missing = asked(RIGHT | zone, mail)["SPF"]
    assert (missing.level, missing.publish[0].value) == (Level.FAILED, "v=spf1 mx include:_spf.google.com -all")
    deep = {"all.example.net": [txt("v=spf1 include:_spf.google.com ~all")]}
    included = asked(RIGHT | zone | deep | {"example.org": [txt("v=spf1 include:all.example.net -all")]}, mail)
    assert included["SPF"].says == "includes _spf.google.com (2 of 10 look-ups)"
    assert "PTR" not in included, "a provider's addresses are its own affair"


def test_a_provider_mailing_for_its_own_domain_is_fine() -> None:
    """Ada at Gmail, through Gmail: nothing is to be published by her, and DMARC is aligned."""
    mail = Mail("ada@gmail.com", "ada@gmail.com", ("smtp.gmail.com",))
    zone = {"gmail.com": [("MX", "5 mx.gmail.com.")], "mx.gmail.com": [("A", "192.0.2.1")]}
    found = asked(zone | {"_dmarc.gmail.com": [txt("v=DMARC1; p=none")]}, mail)
    assert {finding.level for finding in found.values()} == {Level.OK}


@pytest.mark.parametrize(
    ("change", "level", "says"),
    [
        (None, Level.FAILED, "is not published"),
        ("", Level.FAILED, "is revoked"),
        ("other", Level.FAILED, "not the one that `key_file` holds"),
        ("; t=y", Level.WARNING, "published as a test"),
        ("; h=sha1", Level.FAILED, "does not allow what we sign"),
        ("; s=web", Level.FAILED, "does not allow what we sign"),
        ("; s=*:web; t=s", Level.OK, "matches"),
    ],
)
def test_a_dkim_record_that_does_not_fit_the_key(change: str | None, level: Level, says: str) -> None:
    """The published key is compared with the private one; the record that would be right stands below."""
    name, key = "rsa._domainkey.example.org", rsa_key()
    right = records(key)[name]
    text = {None: None, "": "v=DKIM1; p=", "other": records(ed25519_key())["ed._domainkey.example.org"]}
    text["other"] = "v=DKIM1; k=rsa; p=" + base64.b64encode(b"another key").decode()
    written = text.get(change, right + (change or ""))
    zone = without(name) if written is None else RIGHT | {name: [txt(written)]}
    found = asked(zone, replace(MAIL, keys=(public(key),)))["DKIM"]
    assert (found.level, says in found.says) == (level, True), found.says
    assert [str(r) for r in found.publish] == ([] if level is Level.OK else [f'{name}. TXT "{right}"'])


def test_dkim_keys_may_be_written_with_gaps_and_as_bare_rsa_keys() -> None:
    """Blanks in base64 and the old form of a key are what receivers take too."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa_key()
    assert isinstance(key.key, RSAPrivateKey)
    bare = base64.b64encode(key.key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
    name = "rsa._domainkey.example.org"
    for text in (f"p={bare}", records(key)[name].replace("p=MIIB", "p=MI IB ")):
        assert asked(RIGHT | {name: [txt(text)]}, replace(MAIL, keys=(public(key),)))["DKIM"].level is Level.OK


@pytest.mark.parametrize(
    ("record", "spf", "level", "says"),
    [
        (None, True, Level.WARNING, "is not published"),
        ("v=DMARC1; p=none", False, Level.WARNING, "neither a signature nor the envelope sender"),
        ("v=DMARC1; p=quarantine", False, Level.FAILED, "neither a signature nor the envelope sender"),
        ("v=DMARC1; p=reject; aspf=s", True, Level.OK, "p=reject, aligned by SPF"),
        ("v=dmarc1; p=reject", True, Level.WARNING, "is not published"),
    ],
)
def test_dmarc_wants_one_way_that_is_aligned(record: str | None, spf: bool, level: Level, says: str) -> None:
    """Without a signature SPF must pass for the same domain; else a policy that refuses refuses us."""
    mail = replace(MAIL, keys=())
    zone = RIGHT | ({"_dmarc.example.org": [txt(record)]} if record else {"_dmarc.example.org": []})
    if not spf:
        zone = zone | {"example.org": [txt("v=spf1 -all"), ("MX", f"10 {RELAY}.")]}
    found = asked(zone, mail)["DMARC"]
    assert (found.level, says in found.says) == (level, True), found.says
    if record is None:
        assert str(found.publish[0]).startswith('_dmarc.example.org. TXT "v=DMARC1; p=none; rua=mailto:')


def test_a_subdomain_is_under_its_organizations_policy() -> None:
    """Without a record of its own, that above counts, with `sp` for those below."""
    mail = replace(MAIL, sender="digest@news.example.org", keys=())
    found = asked(RIGHT | {"_dmarc.example.org": [txt("v=DMARC1; p=none; sp=reject; aspf=s")]}, mail)["DMARC"]
    assert (found.level, "p=reject of example.org" in found.says) == (Level.FAILED, True)
    relaxed = asked(RIGHT | {"_dmarc.example.org": [txt("v=DMARC1; p=none; sp=reject")]}, mail)["DMARC"]
    assert relaxed.says == "p=reject of example.org, aligned by SPF"


def test_of_tags_that_repeat_the_first_counts() -> None:
    """Names in any case; what is no tag is passed over."""
    assert tags("v=DMARC1; P = none ;nonsense; p=reject;") == {"v": "DMARC1", "p": "none"}


def test_alignment_is_the_same_domain_or_one_above() -> None:
    """Relaxed takes a domain above or below; strict only the same; a name that merely ends alike, never."""
    assert is_aligned("News.example.org", "example.org", strict=False)
    assert not is_aligned("news.example.org", "example.org", strict=True)
    assert not is_aligned("badexample.org", "example.org", strict=False)


@pytest.mark.parametrize(
    ("own", "level", "says"),
    [
        ([("MX", "0 .")], Level.FAILED, "null MX"),
        ([("A", "192.0.2.1")], Level.WARNING, "go to example.org itself"),
        ([], Level.FAILED, "bounces are lost"),
        ([("MX", "10 gone.example.org.")], Level.FAILED, "no such host"),
    ],
)
def test_bounces_need_somebody_who_takes_them(own: list[tuple[str, str]], level: Level, says: str) -> None:
    """The envelope sender's domain has an MX that exists, or is told what to publish."""
    found = asked(RIGHT | {"example.org": [txt("v=spf1 a:mail.example.org -all"), *own]})["MX"]
    assert (found.level, says in found.says) == (level, True), found.says


@pytest.mark.parametrize(("names", "says"), [([], "has no name"), (["b.example.org."], "does not lead back")])
def test_an_address_without_a_name_is_told(names: list[str], says: str) -> None:
    """PTR, and back again."""
    found = asked(RIGHT | {"10.2.0.192.in-addr.arpa": [("PTR", name) for name in names]})["PTR"]
    assert (found.level, says in found.says, len(found.publish)) == (Level.WARNING, True, 1)


def test_a_relay_on_this_machine_sends_from_this_machines_address() -> None:
    """Its address is judged if the world knows it; if not, that is said, and only the record's grammar is judged."""
    known = replace(MAIL, relays=("localhost",), own_address="192.0.2.10")
    assert asked(RIGHT, known)["SPF"].says == "lets 192.0.2.10 send, by `mx` (1 of 10 look-ups)"
    unknown = asked(RIGHT, replace(known, own_address=None))
    assert (unknown["SPF"].level, "cannot be seen from inside" in unknown["SPF"].says) == (Level.OK, True)
    assert "PTR" not in unknown


def test_a_server_that_fails_is_no_verdict() -> None:
    """SERVFAIL says nothing of a record: a warning, never "not published"."""
    found = asked(RIGHT, broken=["example.org", "_dmarc.example.org", "rsa._domainkey.example.org"])
    for subject in ("SPF", "DMARC", "MX"):
        assert (found[subject].level, "answer" in found[subject].says) == (Level.WARNING, True), found[subject]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("1.1.1.1", ("1.1.1.1", 53)),
        ("127.0.0.1:5300", ("127.0.0.1", 5300)),
        ("::1", ("::1", 53)),
        ("[::1]:5300", ("::1", 5300)),
        ("[::1]", ("::1", 53)),
    ],
)
def test_a_dns_server_is_written_as_an_address(written: str, address: tuple[str, int]) -> None:
    """With or without a port, of either kind."""
    assert server_address(written) == address


@pytest.mark.parametrize("written", ["one.one.one.one", "1.1.1.1:dns", "1.1.1"])
def test_a_dns_server_that_is_no_address_is_refused(written: str) -> None:
    """A name would need a DNS server first."""
    with pytest.raises(ConfigError, match=r"--resolver .*: write an IP address"):
        server_address(written)
