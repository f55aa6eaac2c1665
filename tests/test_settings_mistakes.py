"""What `digest.settings.load` says of every mistake that a config can have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from digest.settings.models import TABLES, keys_of
from tests.configs import BASE, after, instead, problems
from tests.dkim_keys import pem, rsa
from tests.mistakes import MORE


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test writes its config: `config.toml` in a folder of its own, from which it is called."""
    (tmp_path / "dkim.pem").write_bytes(pem(rsa()))
    monkeypatch.chdir(tmp_path)
    return Path("config.toml")


MISTAKES: list[tuple[str, int, str, str]] = [
    # [list]
    (after(3, "shedule = ''"), 4, "list.shedule", "`shedule` is not a key of [list]; did you mean `schedule`?"),
    (
        after(3, "colour = 3"), 4, "list.colour",
        ("`colour` is not a key of [list]; its keys are id, name, from, reply_to, schedule, timezone, language, "
        "papers, min_relevance, when_empty, frequency, trend_weight, semantic, explore, base_url, secret, secret_file, "
        "bounces, postal_address, operator, theme, remote_images, templates, send_window, wait_until, "
        "max_lateness"),
    ),
    (after(3, 'host = "x"'), 4, "list.host", "`host` is not a key of [list]; its keys are id,…"),
    (after(3, "connections = 3"), 4, "list.connections", "`connections` is not a key of [list]; it belongs in [smtp]"),
    (
        after(3, 'subscribers_file = "m.csv"'), 4, "list.subscribers_file",
        "`subscribers_file` is not a key of [list]; it belongs at the top of the file, before the first [table]",
    ),
    (instead(2), 1, "list", '`id` of [list] is missing: write e.g. `id = "video-lab"`'),
    (instead(3), 1, "list", '`from` of [list] is missing: write e.g. `from = "Video Lab <digest@example.org>"`'),
    (
        instead(2, 'id = "video lab"'), 2, "list.id",
        ("`id` of [list] must be at most 64 letters, digits, dots, dashes and underscores, with a letter or digit at "
        'both ends, not "video lab"'),
    ),
    (instead(2, "id = 7"), 2, "list.id", "`id` of [list] must be at most 64 letters,…, not 7"),
    (after(3, "name = 7"), 4, "list.name", "`name` of [list] must be text in quotation marks, not 7"),
    (after(3, 'name = ""'), 4, "list.name", "`name` of [list] must not be empty"),
    (
        after(3, r'name = "a\r\nBcc: x"'), 4, "list.name",
        r'`name` of [list] must be one line without control characters, not "a\r\nBcc: x"',
    ),
    (
        instead(3, 'from = "Lab"'), 3, "list.from",
        '`from` of [list] must be an email address, not "Lab"; an email address must have an @-sign',
    ),
    (
        instead(3, 'from = "Lab <lab@example.org"'), 3, "list.from",
        ("`from` of [list] must be an address such as `Video Lab <digest@example.org>`, not "
        '"Lab <lab@example.org"; the `>` is missing'),
    ),
    (
        after(3, 'operator = "nobody"'), 4, "list.operator",
        '`operator` of [list] must be an email address, not "nobody"; an email address must have an @-sign',
    ),
    (
        after(3, 'operatr = "ops@example.org"'), 4, "list.operatr",
        "`operatr` is not a key of [list]; did you mean `operator`?",
    ),
    (after(3, "reply_to = 1"), 4, "list.reply_to", "`reply_to` of [list] must be text in quotation marks, not 1"),
    (
        after(3, 'schedule = "daily"'), 4, "list.schedule",
        ("`schedule` of [list] must be a cron line of five fields, minute hour day month weekday, such as "
        '`0 7 * * mon-fri`, not "daily"'),
    ),
    (
        after(3, 'schedule = "0 7,19 * * *"'), 4, "list.schedule",
        ('`schedule` of [list] may fire at most once a day, as a list has one edition a day, not "0 7,19 * * *"; '
        "give one minute and one hour, as in `0 7 * * mon-fri`"),
    ),
    (after(3, 'schedule = "*/5 7 * * *"'), 4, "list.schedule", "`schedule` of [list] may fire at most once a day,…"),
    (after(3, 'schedule = "0 24 * * *"'), 4, "list.schedule", "…; `24` is not an hour (0 to 23)"),
    (after(3, 'schedule = "0 7 * * mo"'), 4, "list.schedule", "…; `mo` is not a weekday: did you mean `mon`?"),
    (after(3, 'schedule = "0 7 * * fri-"'), 4, "list.schedule", "`schedule` of [list] must be a cron line…"),
    (after(3, 'schedule = "0 7 20-10 * *"'), 4, "list.schedule", "…; `20-10` runs backwards"),
    (after(3, 'schedule = "0 7 */0 * *"'), 4, "list.schedule", "…; `/0` is not a step"),
    (after(3, 'schedule = "0 7 30 2 *"'), 4, "list.schedule", "…must name a day that comes,…"),
    (
        after(3, 'schedule = "0 7 1 * mon"'), 4, "list.schedule",
        ("`schedule` of [list] must name days of the month or weekdays, not both; cron programs disagree on what both "
        "mean"),
    ),
    (
        after(3, 'timezone = "Europe/Berln"'), 4, "list.timezone",
        ('`timezone` of [list] must be an IANA time zone such as `Europe/Berlin`, not "Europe/Berln"; did you mean '
        "`Europe/Berlin`?"),
    ),
    (after(3, 'timezone = "../etc/passwd"'), 4, "list.timezone", "`timezone` of [list] must be an IANA time zone…"),
    (after(3, 'timezone = "Europe"'), 4, "list.timezone", "`timezone` of [list] must be an IANA time zone…"),
    (
        after(3, 'papers = "twelve"'), 4, "list.papers",
        '`papers` of [list] must be a whole number from 1 to 100, not "twelve"',
    ),
    (after(3, "papers = 0"), 4, "list.papers", "`papers` of [list] must be a whole number from 1 to 100, not 0"),
    (after(3, "papers = 12.5"), 4, "list.papers", "`papers` of [list] must be a whole number from 1 to 100, not 12.5"),
    (after(3, "papers = true"), 4, "list.papers", "`papers` of [list] must be a whole number from 1 to 100, not true"),
    (
        after(3, "papers = { most = 3 }"), 4, "list.papers",
        "`papers` of [list] must be a whole number from 1 to 100, not a table",
    ),
    (
        after(3, "min_relevance = 20"), 4, "list.min_relevance",
        "`min_relevance` of [list] must be a number from 0 to 1, not 20",
    ),
    (after(3, "min_relevance = nan"), 4, "list.min_relevance", "`min_relevance` of [list] must be a number…, not nan"),
    (after(3, 'explore = "yes"'), 4, "list.explore", "`explore` of [list] must be true or false, not …"),
    (after(3, 'trend_weight = "0.3"'), 4, "list.trend_weight", "`trend_weight` of [list] must be a number…"),
    (
        after(3, 'when_empty = "never"'), 4, "list.when_empty",
        '`when_empty` of [list] must be one of skip, send, not "never"',
    ),
    (
        after(3, 'wait_until = "9 o\'clock"'), 4, "list.wait_until",
        '`wait_until` of [list] must be a time of day such as "09:00", not "9 o\'clock"',
    ),
    (
        after(3, 'schedule = "0 7 * * *"', 'wait_until = "06:30"'), 5, "list.wait_until",
        ('`wait_until` of [list] "06:30" must come after the schedule\'s time, and within 12 hours of it: until then '
         "an edition that is due waits for its sources"),
    ),
    (after(3, 'wait_until = "07:00"'), 4, "list.wait_until", "…must come after the schedule's time…"),
    (
        after(3, 'max_lateness = "36h"'), 4, "list.max_lateness",
        '`max_lateness` of [list] must be a time such as "36 hours" (minutes, hours or days), not "36h"',
    ),
    (after(11, "hour = 24"), 12, "subscribers[0].hour", "…must be a whole number from 0 to 23…"),
    (
        after(3, 'frequency = "Weekly"'), 4, "list.frequency",
        '`frequency` of [list] must be one of daily, weekly, monthly, not "Weekly"; did you mean `weekly`?',
    ),
    (
        after(3, 'base_url = "digest.example.org"'), 4, "list.base_url",
        '`base_url` of [list] must be an address such as `https://digest.example.org`, not "digest.example.org"',
    ),
    (
        after(3, f'base_url = "https://example.org/{"x" * 200}"'), 4, "list.base_url",
        "`base_url` of [list] must be an address of at most 200 characters",
    ),
    (
        after(3, 'secret = "hunter2"'), 4, "list.secret",
        "`secret` of [list] must be at least 32 characters, made at random; print some with `python -c…",
    ),
    (
        after(3, f'secret = """{"x" * 40}', 'hunter2"""'), 4, "list.secret",
        "`secret` of [list] must be at least 32 characters,…",
    ),
    (after(3, "secret = '\t'"), 4, "list.secret", "`secret` of [list] must be at least 32 characters,…"),
    (
        after(3, 'bounces = "Bounces <b@example.org>"'), 4, "list.bounces",
        "`bounces` of [list] must be an email address, not…",
    ),
    (
        after(3, f'bounces = "{"b" * 21}@example.org"'), 4, "list.bounces",
        "`bounces` of [list] must have at most 20 characters before the @: a tag is added to them, not…",
    ),
    (
        after(3, 'bounces = "jörg@example.org"'), 4, "list.bounces",
        "`bounces` of [list] must be an address with only ASCII letters before the @,…",
    ),
    (after(3, 'base_url = "https://x:y"'), 4, "list.base_url", "`base_url` of [list] must be an address such as…"),
    (after(3, 'base_url = "https://u:hunter2@example.org"'), 4, "list.base_url", "…must be a plain address without…"),
    (after(3, "postal_address = 12345"), 4, "list.postal_address", "…must be text in quotation marks, not 12345"),
    (
        after(3, 'templates = "nowhere"'), 4, "list.templates",
        '`templates` of [list] must be a folder, "nowhere" is none: …/nowhere',
    ),
    (BASE.replace("[list]", "[[list]]"), 1, "list", "[list] must be a table, written [list] with the keys below it"),
    # [[sources]]
    (
        instead(5, 'kind = "arxv"'), 5, "sources[0].kind",
        ("`kind` of [[sources]] must be one of arxiv, huggingface, feed, semanticscholar, crossref, openalex, biorxiv, "
        'medrxiv, pubmed, openreview, not "arxv"; did you mean `arxiv`?'),
    ),
    *(
        (instead(5, f'kind = "{written}"'), 5, "sources[0].kind", f'…not "{written}"; did you mean `{meant}`?')
        for written, meant in {
            "rss": "feed", "Atom": "feed", "hf": "huggingface", "s2": "semanticscholar", "MEDLINE": "pubmed",
            "arxiv-rss": "arxiv", "bioRxiv": "biorxiv",
        }.items()
    ),
    (instead(5), 4, "sources[0]", '`kind` of [[sources]] is missing: write e.g. `kind = "arxiv"`'),
    (
        instead(6), 4, "sources[0]",
        '`categories` of [[sources]] is missing: arXiv needs some, e.g. ["cs.CV", "cs.LG"]',
    ),
    (instead(6, "categories = []"), 6, "sources[0].categories", "`categories` of [[sources]] is missing:…"),
    (
        instead(6, 'categories = "cs.CV"'), 6, "sources[0].categories",
        '`categories` of [[sources]] must be a list such as ["cs.CV", "cs.LG"], not "cs.CV"',
    ),
    (
        instead(6, 'categories = ["cs.CV",', '  "cs.lg"]'), 7, "sources[0].categories[1]",
        ("`categories` of [[sources]] must be an arXiv category such as `cs.CV`, `astro-ph.GA` or `hep-th`, not "
        '"cs.lg"; did you mean `cs.LG`?'),
    ),
    (after(6, 'kinds = ["new", "crosss"]'), 7, "sources[0].kinds[1]", "…not \"crosss\"; did you mean `cross`?"),
    (after(6, "kinds = []"), 7, "sources[0].kinds", '…is empty: leave it out for ["new", "cross"]'),
    (
        after(6, "[[sources]]", 'kind = "huggingface"', 'categories = ["cs.CV"]'), 9, "sources[1].categories",
        '`categories` of [[sources]] belongs to kind = "arxiv": huggingface has none',
    ),
    (
        after(6, "[[sources]]", 'kind = "feed"', 'url = "https://example.org"', 'kinds = ["new"]'), 10,
        "sources[1].kinds", '`kinds` of [[sources]] belongs to kind = "arxiv": feed has none',
    ),
    (
        after(6, "[[sources]]", 'kind = "feed"'), 7, "sources[1]",
        "`url` of [[sources]] is missing: a feed needs its http(s):// or file:// address",
    ),
    (
        after(6, "reconcile = 1"), 7, "sources[0].reconcile",
        "`reconcile` of [[sources]] must be true or false, not 1",
    ),
    (
        after(6, 'url = "mirror"', "reconcile = true"), 8, "sources[0].reconcile",
        "`reconcile` of [[sources]] with a `url` needs an `api_url` to reconcile with",
    ),
    (after(6, 'api_url = "export.arxiv.org"'), 7, "sources[0].api_url", "`api_url` of [[sources]] must be an address…"),
    (
        after(6, 'deferral_days = ["24.12."]'), 7, "sources[0].deferral_days[0]",
        '`deferral_days` of [[sources]] must be a day such as 2026-12-24, not "24.12."',
    ),
    (
        after(6, 'skip = ["Editorial"]'), 7, "sources[0].skip",
        '`skip` of [[sources]] belongs to kind = "feed": arxiv has none',
    ),
    (
        after(6, "[[sources]]", 'kind = "feed"', 'url = "x.xml"', 'skip = ["(Editorial"]'), 10, "sources[1].skip[0]",
        ('`skip` of [[sources]] must be a regular expression, not "(Editorial"; missing ), unterminated subpattern at '
        "character 1"),
    ),
    (
        after(6, "[[sources]]", 'kind = "huggingface"', 'period = "daily"'), 9, "sources[1].period",
        '`period` of [[sources]] must be one of day, week, month, not "daily"; did you mean `day`?',
    ),
    (
        after(6, "[[sources]]", 'kind = "openalex"'), 7, "sources[1]",
        '`query` or `url` of [[sources]] is missing: say what to search for, e.g. "video generation"',
    ),
    (
        after(6, "[[sources]]", 'kind = "crossref"', 'journals = ["0028-0837"]'), 9, "sources[1].journals[0]",
        '`journals` of [[sources]] must be an ISSN such as `0028-0836`, not "0028-0837"; its check digit is wrong',
    ),
    (
        after(6, "[[sources]]", 'kind = "openreview"'), 7, "sources[1]",
        "`venue` or `url` of [[sources]] is missing: OpenReview needs the id of a venue,…",
    ),
    (
        after(6, 'url = "ftp://example.org/x"'), 7, "sources[0].url",
        "`url` of [[sources]] must be an http://, https:// or file:// address, or a path beside this file",
    ),
    (after(6, 'url = "file://x.xml"'), 7, "sources[0].url", "…; file:// needs three slashes and the whole path;…"),
    (after(6, 'url = "https://"'), 7, "sources[0].url", "`url` of [[sources]] must be an http://…"),
    (
        after(6, 'name = "a"', "[[sources]]", 'kind = "huggingface"', 'name = "a"'), 10, "sources[1].name",
        '`name` of [[sources]] "a" is taken by another source: each needs its own',
    ),
    (after(6, 'adress = "x"'), 7, "sources[0].adress", "`adress` is not a key of [[sources]]; its keys are kind,…"),
    (
        BASE.replace("[[sources]]", "[sources]"), 4, "sources",
        "[sources] must be written [[sources]], with two pairs of brackets, once for each",
    ),
    (
        instead(4).replace('kind = "arxiv"\ncategories = ["cs.CV"]\n', ""), 1, "sources",
        "there is no [[sources]] table: say where new papers come from, e.g. `kind = \"arxiv\"`",
    ),
    # [pull], [signals]
    (after(13, "[pull]", 'contact = "me"'), 15, "pull.contact", "`contact` of [pull] must be a mail address or…"),
    (after(13, "[pull]", "allow_private = 1"), 15, "pull.allow_private", "…must be true or false, not 1"),
    (after(13, "[pull]", "github_token = 7"), 15, "pull.github_token", "…must be text in quotation marks,…"),
    (after(13, "[signals]", 'github = "yes"'), 15, "signals.github", '`github` of [signals] must be true or false,…'),
    (
        after(13, "[signals]", "max_requests = 0"), 15, "signals.max_requests",
        "`max_requests` of [signals] must be a whole number from 1 to 1000, not 0",
    ),
    # [topics.NAME]
    (instead(8), 7, "topics.video", "[topics.video] has nothing to look for: give `text`, `keywords` or both"),
    (instead(8, 'exclude = ["x"]'), 7, "topics.video", "[topics.video] has nothing to look for:…"),
    (
        after(8, 'keyword = ["x"]'), 9, "topics.video.keyword",
        "`keyword` is not a key of [topics.video]; did you mean `keywords`?",
    ),
    (after(8, 'keywords = "x"'), 9, "topics.video.keywords", "`keywords` of [topics.video] must be a list such as…"),
    (after(8, 'keywords = ["x", ""]'), 9, "topics.video.keywords[1]", "`keywords` of [topics.video] must not be empty"),
    (after(8, "exclude = [3]"), 9, "topics.video.exclude[0]", "…must be text in quotation marks, not 3"),
    (after(8, "weight = 0"), 9, "topics.video.weight", "`weight` of [topics.video] must be a number greater than 0,…"),
    (after(8, "weight = -inf"), 9, "topics.video.weight", "`weight` of [topics.video] must be a number greater than…"),
    (after(8, "[topics]", 'audio = "sound"'), 10, "topics.audio", "`audio` of [topics] must be a table, written…"),
    (after(8, '[topics."a;b"]', 'text = "x"'), 9, "topics.a;b", '"a;b" cannot be a topic\'s name:…'),
    # [[subscribers]]
    (instead(10), 9, "subscribers[0]", '`email` of [[subscribers]] is missing: write e.g. `email = "ada@example.org"`'),
    (
        instead(10, 'email = "ada@gmail"'), 10, "subscribers[0].email",
        '`email` of [[subscribers]] must be an email address, not "ada@gmail"; the part after the @-sign…',
    ),
    (
        instead(11, 'topics = ["vidoe"]'), 11, "subscribers[0].topics[0]",
        'there is no topic "vidoe"; did you mean `video`?',
    ),
    (instead(11, 'topics = ["sheep"]'), 11, "subscribers[0].topics[0]", 'there is no topic "sheep"; there are video'),
    (instead(11, 'topics = "video"'), 11, "subscribers[0].topics", '…must be a list such as ["video-generation"],…'),
    (instead(11, "topics = [1]"), 11, "subscribers[0].topics[0]", "…must be text in quotation marks, not 1"),
    (
        instead(11, "topics = [", '  { text = "x", weigth = 3 }]'), 12, "subscribers[0].topics[0].weigth",
        "`weigth` is not a key of a topic of [[subscribers]]; did you mean `weight`?",
    ),
    (instead(11, 'topics = [{name = "x"}]'), 11, "subscribers[0].topics[0]", "this topic has nothing to look for:…"),
    (instead(11, "topics = []"), 9, "subscribers[0]", "[[subscribers]] has nothing to choose by:…"),
    (after(11, 'authors = "Tim"'), 12, "subscribers[0].authors", '…must be a list such as ["Tim Brooks"], not "Tim"'),
    (after(11, 'categories = ["CV"]'), 12, "subscribers[0].categories[0]", "…must be an arXiv category such as…"),
    (
        after(11, 'examples = ["2406.4325"]'), 12, "subscribers[0].examples[0]",
        ("`examples` of [[subscribers]] must be an arXiv id such as `arxiv:2406.04325` or a DOI such as "
        '`doi:10.1038/nature14539`, not "2406.4325"'),
    ),
    (after(11, 'library = "x.bib"'), 12, "subscribers[0].library", '`library` of…"x.bib": no such file'),
    (after(11, 'timezone = "CEST"'), 12, "subscribers[0].timezone", "…must be an IANA time zone…"),
    (after(11, 'language = "English (UK)"'), 12, "subscribers[0].language", "…must be a language tag such as `en`,…"),
    (after(11, 'frequency = "hourly"'), 12, "subscribers[0].frequency", "…must be one of daily, weekly, monthly,…"),
    (
        after(11, 'subscribers_file = "m.csv"'), 12, "subscribers[0].subscribers_file",
        ("`subscribers_file` is not a key of [[subscribers]]; it belongs at the top of the file, before the first "
        "[table]"),
    ),
    (
        after(11, "[[subscribers]]", 'email = "Ada@EXAMPLE.org"'), 13, "subscribers[1].email",
        '`email` of [[subscribers]] "Ada@example.org" is there twice, first at config.toml:10: keep one of them',
    ),
    ('subscribers_file = "m.csv"\n' + BASE, 1, "subscribers_file", '`subscribers_file` "m.csv": no such file'),
    # [smtp]
    (instead(13), 12, "smtp", '`host` of [smtp] is missing: write e.g. `host = "smtp.example.org"`'),
    (instead(13, 'host = "localhost:25"'), 13, "smtp.host", "…must be the name of a host such as `smtp.example.org`,…"),
    (instead(13, 'host = "smtp..example.org"'), 13, "smtp.host", "…must be the name of a host such as…"),
    (instead(13, f'host = "{64 * "a"}.org"'), 13, "smtp.host", "…must be the name of a host such as…"),
    (after(13, "port = 70000"), 14, "smtp.port", "`port` of [smtp] must be a whole number from 1 to 65535, not 70000"),
    (after(13, 'security = "ssl"'), 14, "smtp.security", '…must be one of starttls, tls, none, not "ssl"'),
    (
        after(13, 'username = "lab"'), 14, "smtp.username",
        "`username` of [smtp] needs a `password` or a `password_file` beside it",
    ),
    (after(13, 'password = "hunter2"'), 14, "smtp.password", "`password` of [smtp] needs a `username` beside it"),
    (after(13, "username = 'x'", "password = 222"), 15, "smtp.password", "…must be text in quotation marks,…"),
    (
        after(13, "username = 'x'", "pasword = 'hunter2'"), 15, "smtp.pasword",
        "`pasword` is not a key of [smtp]; did you mean `password`?",
    ),
    (
        after(13, "username = 'x'", "password_file = 'none'"), 15, "smtp.password_file",
        "`password_file` of [smtp] cannot be read: No such file or directory",
    ),
    (after(13, "connections = 101"), 14, "smtp.connections", "…must be a whole number from 1 to 100, not 101"),
    (
        after(13, 'rate = "600/fortnight"'), 14, "smtp.rate",
        '`rate` of [smtp] must be a rate such as "600/minute" (second, minute, hour or day), not "600/fortnight"',
    ),
    (after(13, "rate = 600"), 14, "smtp.rate", '…must be a rate such as "600/minute" (second, minute,…), not 600'),
    (after(13, "per_domain = 3"), 14, "smtp.per_domain", "`per_domain` of [smtp] must be a table,…"),
    (
        after(13, "[smtp.per_domain]", '"gmail.com" = "many"'), 15, "smtp.per_domain.gmail.com",
        "`gmail.com` of [smtp.per_domain] must be a rate such as…",
    ),
    (after(13, 'ca_file = "ca.pem"'), 14, "smtp.ca_file", '`ca_file` of [smtp] must be a file, "ca.pem" is none: …'),
    (after(13, 'on_unknown = "retry"'), 14, "smtp.on_unknown", '…must be one of hold, resend, not "retry"'),
    # [store] and the rest
    (
        after(13, "[store]", 'url = "mysql://digest:hunter2@db/digest"'), 15, "store.url",
        "`url` of [store] mysql:// is not supported; write sqlite:///digest.db, or postgresql://user@host/name",
    ),
    (after(13, "[store]", 'url = "postgresql://db"'), 15, "store.url", "…must name the host and the database…"),
    (
        after(13, "[store]", 'url = "postgresql://digest:hunter@2@db/digest"'), 15, "store.url",
        "`url` of [store] must have one @, before the host; write the @ of a password as %40, or put the password…",
    ),
    (after(13, "[store]", 'url = "postgresql:///digest"'), 15, "store.url", "…must name the host and the database…"),
    (after(13, "[store]", 'url = "postgresql://db:no/digest"'), 15, "store.url", "…and a port by its number, such as…"),
    (after(13, "[store]", "password = 7"), 15, "store.password", "…must be text…"),
    (after(13, "[store]", 'url = "digest.db"'), 15, "store.url", "…must be an address such as sqlite:///…"),
    (after(13, "[store]", 'url = "sqlite://"'), 15, "store.url", "…must be an address such as sqlite:///…"),
    (after(13, "[store]", 'url = "sqlite:///:memory:"'), 15, "store.url", "`url` of [store] must name a file;…"),
    (after(13, "[mailbox]", "hots = 'x'"), 15, "mailbox.hots", "`hots` is not a key of [mailbox]; did you…`host`?"),
    (
        after(13, "[dkim]", "selector = 'x'", "key_file = 3"), 16, "dkim.key_file",
        "`key_file` of [dkim] must be text in quotation marks, not 3",
    ),
    (after(13, "[web]", "port = 'http'"), 15, "web.port", "…must be a whole number from 1 to 65535, not \"http\""),
    (
        after(13, "[web]", "status_public = 'loopback'"), 15, "web.status_public",
        '`status_public` of [web] must be true or false, not "loopback"',
    ),
    (
        after(13, "[web]", "status_public = true", "status_password = 'a long invented password'"), 16,
        "web.status_password",
        "`status_password` of [web] asks for nothing while `status_public = true`: take one of them out",
    ),
    (
        after(13, "[web]", "status_password_file = 'none'"), 15, "web.status_password_file",
        "`status_password_file` of [web] cannot be read: No such file or directory",
    ),
    (
        after(13, "[web]", "status_password = 'hunter2'"), 15, "web.status_password",
        "`status_password` of [web] must be at least 16 characters of ASCII;…",
    ),
    # [retention]
    (
        after(13, "[retention]", 'papers = "1 week"'), 15, "retention.papers",
        ('`papers` of [retention] must be a time of at least 60 days, such as "90 days", "6 months" or "1 year", or '
        '"forever", not "1 week"'),
    ),
    (after(13, "[retention]", 'letters = "59 days"'), 15, "retention.letters", "…must be a time of at least 60 days,…"),
    (after(13, "[retention]", "deliveries = 90"), 15, "retention.deliveries", "…must be a time of at least 60 days,…"),
    (
        after(13, "[retention]", 'votes = "1 year"'), 15, "retention.votes",
        "`votes` is not a key of [retention]; its keys are papers, deliveries, letters",
    ),
    # the top of the file
    (
        "papers = 3\n" + BASE, 1, "papers",
        "`papers` is not a key of the top of the file; it belongs in [list] or [retention]",
    ),
    (
        "subscriber_file = 'x'\n" + BASE, 1, "subscriber_file",
        "`subscriber_file` is not a key of the top of the file; did you mean `subscribers_file`?",
    ),
    (after(13, "[smpt]", "port = 1"), 14, "smpt", "`smpt` is not a key of the top of the file; did you mean `smtp`?"),
    (
        after(13, "[zzz]"), 14, "zzz",
        ("`zzz` is not a key of the top of the file; its tables are [list], [[sources]], [topics.NAME], "
        "[[subscribers]], [pull], [signals], [smtp], [store], [retention], [mailbox], [dkim], [web]"),
    ),
    (after(13, "[maildir]"), 14, "maildir", "`maildir` is not a key of the top of the file; its tables are [list], …"),
    ("", 1, "list", "[list] is missing:…"),
]  # fmt: skip


