"""More mistakes for `test_settings_mistakes.py`: one at least for each key that has none there."""

from __future__ import annotations

from tests.configs import after, instead

TEXT = "…must be text in quotation marks, not 7"
MORE: list[tuple[str, int, str, str]] = [
    (
        after(3, 'language = "English!"'),
        4,
        "list.language",
        "`language` of [list] must be a language tag such as `en`…",
    ),
    (after(3, 'semantic = "yes"'), 4, "list.semantic", '`semantic` of [list] must be true or false, not "yes"'),
    (
        after(3, 'secret_file = "none.txt"'),
        4,
        "list.secret_file",
        "`secret_file` of [list] cannot be read: No such file…",
    ),
    (
        after(3, 'theme = "dayly"'),
        4,
        "list.theme",
        '`theme` of [list] must be one of daily, compact, weekly, not "dayly"; did you mean `daily`?',
    ),
    (after(3, "remote_images = 1"), 4, "list.remote_images", "`remote_images` of [list] must be true or false, not 1"),
    (after(3, 'send_window = "7-21"'), 4, "list.send_window", "`send_window` of [list] must be…"),
    (after(6, "[[sources]]", 'kind = "openalex"', "query = 7"), 9, "sources[1].query", TEXT),
    (
        after(6, "[[sources]]", 'kind = "biorxiv"', 'subjects = "neuroscience"'),
        9,
        "sources[1].subjects",
        '`subjects` of [[sources]] must be a list such as ["neuroscience"], not "neuroscience"',
    ),
    (after(6, "[[sources]]", 'kind = "openreview"', "venue = 7"), 9, "sources[1].venue", TEXT),
    (
        after(6, 'venue = "ICLR.cc/2027/Conference"'),
        7,
        "sources[0].venue",
        '…belongs to kind = "openreview": arxiv has none',
    ),
    (instead(8, "text = 7"), 8, "topics.video.text", TEXT),
    (after(10, "name = 7"), 11, "subscribers[0].name", TEXT),
    (instead(11, "topics = [{ text = 7 }]"), 11, "subscribers[0].topics[0].text", TEXT),
    (
        instead(11, 'topics = [{ text = "x", name = 7 }]'),
        11,
        "subscribers[0].topics[0].name",
        TEXT,
    ),
    (
        instead(11, 'topics = [{ text = "x", keywords = "y" }]'),
        11,
        "subscribers[0].topics[0].keywords",
        "…must be a list such as…",
    ),
    (
        instead(11, 'topics = [{ text = "x", exclude = [7] }]'),
        11,
        "subscribers[0].topics[0].exclude[0]",
        TEXT,
    ),
    (
        instead(11, 'topics = [{ text = "x", weight = -1 }]'),
        11,
        "subscribers[0].topics[0].weight",
        "…must be a number greater than 0,…",
    ),
    *(
        (after(13, "[pull]", f"{key} = 7"), 15, f"pull.{key}", "…must be text in quotation marks, and not empty")
        for key in ("semanticscholar_key", "openalex_key")
    ),
    (
        after(13, "[pull]", "ncbi_key = ''"),
        15,
        "pull.ncbi_key",
        "`ncbi_key` of [pull] must be text in quotation marks, and not empty",
    ),
    *(
        (
            after(13, "[signals]", f"{key} = 'on'"),
            15,
            f"signals.{key}",
            f'`{key}` of [signals] must be true or false, not "on"',
        )
        for key in ("hacker_news", "citations")
    ),
    (after(13, "name = 7"), 14, "smtp.name", TEXT),
    (after(13, "weight = -1"), 14, "smtp.weight", "`weight` of [smtp] must be a whole number from 0 to 1000, not -1"),
    (after(13, "per_day = 0"), 14, "smtp.per_day", "`per_day` of [smtp] must be a whole number from 1 to…, not 0"),
    (after(13, "warm_up = 50"), 14, "smtp.warm_up", "`warm_up` of [smtp] must be a table such as { from = …"),
    (
        after(13, "[store]", "password = 7"),
        15,
        "store.password",
        "`password` of [store] must be text in quotation marks…",
    ),
    (after(13, "[store]", "journal = 7"), 15, "store.journal", TEXT),
    (
        after(13, "[store]", "password_file = 'none'"),
        15,
        "store.password_file",
        "`password_file` of [store] cannot be read: No such file or directory",
    ),
    (
        after(13, "[mailbox]", 'address = "lab"'),
        15,
        "mailbox.address",
        "`address` of [mailbox] must be an email address,…",
    ),
    (
        after(13, "[mailbox]", 'host = "imap.example.org:993"'),
        15,
        "mailbox.host",
        "`host` of [mailbox] must be the name of a host such as…; a port stands in `port`",
    ),
    (
        after(13, "[mailbox]", "port = 0"),
        15,
        "mailbox.port",
        "`port` of [mailbox] must be a whole number from 1 to 65535, not 0",
    ),
    (after(13, "[mailbox]", "username = 7"), 15, "mailbox.username", TEXT),
    (
        after(13, "[mailbox]", "password = 7"),
        15,
        "mailbox.password",
        "`password` of [mailbox] must be text in quotation marks…",
    ),
    (
        after(13, "[mailbox]", "password_file = 'none'"),
        15,
        "mailbox.password_file",
        "`password_file` of [mailbox] cannot be read: No such file or directory",
    ),
    (
        after(13, "[mailbox]", 'security = "ssl"'),
        15,
        "mailbox.security",
        '…must be one of starttls, tls, none, not "ssl"',
    ),
    (
        after(13, "[mailbox]", 'ca_file = "x"'),
        15,
        "mailbox.ca_file",
        '`ca_file` of [mailbox] must be a file, "x" is none:…',
    ),
    (after(13, "[mailbox]", 'authserv_id = "a b"'), 15, "mailbox.authserv_id", "…must be the name of a host such as…"),
    (
        after(13, "[dkim]", 'selector = "a b"', 'key_file = "dkim.pem"'),
        15,
        "dkim.selector",
        "`selector` of [dkim] must be a name such as `digest`, of letters, digits and dashes, not…",
    ),
    (
        after(13, "[dkim]", 'selector = "a"', 'key_file = "dkim.pem"', 'domain = "localhost"'),
        17,
        "dkim.domain",
        '`domain` of [dkim] must be a domain such as `example.org`, not "localhost"',
    ),
    (after(13, "[web]", 'host = "a b"'), 15, "web.host", "`host` of [web] must be the name of a host such as…"),
    (
        after(13, "[web]", 'trusted_proxies = ["proxy"]'),
        15,
        "web.trusted_proxies[0]",
        '`trusted_proxies` of [web] must be an IP address or a network such as "10.0.0.0/8", not "proxy"',
    ),
    *(
        (
            after(13, "[web]", f'{key} = "ten"'),
            15,
            f"web.{key}",
            f'`{key}` of [web] must be a rate such as "600/minute"…',
        )
        for key in ("sign_ups", "sign_ups_in_all", "looks")
    ),
    *(
        (
            after(13, f"[[{table}]]", key),
            14,
            table,
            f"[{table}] must be a table, written [{table}] with the keys below it",
        )
        for table, key in (
            ("pull", "allow_private = true"),
            ("retention", "papers = 90"),
            ("signals", "github = true"),
            ("store", 'url = "sqlite:///digest.db"'),
            ("mailbox", 'host = "imap.example.org"'),
            ("web", "port = 8000"),
        )
    ),
    (after(0, "dkim = 7"), 1, "dkim", "[dkim] must be a table,…"),
]
"""The config, then the line, the key and the message of its one mistake, as in `MISTAKES`."""
