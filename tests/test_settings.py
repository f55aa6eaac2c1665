"""What `digest.settings.load` makes of a valid config and of the environment."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from digest.errors import ConfigError
from digest.model import (
    AnnounceType,
    Frequency,
    Inbox,
    OnUnknown,
    Period,
    Rate,
    Relay,
    Retention,
    Security,
    SignalSource,
    Source,
    SourceKind,
    Topic,
    WhenEmpty,
)
from digest.settings import ListConfig, load
from tests.configs import BASE, after, instead, loaded, problems


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test writes its config: `config.toml` in a folder of its own, from which it is called."""
    monkeypatch.chdir(tmp_path)
    return Path("config.toml")


# --- Values ---


def test_what_a_short_config_means(config: Path) -> None:
    """Everything that a config leaves out has its documented default."""
    found = loaded(config, BASE)
    folder = Path.cwd()
    assert found.path == config
    assert found.mailing_list.name == "Lab"
    assert found.mailing_list.from_ == "Lab <lab@example.org>"
    assert found.mailing_list.when_empty is WhenEmpty.SKIP
    assert found.mailing_list.frequency is Frequency.DAILY
    api = "https://export.arxiv.org/api/query"
    assert found.sources == (Source(SourceKind.ARXIV, "arxiv", None, ("cs.CV",), api_url=api),)
    assert found.topics == (Topic("video", "video"),)
    assert found.relays == (Relay("localhost", 587, Security.STARTTLS, on_unknown=OnUnknown.HOLD, name="localhost"),)
    assert (found.outbox, found.store_url) == (folder / "outbox", f"sqlite:///{folder}/digest.db")
    assert found.warnings == ()


def test_exploring_can_be_switched_off(config: Path) -> None:
    """A list explores unless it says otherwise."""
    assert loaded(config, BASE).mailing_list.explore
    assert not loaded(config, after(3, "explore = false")).mailing_list.explore


def test_without_smtp_there_is_no_relay(config: Path) -> None:
    """A config without [smtp] means the Maildir."""
    assert loaded(config, BASE.partition("[smtp]")[0]).relays == ()


def test_the_form_of_toml_does_not_matter(config: Path) -> None:
    """Dotted keys and inline tables say the same as tables, and their mistakes have lines too."""
    short = """\
list = { id = "lab", from = "Lab <lab@example.org>" }
sources = [{ kind = "arxiv", categories = ["cs.CV"] }]
topics.video.text = "video"
subscribers = [{ email = "ada@example.org", topics = ["video"] }]
smtp.host = "localhost"
"""
    assert loaded(config, short) == loaded(config, BASE)
    (found,) = problems(config, short.replace('["video"]', '["vido"]'))
    assert (found.line, found.key) == (4, "subscribers[0].topics[0]")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lab@example.org", "lab@example.org"),
        ("Lab <lab@example.org>", "Lab <lab@example.org>"),
        ("Dr. Lab, PhD <lab@EXAMPLE.org>", '"Dr. Lab, PhD" <lab@example.org>'),
        (r"\"Lab\" <lab@example.org>", "Lab <lab@example.org>"),
        ("Bücher <lab@bücher.example.org>", "Bücher <lab@xn--bcher-kva.example.org>"),
    ],
)
def test_a_sender_is_written_as_mail_wants_it(config: Path, written: str, meant: str) -> None:
    """Names are quoted where RFC 5322 asks for it, domains in ASCII."""
    assert loaded(config, BASE.replace("Lab <lab@example.org>", written)).mailing_list.from_ == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0 7 * * mon-fri", "0 7 * * mon-fri"),
        ("30 6 * * 1-5", "30 6 * * mon-fri"),
        ("0 7 * * 0", "0 7 * * sun"),
        ("0 7 * * 7,3", "0 7 * * wed,sun"),
        ("0 7 * * FRI-mon", "0 7 * * mon,fri,sat,sun"),
        ("0 7 * * */2", "0 7 * * tue,thu,sat,sun"),
        ("0 7 1,15 jan-mar *", "0 7 1,15 1,2,3 *"),
        ("0 7 29 2 *", "0 7 29 2 *"),
    ],
)
def test_a_schedule_has_weekdays_by_name(config: Path, written: str, meant: str) -> None:
    """A number of a weekday is cron's, 0 for Sunday; programs that count otherwise never see it."""
    assert loaded(config, after(3, f'schedule = "{written}"')).mailing_list.schedule == meant


