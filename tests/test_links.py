"""The addresses that emails lead to, and that they lead to the reader they were made for."""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote, unquote, urlsplit

import pytest
import sqlalchemy as sa

from digest.app import App
from digest.commands.proofing import proofs_of, send_test
from digest.making import Making
from digest.model import Address, Envelope, ListId, MailingList, SubscriberId
from digest.render.addresses import ListLinks, VoteWords
from digest.settings import load
from digest.store import Secrets, open_database, schema
from digest.store.secrets import SIGNING_KEY
from digest.subscribe.links import list_links
from digest.subscribe.tokens import Purpose, Tokens
from tests.configs import BASE, after, loaded, problems
from tests.factories import NOW, mailing_list, subscriber
from tests.lists import DAY_ONE, write_list
from tests.render_samples import body, read
from tests.servers.smtp import CollectingServer, Received, defers_rcpt_451

PAPER = "doi:10.1038/s41586-024-1?&# +é"
ADA = subscriber(7)
LAB = ListId("lab")
KEY = b"an invented key, 32 bytes of it."
KEYS = (KEY.decode(), "another invented key of 32 bytes")


def links_of(of: MailingList, mailbox: str | None = None) -> ListLinks:
    return list_links(of, lambda: Tokens([KEY], of.id), Address(mailbox) if mailbox else None)


def verified(of: MailingList, purpose: Purpose, token: str) -> SubscriberId | None:
    return Tokens([KEY], of.id).verify(purpose, token)


@pytest.mark.parametrize(
    ("base_url", "before"),
    [
        ("https://digest.example.org", "https://digest.example.org/"),
        ("https://digest.example.org/", "https://digest.example.org/"),
        ("https://example.org:8443/papers", "https://example.org:8443/papers/"),
        ("https://example.org/a%20b/c//", "https://example.org/a%20b/c/"),
        ("http://[::1]:8000/", "http://[::1]:8000/"),
        ("https://bücher.example/größe\"'<", "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe%22%27%3C/"),
    ],
)
def test_with_pages_everything_is_a_page(base_url: str, before: str) -> None:
    """Below whatever path and with whatever slashes; in ASCII; each token for its own purpose, the list in the path."""
    lab = mailing_list(base_url=base_url)
    links = links_of(lab, "digest@example.org")
    reader = links.reader(ADA)
    assert reader.unsubscribe_by_mail.startswith("mailto:digest%2Bunsubscribe@example.org?subject=")
    assert verified(lab, Purpose.UNSUBSCRIBE, reader.unsubscribe_by_mail.rpartition("=")[2]) == ADA.id
    for url, purpose in (
        (reader.unsubscribe, Purpose.UNSUBSCRIBE),
        (reader.preferences, Purpose.PREFERENCES),
        (reader.vote.removesuffix("/"), Purpose.VOTE),
    ):
        start, _, token = url.rpartition("/")
        assert start == f"{before}{purpose}/lab"
        assert verified(lab, purpose, token) == ADA.id
        assert [p for p in Purpose if verified(lab, p, token)] == [purpose]
    assert links.archive == f"{before}archive/lab"
    assert links.votes == VoteWords("more/", "less/", "save/")
    vote = urlsplit(f"{reader.vote}{links.votes.more}{quote(PAPER, safe='')}")
    assert (vote.query, vote.fragment) == ("", "")
    word, paper = vote.path.split("/")[-2:]
    assert (word, unquote(paper)) == ("more", PAPER)


def test_lists_behind_one_address_are_told_apart() -> None:
    """The path says which list; the token of one is nobody's on the other, though their readers have the same ids."""
    lab = mailing_list(base_url="https://example.org")
    other = mailing_list(base_url="https://example.org", id=ListId("lab-2"))
    ours, theirs = links_of(lab).reader(ADA), links_of(other).reader(ADA)
    assert urlsplit(ours.unsubscribe).path.split("/")[1:3] == ["unsubscribe", "lab"]
    assert urlsplit(theirs.unsubscribe).path.split("/")[1:3] == ["unsubscribe", "lab-2"]
    assert verified(other, Purpose.UNSUBSCRIBE, ours.unsubscribe.rpartition("/")[2]) is None


