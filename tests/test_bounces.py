"""What messages that come back say: samples in the wire forms of many mail systems, and the rule of soft bounces."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.model import SOFT_BOUNCES, Attempt, BounceKind
from digest.send.bounces import SOFT_PERIOD, Sort, is_worn_out, read
from digest.send.diagnosis import codes_in, judge, telling_code
from tests.bounce_samples import NAMES, TAG, TOKEN, sample
from tests.factories import NOW

HARD, SOFT, POLICY, COMPLAINT = BounceKind.HARD, BounceKind.SOFT, BounceKind.POLICY, BounceKind.COMPLAINT
BOUNCE, DELAYED, AUTO_REPLY, NOTICE, OTHER = Sort.BOUNCE, Sort.DELAYED, Sort.AUTO_REPLY, Sort.NOTICE, Sort.OTHER

SAMPLES = {
    "postfix-unknown-user": (BOUNCE, HARD, "5.1.1", "550 5.1.1 <ada@reader.example>: Recipient address rejected"),
    "postfix-expired": (BOUNCE, SOFT, "4.4.1", "Connection timed out"),
    "postfix-delayed": (DELAYED, None, "4.4.1", "Connection timed out"),
    "postfix-relayed": (Sort.DELIVERED, None, "2.1.5", "250 2.1.5 Ok"),
    "exim-dsn-with-a-bare-code": (BOUNCE, HARD, "5.0.0", "550 No such user here"),
    "exim-before-there-were-reports": (BOUNCE, HARD, "", "550 unknown user"),
    "office365-recipient-not-found": (BOUNCE, HARD, "5.1.10", "RESOLVER.ADR.RecipientNotFound"),
    "office365-restricted": (BOUNCE, POLICY, "5.7.133", "SenderNotAuthenticatedForGroup"),
    "exchange-status-in-base64": (BOUNCE, HARD, "5.1.10", "RESOLVER.ADR.RecipientNotFound"),
    "gmail-disabled": (BOUNCE, HARD, "5.2.1", "is inactive"),
    "gmail-over-quota": (BOUNCE, SOFT, "5.2.2", "out of storage space"),
    "gmail-receiving-too-fast": (BOUNCE, SOFT, "5.2.1", "receiving mail at a rate"),
    "gmail-not-authenticated": (BOUNCE, POLICY, "5.7.26", "the sender is unauthenticated"),
    "yahoo-no-account": (BOUNCE, HARD, "5.0.0", "This user doesn't have a reader.example account"),
    "qmail-qsbmf": (BOUNCE, HARD, "5.1.1", "no mailbox here by that name"),
    "qmail-quota": (BOUNCE, SOFT, "", "qmail-send program"),
    "sendmail-expired": (BOUNCE, SOFT, "4.4.7", "4.4.7"),
    "sendmail-two-recipients": (BOUNCE, SOFT, "5.1.1", "User unknown"),
    "opensmtpd-action-error": (BOUNCE, HARD, "5.1.1", "5.1.1"),
    "orange-taken-for-spam": (BOUNCE, POLICY, "5.2.0", "ofr_506"),
    "a-block-that-names-an-unknown-user": (BOUNCE, SOFT, "5.0.0", "over its limit"),
    "utf8-report": (BOUNCE, HARD, "5.1.1", "User unknown"),
    "arf-yahoo": (Sort.COMPLAINT, COMPLAINT, "", "abuse report by Yahoo!-Mail-Feedback/2.0"),
    "arf-microsoft": (Sort.COMPLAINT, COMPLAINT, "", "abuse report by Hotmail-FBL/1.0"),
    "arf-not-spam": (NOTICE, None, "", "not-spam report"),
    "arf-authentication-failure": (NOTICE, None, "", "auth-failure report"),
    "outlook-out-of-office": (AUTO_REPLY, None, "", ""),
    "vacation": (AUTO_REPLY, None, "", ""),
    "german-out-of-office": (AUTO_REPLY, None, "", ""),
    "read-receipt": (NOTICE, None, "", "Your message was displayed."),
    "a-mail-systems-own-words": (NOTICE, None, "", "Your parcel of words is with us."),
    "a-persons-reply": (OTHER, None, "", ""),
    "a-bounce-forwarded-by-a-person": (OTHER, None, "", ""),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_is_what_its_writer_meant(name: str) -> None:
    """Each mail system's wire form gives its sort, its kind, its code and its reason."""
    sort, kind, code, diagnostic = SAMPLES[name]
    reading = read(sample(name))
    assert (reading.sort, reading.kind, reading.enhanced_code) == (sort, kind, code)
    assert diagnostic in reading.diagnostic
    assert "\n" not in reading.diagnostic