def test_sources_have_names_of_their_own(config: Path) -> None:
    """A source without a name goes by its kind, a feed by its host or file; equal ones are numbered."""
    feeds = ("https://www.nature.com/nature.rss", "https://www.nature.com/nmeth.rss", "feeds/some%20file.xml", "")
    text = BASE + "".join(f'[[sources]]\nkind = "feed"\nurl = "{url}"\n' for url in feeds if url)
    text += (
        '[[sources]]\nkind = "arxiv"\ncategories = ["hep-th"]\n[[sources]]\nkind = "huggingface"\nname = "arxiv 2"\n'
    )
    names = [s.name for s in loaded(config, text).sources]
    assert names == ["arxiv", "nature.com", "nature.com 2", "some%20file.xml", "arxiv 3", "arxiv 2"]


def test_a_path_becomes_an_absolute_address(config: Path) -> None:
    """A source's path is relative to the config's folder; that nothing is there yet is no mistake of the config."""
    folder = Path.cwd()
    nested = folder / "lists" / "c.toml"
    nested.parent.mkdir()
    nested.write_text(after(6, 'url = "../fe eds/x.xml"', 'kinds = ["new", "replace-cross"]'))
    (source,) = load([nested], {}).lists[0].sources
    assert source.url == f"{folder.as_uri()}/fe%20eds/x.xml"
    assert source.kinds == (AnnounceType.NEW, AnnounceType.REPLACE_CROSS)


def test_the_store_lies_where_the_config_says(config: Path) -> None:
    """A relative SQLite path is relative to the config's folder, an absolute one stays, and so do its options."""
    text = BASE + '[store]\nurl = "sqlite:///data/x.db?timeout=9"\n'
    assert loaded(config, text).store_url == f"sqlite:///{Path.cwd()}/data/x.db?timeout=9"
    assert loaded(config, BASE + '[store]\nurl = "sqlite:////var/x.db"\n').store_url == "sqlite:////var/x.db"


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_the_security(config: Path, security: str, port: int) -> None:
    """Without a port, each security has the port that it is known by."""
    (relay,) = loaded(config, BASE + f'security = "{security}"\n').relays
    assert relay.port == port


@pytest.mark.parametrize(("written", "seconds"), [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400)])
def test_a_rate_has_a_unit(config: Path, written: str, seconds: int) -> None:
    """`5/UNIT` is five messages in that time."""
    (relay,) = loaded(config, BASE + f'rate = "5/{written}"\nper_domain = {{ "Gmail.com" = "1 / second" }}\n').relays
    assert relay.rate == Rate(5, seconds)
    assert relay.per_domain == (("gmail.com", Rate(1, 1)),)


# --- Subscribers ---


@pytest.mark.parametrize(
    ("lines", "topics"),
    [
        ("", ["video", "audio"]),
        ('topics = ["audio"]', ["audio"]),
        ('topics = ["audio", {text = "one two three four five six seven"}]', ["audio", "one two three four five six"]),
        ('topics = [{keywords = ["k1", "k2"]}]', ["k1"]),
        ('authors = ["Tim Brooks"]', []),
        ('categories = ["cs.CV"]', []),
        ('examples = ["2406.04325"]', []),
        ('topics = []\nauthors = ["Tim Brooks"]', []),
    ],
)
def test_topics_of_a_subscriber(config: Path, lines: str, topics: list[str]) -> None:
    """Whoever wants nothing in particular gets all topics of the list; whoever wants anything gets that."""
    text = instead(11, lines, "[topics.audio]", 'text = "audio"')
    (ada,) = loaded(config, text).subscribers
    assert [t.name for t in ada.profile.topics] == topics


def test_a_csv_adds_people(config: Path) -> None:
    """People of the TOML and of `subscribers_file` are subscribed alike, the TOML's first."""
    Path("m.csv").write_text("email,topics,authors\nbob@example.org,video,\neve@example.org,,Tim Brooks\n")
    found = loaded(config, 'subscribers_file = "m.csv"\n' + BASE).subscribers
    assert [s.address for s in found] == ["ada@example.org", "bob@example.org", "eve@example.org"]
    assert [len(s.profile.topics) for s in found] == [1, 1, 0]