ALL = MISTAKES + MORE


@pytest.mark.parametrize(("text", "line", "key", "message"), ALL, ids=[f"{n}-{m[2]}" for n, m in enumerate(ALL)])
def test_a_mistake_is_told_with_its_line_its_key_and_what_to_write(
    config: Path, text: str, line: int, key: str, message: str
) -> None:
    """Each mistake that a config can have is named where it stands, in words, with advice."""
    found = problems(config, text)
    here = [p for p in found if p.key == key]
    assert [(p.file, p.line) for p in here] == [(config, line)], [str(p) for p in found]
    pattern = ".*".join(re.escape(part) for part in message.split("…"))
    assert re.fullmatch(pattern, here[0].message), here[0].message
    assert str(here[0]) == f"config.toml:{line}: {here[0].message}"
    if text:
        assert len(found) == 1, [str(p) for p in found]
    assert "hunter2" not in str(found)


def test_every_key_is_represented_among_the_mistakes() -> None:
    """The table of mistakes leaves out no key of any table of the settings: a new key needs its mistake."""
    without_places = (re.sub(r"\[\d+\]", "", key) for _, _, key, _ in ALL)
    seen = {re.sub(r"^topics\.[^.]+", "topics", key) for key in without_places}
    every = {f"{table}.{key}" if table else key for table in TABLES for key in keys_of(table)}
    assert every - seen == set()
    assert len(ALL) >= 60


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(config: Path) -> None:
    """A person corrects a config in one go, however different its mistakes are."""
    text = after(11, "subscribers_file = 'x'").replace('"lab"', '"l b"').replace('["cs.CV"]', "3") + "[smtpp]\n"
    assert [p.line for p in problems(config, text, DIGEST_SMTP__PORT="abc")] == [2, 6, 12, 15, None]