def test_no_sample_is_forgotten() -> None:
    """Every file of the samples' folder has a row in the table."""
    assert sorted(SAMPLES) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"a-persons-reply"}))
def test_what_may_be_ours_is_found(name: str) -> None:
    """Whatever answers a delivery holds its tag, or its reader's token beside its Message-ID."""
    evidence = read(sample(name)).evidence
    if name == "arf-microsoft":  # it takes the envelope sender out
        assert (evidence.tags, evidence.tokens) == ((), (TOKEN,))
        assert evidence.message_ids == ("<c0ffee0123456789@lists.example.org>",)
    else:
        assert evidence.tags == (TAG,)


def test_a_list_without_pages_has_its_proof_too() -> None:
    """The reader's token in the mailto of List-Unsubscribe, beside the Message-ID."""
    raw = sample("arf-microsoft").decode()
    page = re.search(r"<https://lists\.example\.org/unsubscribe/lab/[^>]+>", raw)
    assert page
    mailto = f"<mailto:lab%2Bunsubscribe@lists.example.org?subject={TOKEN}>"
    assert read(raw.replace(page[0], mailto).encode()).evidence.tokens == (TOKEN,)
    assert read(raw.replace(page[0], mailto.replace("unsubscribe@", "vote@")).encode()).evidence.tokens == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"+TAG@", b"+tag@"),
        (b"bounces+TAG@lists.example.org", b"SRS0=hAsH=XY=lists.example.org=bounces+TAG@forwarder.example"),
    ],
    ids=["in lower case", "rewritten by a forwarder"],
)
def test_a_tag_is_found_in_whatever_stands_around_it(old: bytes, new: bytes) -> None:
    """Case and forwarders' own forms (SRS) leave the tag what it is."""
    written = old.replace(b"TAG", TAG.encode())
    changed = new.replace(b"TAG", TAG.encode()).replace(b"tag", TAG.upper().encode())
    raw = sample("qmail-qsbmf").replace(written, changed)
    assert [tag.lower() for tag in read(raw).evidence.tags] == [TAG]