def test_mistakes_of_a_csv_are_told_with_those_of_the_config(config: Path) -> None:
    """A CSV's mistakes have the CSV's lines, and neither file hides the other's."""
    Path("m.csv").write_text("email,topics\nbob@example.org,vidoe\nbob,video\nADA@example.org,\nadam@example.org,\n")
    found = problems(config, 'subscribers_file = "m.csv"\npapers = 1\n' + BASE)
    assert [str(p) for p in found] == [
        "config.toml:2: `papers` is not a key of the top of the file; it belongs in [list] or [retention]",
        'm.csv:2: there is no topic "vidoe"; did you mean `video`?',
        'm.csv:3: `email` must be an email address, not "bob"; an email address must have an @-sign',
        'm.csv:4: `email` "ADA@example.org" is there twice, first at config.toml:12: keep one of them',
    ]


def test_a_library_gives_examples(config: Path) -> None:
    """The papers of a BibTeX file are examples, after those that are named; its broken entries are remarks."""
    Path("ada.bib").write_text(
        "@misc{a, title={A}, eprint={2406.04325}}\n@misc{b title={B}}\n@misc{c, title={C}, doi={10.1000/C}}\n"
    )
    found = loaded(config, after(11, 'examples = ["doi:10.1038/x"]', 'library = "ada.bib"'))
    (ada,) = found.subscribers
    assert ada.profile.examples == ("doi:10.1038/x", "arxiv:2406.04325", "doi:10.1000/c")
    assert [p.title for p in ada.library] == ["A", "C"]
    (remark,) = found.warnings
    assert remark.startswith("ada.bib:2: `b` cannot be read")


def test_a_library_without_papers_is_a_mistake(config: Path) -> None:
    """A file that is no BibTeX, or an empty one, is not taken for a library without a word."""
    Path("ada.bib").write_text("<html>")
    (found,) = problems(config, after(11, 'library = "ada.bib"'))
    assert str(found) == 'config.toml:12: `library` of [[subscribers]] "ada.bib": has no entry that can be used'


# --- Secrets and the environment ---


LOGIN = BASE + 'username = "lab"\npassword = "from toml"\n'


def password(found: ListConfig) -> str | None:
    (relay,) = found.relays
    return relay.password


def test_a_password_file_wins_over_the_toml(config: Path) -> None:
    """A secret in a file of its own is preferred; its last line break is not part of it."""
    Path("secret").write_text(" from file \n")
    text = LOGIN + 'password_file = "secret"\n'
    assert password(loaded(config, LOGIN)) == "from toml"
    assert password(loaded(config, text)) == " from file "


def test_the_databases_password_may_be_in_a_file(config: Path) -> None:
    """As a relay's may; the file's is in the address, and the environment may name another, as a credential's."""
    Path("secret").write_text("of-the-file\n")
    Path("credential").write_text("of-systemd\n")
    store = "\n[store]\nurl = 'postgresql://digest@db/lab'\npassword = 'of-the-toml'\n"
    assert loaded(config, BASE + store).store_url == "postgresql://digest:of-the-toml@db/lab"
    text = f"{BASE}{store}password_file = 'secret'\n"
    assert loaded(config, text).store_url == "postgresql://digest:of-the-file@db/lab"
    found = loaded(config, text, DIGEST_STORE__PASSWORD_FILE="credential")
    assert found.store_url == "postgresql://digest:of-systemd@db/lab"


def test_the_environment_wins_over_all(config: Path) -> None:
    """A variable is stronger than both the TOML and the file of a secret; so is a file that a variable names."""
    Path("secret").write_text("from file")
    Path("other").write_text("from other")
    text = LOGIN + 'password_file = "secret"\n'
    assert password(loaded(config, text, DIGEST_SMTP__PASSWORD="from env")) == "from env"
    assert password(loaded(config, text, DIGEST_SMTP__PASSWORD_FILE="other")) == "from other"
    assert password(loaded(config, text, DIGEST_SMTP__PASSWORD="")) == "from file"
    assert password(loaded(config, text, DIGEST_SMTP__PASSWORD="with a line break\n")) == "with a line break"
    assert password(loaded(config, text, DIGEST_SMTP__PASSWORD="\n")) == "from file"
    Path("secret").unlink()
    assert password(loaded(config, text, DIGEST_SMTP__PASSWORD="from env")) == "from env"