@pytest.mark.parametrize(
    ("mailbox", "to"),
    [
        ("digest@example.org", "digest+vote@example.org"),
        ("a&b+c?d@example.org", "a&b+c?d+vote@example.org"),
        ("jörg@bücher.example", "jörg+vote@xn--bcher-kva.example"),
    ],
)
def test_with_a_mailbox_alone_everything_is_a_message(mailbox: str, to: str) -> None:
    """A vote's subject is token, word and paper, that of leaving a token alone; there is no page."""
    lab = mailing_list()
    links = links_of(lab, mailbox)
    reader = links.reader(ADA)
    assert links.archive == ""
    start, _, token = reader.unsubscribe.partition("?subject=")
    assert unquote(start) == f"mailto:{to.replace('+vote@', '+unsubscribe@')}"
    assert verified(lab, Purpose.UNSUBSCRIBE, token) == ADA.id
    assert reader.unsubscribe_by_mail == reader.unsubscribe
    assert unquote(reader.preferences) == f"mailto:{to.replace('+vote@', '+topics@')}?subject=topics lab"
    assert unquote(links.help) == f"mailto:{to.replace('+vote@', '+help@')}?subject=help lab"
    assert links.votes
    for word, said in zip(
        (links.votes.more, links.votes.less, links.votes.save), ("more", "less", "save"), strict=True
    ):
        address = f"{reader.vote}{word}{quote(PAPER, safe='')}"
        assert address.isascii()
        assert " " not in address
        start, question, subject = address.partition("?subject=")
        assert (unquote(start), question) == (f"mailto:{to}", "?subject=")
        assert "+" not in start
        token, given, paper = unquote(subject).split(" ", 2)
        assert (verified(lab, Purpose.VOTE, token), given, paper) == (ADA.id, said, PAPER)


def test_with_neither_nothing_leads_nowhere() -> None:
    """No page, no vote, no archive; and no key is asked for."""

    def never() -> Tokens:
        raise AssertionError

    links = list_links(mailing_list(), never, None)
    assert (links.votes, links.archive) == (None, "")
    reader = links.reader(ADA)
    assert (reader.unsubscribe, reader.preferences, reader.vote) == ("", "", "")


def test_each_reader_has_her_own_links() -> None:
    """Also when they take turns."""
    links = links_of(mailing_list(base_url="https://example.org"))
    first, second = links.reader(subscriber(1)), links.reader(subscriber(2))
    assert links.reader(subscriber(1)) == first != second
    assert first.unsubscribe.rpartition("/")[2].startswith("1.")