@pytest.mark.parametrize(
    ("status", "sort"), [(b"5.1.1", BOUNCE), (b"4.4.1", DELAYED), (b"2.0.0", Sort.DELIVERED), (b"none", Sort.DELIVERED)]
)
def test_without_an_action_the_status_tells(status: bytes, sort: Sort) -> None:
    """Action is required, and left out all the same."""
    raw = sample("postfix-unknown-user").replace(b"Action: failed\r\nStatus: 5.1.1", b"Status: " + status)
    assert read(raw).sort is sort


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("5.1.1", "", HARD),
        ("5.1.2", "", HARD),
        ("5.1.3", "", HARD),
        ("5.1.6", "", HARD),
        ("5.1.10", "", HARD),
        ("5.2.1", "mailbox disabled", HARD),
        ("5.2.1", "receiving mail too quickly", SOFT),
        ("5.2.2", "mailbox full", SOFT),
        ("5.2.3", "too large", SOFT),
        ("5.3.0", "", SOFT),
        ("5.4.1", "Recipient address rejected: Access denied", SOFT),
        ("5.4.4", "host or domain name not found", SOFT),
        ("5.4.6", "loop", SOFT),
        ("5.5.0", "Requested action not taken: mailbox unavailable", SOFT),
        ("5.6.1", "", POLICY),
        ("5.7.1", "User unknown", POLICY),
        ("5.7.0", "", POLICY),
        ("4.7.0", "unusual rate of mail", POLICY),
        ("5.1.8", "sender domain does not exist", POLICY),
        ("5.1.7", "", POLICY),
        ("4.2.2", "over quota", SOFT),
        ("4.1.1", "user unknown, for now", SOFT),
        ("4.0.0", "user unknown, for now", SOFT),
        ("4.4.7", "", SOFT),
        ("5.0.0", "", SOFT),
        ("5.0.0", "550 User unknown", HARD),
        ("5.1.0", "Address rejected: unknown recipient", HARD),
        ("5.0.0", "554 blocked, see the block list", POLICY),
        ("5.0.0", "550 this account is blocked as a spammer; user unknown", POLICY),
        ("", "550 No such mailbox", HARD),
        ("", "552 mailbox full", SOFT),
        ("", "<spam-policy@reader.example>: user not found", HARD),
        ("", "550 sorry https://reader.example/user-unknown", SOFT),
        ("", "", SOFT),
    ],
)
def test_a_code_and_its_words_judge_the_address(code: str, words: str, kind: BounceKind) -> None:
    """The table at the head of `diagnosis.py`, row by row, and what the words decide where the code says nothing."""
    assert judge(code, words) is kind


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        ("5.1.1", "550 5.7.1 blocked", "5.1.1"),
        ("5.0.0", "550 5.1.1 User unknown", "5.1.1"),
        ("5.0.0 (permanent failure)", "550 unknown", "5.0.0"),
        ("", "550-5.2.2 full", "5.2.2"),
        ("5.001.001", "", "5.1.1"),
        ("", "host 192.0.5.1.1 said 550", ""),
        ("", "<5.1.1@reader.example> refused", ""),
        ("5.7.0", "550 5.1.1 User unknown", "5.7.0"),
        ("", "", ""),
    ],
)
def test_the_code_that_says_something_counts(status: str, words: str, code: str) -> None:
    """A gateway's 5.0.0 gives way to the server's own code; addresses and host numbers hold none."""
    assert telling_code(status, words) == code


def test_codes_have_no_leading_zeros() -> None:
    """As RFC 3463 has them."""
    assert codes_in("5.01.001 and 4.4.7, not 1.2.3 or 5.1") == ["5.1.1", "4.4.7"]


# --- soft bounces ---------------------------------------------------------------------------------------------------


def attempts(row: str, days: float = 1.0) -> list[Attempt]:
    """Attempts, newest first, so many days apart: `s`oft, `h`ard, `p`olicy, `.` none."""
    kinds = {"s": SOFT, "h": HARD, "p": POLICY, ".": None}
    return [Attempt(NOW - timedelta(days=days) * n, kinds[letter]) for n, letter in enumerate(row)]


@pytest.mark.parametrize(
    ("row", "days", "worn_out"),
    [
        ("sssss", 1.75, True),
        ("sssss", 1.74, False),
        ("ssss", 30, False),
        ("ssssssss", 1, True),
        ("sssssss", 1, False),
        ("...sssss", 2, True),
        ("...sssss", 4, False),
        ("s.sssss", 2, False),
        ("ss.sssss", 2, False),
        ("sspppsss", 2, True),
        ("pssss", 30, False),
        ("ppppppp", 2, False),
        ("shsss", 2, True),
        (".....", 2, False),
        ("", 1, False),
    ],
)
def test_five_soft_bounces_in_a_row_over_a_week_wear_an_address_out(row: str, days: float, worn_out: bool) -> None:
    """Fewer, faster, or with a success between them they do not; what came after them is no success for six days."""
    assert is_worn_out(attempts(row, days), NOW) is worn_out


@settings(deadline=None)
@given(st.lists(st.sampled_from("shp."), max_size=20), st.floats(0.1, 10))
def test_a_success_always_resets(row: list[str], days: float) -> None:
    """With a success after fewer than five failures, nothing before it counts."""
    recent = ["s"] * (SOFT_BOUNCES - 1) + ["."]
    assert not is_worn_out(attempts("".join([*recent, *row]), days), NOW)


@settings(deadline=None)
@given(st.lists(st.sampled_from("sp"), min_size=SOFT_BOUNCES, max_size=20))
def test_the_period_is_between_the_first_and_the_last(row: list[str]) -> None:
    """Failures within less than a week never suffice, however many."""
    assert not is_worn_out(attempts("".join(row), SOFT_PERIOD / timedelta(days=len(row))), NOW)