@pytest.mark.parametrize(("content", "why"), [("", "is empty"), ("a\nb\n", "has several lines…"), (None, "cannot…")])
def test_a_password_file_must_hold_a_password(config: Path, content: str | None, why: str) -> None:
    """A missing, empty or doubtful file of a secret is told, and the TOML's password not used instead."""
    if content is not None:
        Path("secret").write_text(content)
    (found,) = problems(config, LOGIN + 'password_file = "secret"\n')
    assert (found.line, found.key) == (16, "smtp.password_file")
    assert found.message.startswith("`password_file` of [smtp] " + why.rstrip("…"))


def test_a_password_is_never_shown(config: Path) -> None:
    """Neither what is loaded nor a complaint shows a password."""
    found = loaded(config, LOGIN, DIGEST_SMTP__PASSWORD="hunter2")
    assert password(found) == "hunter2"
    assert "hunter2" not in repr(found)
    for name in ("DIGEST_SMTP", "DIGEST_SMTP__PASWORD", "DIGEST_SMTP_PASSWORD", "DIGEST_SMPT__PASSWORD"):
        assert "hunter2" not in str(problems(config, LOGIN, **{name: '{"password": "hunter2"'}))


def test_any_value_can_come_from_the_environment(config: Path) -> None:
    """Numbers, words, lists and tables are read out of variables, and win over the TOML."""
    found = loaded(
        config,
        after(3, "papers = 3"),
        DIGEST_LIST__PAPERS="7",
        DIGEST_LIST__MIN_RELEVANCE="0.5",
        digest_list__name="Other",
        DIGEST_SMTP__PER_DOMAIN='{"gmail.com": "60/minute"}',
        DIGEST_SMTP__PORT="2525",
        DIGEST_TOPICS__VIDEO__KEYWORDS='["a", "b"]',
        DIGEST_SOURCES='[{"kind": "huggingface"}]',
        DIGEST_CONFIG="elsewhere",
        DIGEST_RECORDED="elsewhere",
    )
    assert (found.mailing_list.papers, found.mailing_list.min_relevance, found.mailing_list.name) == (7, 0.5, "Other")
    (relay,) = found.relays
    assert (relay.port, relay.per_domain) == (2525, (("gmail.com", Rate(60, 60)),))
    assert found.topics[0].keywords == ("a", "b")
    assert [s.kind for s in found.sources] == [SourceKind.HUGGINGFACE]


def test_people_can_come_from_the_environment(config: Path) -> None:
    """A config that others may read names nobody: addresses, and all that can be said of them, are in a variable."""
    people = '[{"email": "bob@example.org", "language": "fi"}, {"email": "cem@example.org", "topics": ["video"]}]'
    found = loaded(config, BASE, DIGEST_SUBSCRIBERS=people)
    assert [person.address for person in found.subscribers] == ["bob@example.org", "cem@example.org"]
    (warning,) = found.warnings
    assert warning.startswith('environment: DIGEST_SUBSCRIBERS: `language` of [[subscribers]] "fi"')
    doubled = people.replace("bob", "cem")
    (problem,) = problems(config, BASE, DIGEST_SUBSCRIBERS=doubled)
    assert "is there twice" in str(problem)