# --- The config ---


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the config will be; the working directory is its folder."""
    monkeypatch.chdir(tmp_path)
    return Path("config.toml")


def test_the_keys_come_from_environment_file_or_config(config: Path) -> None:
    """In that order; each line of a text is a key; a variable may name the file."""
    text = after(3, f'secret = "{KEYS[0]}"', 'secret_file = "keys"')
    Path("keys").write_text(f"{KEYS[1]}\n{KEYS[0]}\n\n")
    assert loaded(config, BASE).keys == ()
    assert loaded(config, after(3, f'secret = "{KEYS[0]}"')).keys == (KEYS[0].encode(),)
    assert loaded(config, text).keys == (KEYS[1].encode(), KEYS[0].encode())
    assert loaded(config, text, DIGEST_LIST__SECRET="e" * 32).keys == (b"e" * 32,)
    assert loaded(config, BASE, DIGEST_LIST__SECRET_FILE="keys").keys[0] == KEYS[1].encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "is empty"), ("hunter2\n", "must be at least 32 characters"), (None, "cannot be read: No such file")],
)
def test_a_file_of_keys_must_hold_keys(config: Path, content: str | None, why: str) -> None:
    """A missing, empty or weak one is told at its line, without what is in it; no other key is used instead."""
    if content is not None:
        Path("keys").write_text(content)
    (found,) = problems(config, after(3, f'secret = "{KEYS[0]}"', 'secret_file = "keys"'))
    assert (found.line, found.key) == (5, "list.secret_file")
    assert found.message.startswith(f"`secret_file` of [list] {why}")
    assert "hunter2" not in found.message


def test_a_key_is_never_shown(config: Path) -> None:
    """Neither what is loaded nor a complaint shows a key."""
    assert KEYS[0] not in repr(loaded(config, after(3, f'secret = "{KEYS[0]}"')))
    for text in (after(3, 'secret = "hunter2"'), after(3, 'secret = ["hunter2"]'), after(3, 'sceret = "hunter2"')):
        assert not any("hunter2" in str(problem) for problem in problems(config, text))
    assert not any("hunter2" in str(p) for p in problems(config, BASE, DIGEST_LIST__SECRET="hunter2"))


@pytest.mark.parametrize(
    ("table", "address"),
    [
        ("", None),
        ("[mailbox]\nhost = 'imap.example.org'\nusername = 'lab'", None),
        ("[mailbox]\nhost = 'imap.example.org'\nusername = 'lab@'", None),
        ("[mailbox]\naddress = 'lab@example.org'", None),
        ("[mailbox]\nhost = 'imap.example.org'\nusername = 'lab@example.org'", None),
        ("[mailbox]\nhost = 'x.org'\npassword = 'p'\nusername = 'lab@example.org'", "lab@example.org"),
        (
            "[mailbox]\nhost = 'x.org'\npassword = 'p'\nusername = 'x@y.org'\naddress = 'lab@example.org'",
            "lab@example.org",
        ),
    ],
)
def test_a_mailbox_is_an_address_that_is_read(config: Path, table: str, address: str | None) -> None:
    """It needs a server, a password, and an address: its own key, or the user name if that is one."""
    assert loaded(config, BASE + table + "\n").mailbox == address


# --- The whole way ---


@contextmanager
def app_of(config: Path, *lines: str, keep: bool = True, hours: int = 0) -> Iterator[App]:
    """The list of a config file, with more lines in its [list], so many hours after the first day began."""
    text = config.read_text().replace('id = "lab"\n', "\n".join(['id = "lab"', *lines, ""]))
    config.with_name("changed.toml").write_text(text)
    (found,) = load([config.with_name("changed.toml")], {}).lists
    with App(found, lambda: datetime.fromisoformat(DAY_ONE) + timedelta(hours=hours), keep=keep) as app:
        yield app


def sent(folder: Path, *lines: str, extra: str = "") -> list[Received]:
    """What a server got of a first `digest send` to two readers."""
    with CollectingServer() as server:
        with app_of(write_list(folder, port=server.port, extra=extra), *lines) as app:
            asyncio.run(app.send())
        return sorted(server.messages, key=lambda message: message.recipients)


def kept_key(folder: Path) -> bytes | None:
    database = open_database(f"sqlite:///{folder}/digest.db")
    found = Secrets(database, lambda: NOW).get(SIGNING_KEY)
    database.close()
    return found


def ids_of(folder: Path) -> dict[str, tuple[int, int]]:
    """By address: the ids of the reader and of her delivery."""
    database = open_database(f"sqlite:///{folder}/digest.db")
    table = schema.deliveries
    with database.read() as connection:
        rows = connection.execute(sa.select(table.c.address, table.c.subscriber_id, table.c.id)).all()
    database.close()
    return {address: (reader, delivery) for address, reader, delivery in rows}


def test_a_new_list_signs_its_pages_without_a_key_in_its_config(tmp_path: Path) -> None:
    """Each reader's message leads to her own pages, under a key that the store keeps."""
    messages = sent(tmp_path, 'base_url = "https://digest.example.org/lab/"')
    key = kept_key(tmp_path)
    assert key is not None
    tokens = Tokens([key], LAB)
    assert len(messages) == 2
    for message in messages:
        read_back = read(message.data)
        page = re.match(r"<(https://digest\.example\.org/lab/unsubscribe/lab/(\S+))>, ", read_back["List-Unsubscribe"])
        assert page
        assert tokens.verify(Purpose.UNSUBSCRIBE, page[2]) == ids_of(tmp_path)[message.recipients[0]][0]
        assert read_back["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert page[1] in body(read_back, "html")
        assert page[1] in body(read_back, "plain")
        assert read_back["List-Archive"] == "<https://digest.example.org/lab/archive/lab>"
        assert message.sender == "digest@example.org"


def test_with_a_mailbox_the_email_offers_votes(tmp_path: Path) -> None:
    """Votes, leaving the list and changing what one gets, all by mail: each reader leaves by her own token."""
    first, _ = sent(
        tmp_path, extra='[mailbox]\nhost = "imap.example.org"\nusername = "digest@example.org"\npassword = "x"\n'
    )
    read_back = read(first.data)
    assert "List-Unsubscribe-Post" not in read_back
    assert read_back["List-Help"] == "<mailto:digest%2Bhelp@example.org?subject=help%20lab>"
    leave = re.fullmatch(r"<(mailto:digest%2Bunsubscribe@example\.org\?subject=(\S+))>", read_back["List-Unsubscribe"])
    assert leave
    key = kept_key(tmp_path)
    assert key is not None
    assert Tokens([key], LAB).verify(Purpose.UNSUBSCRIBE, leave[2]) == ids_of(tmp_path)[first.recipients[0]][0]
    assert leave[1] in body(read_back, "html")
    assert leave[1] in body(read_back, "plain")
    assert "mailto:digest%2Bvote@example.org?subject=" in body(read_back, "html")


def test_without_links_no_key_is_made(tmp_path: Path) -> None:
    """Neither pages nor a mailbox nor an address for bounces: nothing to sign."""
    assert len(sent(tmp_path)) == 2
    assert kept_key(tmp_path) is None


def test_the_key_of_the_config_signs_and_that_of_the_store_still_verifies(tmp_path: Path) -> None:
    """With a key in the config none is made; one that was made before keeps yesterday's links alive."""
    pages = 'base_url = "https://example.org"'
    (tmp_path / "new").mkdir()
    token = token_in(sent(tmp_path / "new", pages, f'secret = "{KEYS[0]}"')[0])
    assert kept_key(tmp_path / "new") is None
    assert Tokens([KEYS[0].encode()], LAB).verify(Purpose.UNSUBSCRIBE, token)
    old = token_in(sent(tmp_path, pages)[0])
    with app_of(tmp_path / "config.toml", pages, f'secret = "{KEYS[0]}"') as app:
        assert app.making.tokens.verify(Purpose.UNSUBSCRIBE, old)
        assert app.making.tokens.verify(Purpose.UNSUBSCRIBE, token)
        assert app.making.tokens.sign(Purpose.VOTE, SubscriberId(1)) == Tokens([KEYS[0].encode()], LAB).sign(
            Purpose.VOTE, SubscriberId(1)
        )


def token_in(message: Received) -> str:
    found = re.search(r"/unsubscribe/lab/([^>]+)>", read(message.data)["List-Unsubscribe"])
    assert found
    return found[1]


def test_each_delivery_has_an_envelope_sender_of_its_own(tmp_path: Path) -> None:
    """VERP: the tag says which delivery bounced, whatever case it comes back in; the header's From stays."""
    messages = sent(tmp_path, 'bounces = "bounces@example.org"')
    key = kept_key(tmp_path)
    assert key is not None
    assert len({message.sender for message in messages}) == 2
    for message in messages:
        found = re.fullmatch(r"bounces\+([a-z0-9]+)@example\.org", message.sender)
        assert found
        assert len(message.sender.partition("@")[0]) <= 64
        assert Tokens([key], LAB).delivery_of(found[1].upper()) == ids_of(tmp_path)[message.recipients[0]][1]
        assert read(message.data)["From"] == "Lab <digest@example.org>"


def test_a_second_try_has_the_same_envelope_sender(tmp_path: Path) -> None:
    """A tag is the delivery's, not the attempt's: a late bounce of the first try counts as well."""
    seen = []
    original = Making.envelope

    def envelope(self: Making, *of: Any) -> Envelope:
        seen.append(original(self, *of))
        return seen[-1]

    with CollectingServer(replace(defers_rcpt_451, times=1, over_all=True)) as server:
        config = write_list(tmp_path, readers=1, port=server.port)
        for hours in (0, 9):
            with (
                app_of(config, 'bounces = "bounces@example.org"', hours=hours) as app,
                mock.patch.object(Making, "envelope", envelope),
            ):
                asyncio.run(app.send())
        (message,) = server.messages
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert message.sender == seen[0].sender


def test_a_test_message_is_nobodys(tmp_path: Path) -> None:
    """It has the plain address for its bounces, and links that hold for no reader: whoever gets it changes nothing."""
    lines = ('base_url = "https://example.org"', 'bounces = "bounces@example.org"')
    sent(tmp_path, *lines)
    with CollectingServer() as server:
        with app_of(write_list(tmp_path, port=server.port), *lines, keep=False) as app:
            send_test(app, Address("me@example.net"), [Address("reader1@example.org")])
            tokens = app.making.tokens
        (message,) = server.messages
    assert (message.sender, message.recipients) == ("bounces@example.org", ("me@example.net",))
    assert tokens.verify(Purpose.UNSUBSCRIBE, token_in(message)) == 0
    assert 0 not in {reader for reader, _ in ids_of(tmp_path).values()}


def test_a_command_that_keeps_nothing_makes_no_key(tmp_path: Path) -> None:
    """A rehearsal of a new list shows links under a key that ends with it; it creates no database for it."""
    with app_of(write_list(tmp_path), 'base_url = "https://example.org"', keep=False) as app:
        (proof,) = proofs_of(app)
        (reader, selection), *_ = proof.selections
        assert "https://example.org/unsubscribe/lab/0." in proof.render(reader, selection).text
    assert not (tmp_path / "digest.db").exists()
    open_database(f"sqlite:///{tmp_path}/digest.db").close()
    with app_of(write_list(tmp_path), 'base_url = "https://example.org"', keep=False) as app:
        assert app.making.tokens.sign(Purpose.VOTE, SubscriberId(1))
    assert kept_key(tmp_path) is None


def test_no_key_is_in_what_is_printed_or_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a message nor in a log of everything, nor in the `repr` of what holds it."""
    caplog.set_level(logging.DEBUG)
    messages = sent(tmp_path, 'base_url = "https://example.org"', f'secret = "{KEYS[0]}"')
    (tmp_path / "own").mkdir()
    messages += sent(tmp_path / "own", 'base_url = "https://example.org"')
    own = kept_key(tmp_path / "own")
    assert own is not None
    for key in (KEYS[0].encode(), own):
        shown = [key.hex(), repr(key)[2:-1], b64encode(key).decode()]
        assert not any(form in caplog.text or form.encode() in m.data for form in shown for m in messages)
    with app_of(tmp_path / "config.toml", f'secret = "{KEYS[0]}"') as app:
        assert KEYS[0] not in repr((app, app.config, app.making.tokens, vars(app)))