# --- hostile bytes --------------------------------------------------------------------------------------------------


def has_no_control_characters(text: str) -> bool:
    return all(char.isprintable() for char in text)


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    """Whatever comes is one of the sorts."""
    assert has_no_control_characters(read(raw).diagnostic)


@settings(deadline=None)
@given(
    st.sampled_from(NAMES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=8)), max_size=8)
)
def test_no_damage_makes_it_fail(name: str, damage: list[tuple[float, int, bytes]]) -> None:
    """Nor what is left of a true one when parts are cut out and others put in."""
    raw = sample(name)
    for where, length, instead in damage:
        at = int(where * len(raw))
        raw = raw[:at] + instead + raw[at + length :]
    reading = read(raw)
    assert has_no_control_characters(reading.diagnostic)
    assert re.fullmatch(r"|[245]\.\d{1,3}\.\d{1,3}", reading.enhanced_code)


@settings(deadline=None)
@given(st.sampled_from([name for name in NAMES if SAMPLES[name][1]]), st.floats(0, 1))
def test_a_large_message_may_be_cut_in_what_it_returns(name: str, where: float) -> None:
    """The report comes first: without the end of the original, it says the same."""
    raw = sample(name)
    original = raw.index(b"List-Id: Lab")
    whole, part = read(raw), read(raw[: original + int(where * (len(raw) - original))])
    assert (part.sort, part.kind, part.enhanced_code) == (whole.sort, whole.kind, whole.enhanced_code)


def deep(_: str) -> bytes:
    heads = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000))
    return b"From: mailer-daemon@x\r\n" + heads


def with_diagnostic(text: bytes) -> Callable[[str], bytes]:
    return lambda name: re.sub(rb"smtp; 550[^-]*", lambda _: b"smtp; " + text + b"\r\n\r\n", sample(name), count=1)


@pytest.mark.parametrize(
    "make",
    [
        deep,
        with_diagnostic(b"a" * 1_000_000),
        with_diagnostic(b"user " * 200_000),
        with_diagnostic(b"\r\n   " * 200_000),
        lambda name: sample(name) + b"Message-ID:" * 100_000,
        lambda name: sample(name).replace(b"Subject: ", b"Subject: " + b"re: " * 100_000),
        lambda name: b"X: " + b"+" + b"a" * 1_000_000 + b"\r\n" + sample(name),
        lambda _: b"\r\n\r\n" + b"<" * 1_000_000,
    ],
    ids=["nested", "one word", "many words", "blank lines", "Message-IDs", "Re: Re:", "a long tag", "brackets"],
)
def test_hostile_messages_end(make: Callable[[str], bytes]) -> None:
    """Neither depth nor length nor an expression's backtracking holds up those behind it."""
    assert read(make("postfix-unknown-user")).sort in Sort


def test_without_the_extra_the_error_names_it() -> None:
    """Where flufl.bounce is missing, what needs it says what to install."""
    code = (
        "import sys; sys.modules['flufl.bounce'] = None\n"
        "from digest.errors import MailboxError\nfrom digest.send.bounces import read\n"
        "try: read(open(sys.argv[1], 'rb').read())\nexcept MailboxError as error: print(error)"
    )
    path = Path(__file__).parent / "data" / "bounces" / "qmail-qsbmf.eml"
    told = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    assert "pip install 'papers-digest[mailbox]'" in told


@pytest.mark.parametrize("line", ["=" * 500_000, "> " * 250_000, " " * 500_000, "-*_=" * 125_000])
def test_a_long_line_holds_nothing_up(line: str) -> None:
    """A rule or an indentation of half a million characters is read once: were it tried at every place, for days."""
    message = f"From: someone@example.org\r\nSubject: Hello\r\n\r\nWords\r\n{line}\r\n".encode()
    assert read(message).sort is OTHER


def test_a_subject_of_many_encoded_words_holds_nothing_up() -> None:
    """Its beginning is read: the library's time grows with the square of their number."""
    subject = "=?utf-8?q?Re:?=" + " =?utf-8?q?a?=" * 100_000
    assert read(f"From: a@example.org\r\nSubject: {subject}\r\n\r\nWords\r\n".encode()).sort is OTHER