VARIABLES = [
    ("DIGEST_SMTP__PORT", "abc", 'environment: `DIGEST_SMTP__PORT` must be a whole number from 1 to 65535, not "abc"'),
    ("DIGEST_LIST__TREND_WEIGHT", "x", '`DIGEST_LIST__TREND_WEIGHT` must be a number from 0 to 1, not "x"'),
    ("DIGEST_LIST__TIMEZONE", "Mars", "`DIGEST_LIST__TIMEZONE` must be an IANA time zone such as `Europe/Berlin`"),
    ("DIGEST_SMTP__PROT", "1", "environment: DIGEST_SMTP__PROT: `prot` is not a key of [smtp]; did you mean `port`?"),
    ("DIGEST_SMPT__PORT", "1", "`DIGEST_SMPT__PORT` is not a setting; did you mean `DIGEST_SMTP__PORT`?"),
    ("DIGEST_SMTP_PASSWORD", "1", "`DIGEST_SMTP_PASSWORD` is not a setting; did you mean `DIGEST_SMTP__PASSWORD`?"),
    ("DIGEST_LIST", "abc", "environment: `DIGEST_LIST` must be a table"),
    ("DIGEST_SOURCES", "abc", "environment: `DIGEST_SOURCES` must be written [[sources]]"),
    ("DIGEST_SUBSCRIBERS", "[1]", "environment: `DIGEST_SUBSCRIBERS` must be written [[subscribers]]"),
    (
        "DIGEST_TOPICS__VIDEO__KEYWORDS",
        "a,b",
        '`DIGEST_TOPICS__VIDEO__KEYWORDS` must be a list such as ["text-to-video"',
    ),
    ("DIGEST_TOPICS__NEW__WEIGHT", "2", "environment: DIGEST_TOPICS__NEW: [topics.new] has nothing to look for"),
    (
        "DIGEST_SUBSCRIBERS_FILE",
        "m.csv",
        'environment: DIGEST_SUBSCRIBERS_FILE: `subscribers_file` "m.csv": no such file',
    ),
]


@pytest.mark.parametrize(("name", "value", "message"), VARIABLES)
def test_a_bad_variable_is_told_by_its_name(config: Path, name: str, value: str, message: str) -> None:
    """A mistake of the environment is placed there, not in the file."""
    (found, *more) = problems(config, BASE, **{name: value})
    assert message in str(found)
    assert (found.file, found.line, more) == (None, None, [])


def test_a_table_that_only_the_environment_makes_is_explained(config: Path) -> None:
    """A password in the environment of a list without [smtp] is told for what it is."""
    (found,) = (p for p in problems(config, BASE.partition("[smtp]")[0], DIGEST_SMTP__PORT="1"))
    assert found.file is None
    assert found.message.startswith("`host` of [smtp] is missing")
    assert found.message.endswith("the table is there because a variable DIGEST_SMTP__… is set")


def test_the_environment_s_mistakes_are_told_once(config: Path) -> None:
    """An installation of many files does not repeat what is wrong outside of them."""
    Path("a.toml").write_text(BASE.replace('"lab"', '"a"'))
    config.write_text(BASE)
    with pytest.raises(ConfigError) as caught:
        load([Path("a.toml"), config], {"DIGEST_SMTP__PORT": "abc"})
    assert len(caught.value.problems) == 1


def test_variables_of_others_are_left_alone(config: Path) -> None:
    """A variable that merely begins like ours is no mistake."""
    assert loaded(config, BASE, DIGEST_ALGORITHM="sha256", DIGESTIVE="x", OTHER="y").warnings == ()


def test_the_process_environment_is_the_default(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping, the variables are those of the process."""
    monkeypatch.setenv("DIGEST_LIST__PAPERS", "9")
    config.write_text(BASE)
    assert load([config]).lists[0].mailing_list.papers == 9
    assert load([config], {}).lists[0].mailing_list.papers == 12


def test_how_sources_are_asked(config: Path) -> None:
    """[pull] and [signals] are taken over; without them nobody is asked for figures and no private host."""
    found = loaded(config, BASE).pulling
    assert (found.contact, found.allow_private, found.signals, found.api_keys) == (None, False, (), {})
    more = (
        '[pull]\ncontact = "mailto:ada@example.org"\nallow_private = true\n[signals]\ngithub = true\ncitations = true\n'
    )
    found = loaded(config, BASE + more).pulling
    assert (found.contact, found.allow_private) == ("ada@example.org", True)
    assert found.signals == (SignalSource.GITHUB, SignalSource.CITATIONS)


def test_how_long_things_are_kept(config: Path) -> None:
    """[retention] is read in days, months of 30 and years of 365; what it does not say is kept as long as usual."""
    assert loaded(config, BASE).retention == Retention(timedelta(days=365), timedelta(days=365), timedelta(days=90))
    found = loaded(config, BASE + '[retention]\npapers = "forever"\ndeliveries = "6 months"\n').retention
    assert found == Retention(None, timedelta(days=180), timedelta(days=90))


def test_tokens_come_from_the_file_or_from_the_variables_of_the_services(config: Path) -> None:
    """DIGEST_PULL__… wins over the file, the file over the service's own variable; none is ever shown."""
    services = {"GITHUB_TOKEN": "hunter2-a", "SEMANTIC_SCHOLAR_API_KEY": "hunter2-b", "NCBI_API_KEY": " "}
    found = loaded(config, BASE, **services).pulling
    assert found.github_token == "hunter2-a"
    assert found.api_keys == {SourceKind.SEMANTIC_SCHOLAR: "hunter2-b"}
    assert "hunter2" not in repr(found)
    found = loaded(config, BASE + '[pull]\ngithub_token = "in-file"\n', **services).pulling
    assert found.github_token == "in-file"
    found = loaded(config, BASE + '[pull]\ngithub_token = "in-file"\n', DIGEST_PULL__GITHUB_TOKEN="in-env").pulling
    assert found.github_token == "in-env"


def test_sources_of_every_kind(config: Path) -> None:
    """Each kind takes its own keys, and only arXiv's own feed is reconciled unless an API is named."""
    more = """
[[sources]]
kind = "arxiv"
name = "mirror"
url = "mirror.xml"
categories = ["cs.LG"]
[[sources]]
kind = "arxiv"
name = "checked"
url = "mirror.xml"
api_url = "https://mirror.example.org/query"
deferral_days = [2026-12-24, "2026-12-25"]
categories = ["cs.LG"]
[[sources]]
kind = "arxiv"
name = "trusted"
reconcile = false
categories = ["cs.LG"]
[[sources]]
kind = "medrxiv"
subjects = ["epidemiology"]
[[sources]]
kind = "crossref"
journals = ["0028-0836", "2434-561x"]
[[sources]]
kind = "huggingface"
period = "week"
[[sources]]
kind = "feed"
url = "https://www.journal.example.org/rss"
skip = ["^Editorial"]
"""
    _, mirror, checked, trusted, medrxiv, crossref, daily, feed = loaded(config, BASE + more).sources
    assert (mirror.api_url, trusted.api_url, checked.api_url) == (None, None, "https://mirror.example.org/query")
    assert checked.deferral_days == (date(2026, 12, 24), date(2026, 12, 25))
    assert (medrxiv.name, medrxiv.categories) == ("medrxiv", ("epidemiology",))
    assert crossref.journals == ("0028-0836", "2434-561X")
    assert daily.period is Period.WEEK
    assert (feed.name, feed.skip) == ("journal.example.org", ("^Editorial",))


def test_a_category_that_arxiv_does_not_have_is_doubted(config: Path) -> None:
    """As arXiv may add categories, so an unknown one is a warning with the nearest that is known."""
    (warning,) = loaded(config, instead(6, 'categories = ["cs.CV", "cs.XX", "math"]')).warnings
    assert warning.startswith('config.toml:6: `categories` of [[sources]]: arXiv is not known to have "cs.XX"; did you')


@pytest.mark.parametrize(
    ("table", "inbox"),
    [
        ("address = 'u@x.org'", Inbox("x", 993, Security.TLS, "u@x.org", "p")),
        ("username = 'u'\nsecurity = 'starttls'", Inbox("x", 143, Security.STARTTLS, "u", "p")),
        (
            "username = 'u'\naddress = 'u@x.org'\nsecurity = 'none'\nport = 1143",
            Inbox("x", 1143, Security.NONE, "u", "p"),
        ),
    ],
)
def test_a_mailbox_is_read_by_its_address_over_tls_unless_told_otherwise(
    config: Path, table: str, inbox: Inbox
) -> None:
    """The user name is the address, the port that of the protection."""
    assert loaded(config, BASE + f"[mailbox]\nhost = 'x'\npassword = 'p'\n{table}\n").inbox == inbox


@pytest.mark.parametrize("table", ["host = 'x'\nusername = 'u'", "host = 'x'\npassword = 'p'", "username = 'u'"])
def test_a_mailbox_without_a_login_is_not_read(config: Path, table: str) -> None:
    """It may still be named in emails."""
    assert loaded(config, BASE + f"[mailbox]\n{table}\n").inbox is None
