"""Checked settings as the values that the rest of the program works with. Decides defaults that depend on other keys.

Pure: it is given everything that was read. `load` calls it, for a config without a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from email.utils import parseaddr
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from digest.model import (
    Address,
    Inbox,
    ListId,
    MailingList,
    Pages,
    Paper,
    PaperId,
    Profile,
    Relay,
    Retention,
    Security,
    SignalSource,
    Source,
    SourceKind,
    Topic,
)
from digest.settings import checks, files
from digest.settings.document import Document
from digest.settings.installation import ConfiguredSubscriber, ListConfig, Pulling
from digest.settings.models import (
    InlineTopic,
    ListTable,
    MailboxTable,
    PullTable,
    RetentionTable,
    Settings,
    SignalsTable,
    SmtpTable,
    SourceTable,
    StoreTable,
    SubscriberTable,
    TopicTable,
    WebTable,
)
from digest.settings.people import People
from digest.settings.signing import Signing
from digest.subscribe import values
from digest.subscribe.importing import SubscriberRow
from digest.subscribe.values import WrongValue

_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
_IMAP_PORTS = {Security.STARTTLS: 143, Security.TLS: 993, Security.NONE: 143}

ARXIV_API = "https://export.arxiv.org/api/query"
_TOKENS = {
    "github_token": "GITHUB_TOKEN",
    "semanticscholar_key": "SEMANTIC_SCHOLAR_API_KEY",
    "openalex_key": "OPENALEX_API_KEY",
    "ncbi_key": "NCBI_API_KEY",
}
"""Keys of [pull] and the variables under which the services' own tools know them."""


def list_config(
    document: Document,
    settings: Settings,
    people: People,
    signing: Signing,
    warnings: Sequence[str],
    environ: Mapping[str, str],
) -> ListConfig:
    """One config file as values."""
    folder = document.folder
    topics = {name: _topic(name, table) for name, table in settings.topics.items()}
    written = [_subscriber(table, topics, people) for table in settings.subscribers]
    listed = [_subscriber_of_row(row, topics) for row in people.rows]
    secret = settings.list.secret
    return ListConfig(
        path=document.path,
        mailing_list=_mailing_list(settings.list, folder),
        sources=_sources(settings.sources, folder),
        pulling=_pulling(settings.pull or PullTable(), settings.signals or SignalsTable(), environ),
        topics=tuple(topics.values()),
        subscribers=(*written, *listed),
        relays=tuple(_relay(table, folder) for table in _one_or_many(settings.smtp)),
        outbox=folder / "outbox",
        store_url=_store_url(settings.store or StoreTable(), folder),
        warnings=tuple(warnings),
        journal=files.absolute(folder, settings.store.journal) if settings.store and settings.store.journal else None,
        retention=_retention(settings.retention) if settings.retention else Retention(),
        semantic=settings.list.semantic,
        signing=signing.keys,
        keys=tuple(key.encode() for key in checks.keys_in(secret.get_secret_value())) if secret else (),
        mailbox=_mailbox(settings.mailbox) if settings.mailbox else None,
        inbox=_inbox(settings.mailbox, folder) if settings.mailbox else None,
        authserv_id=(settings.mailbox.authserv_id if settings.mailbox else None) or "",
        pages=_pages(settings.web) if settings.web else None,
    )


def _store_url(table: StoreTable, folder: Path) -> str:
    return files.store_url(folder, table.url, table.password.get_secret_value() if table.password else None)


def _mailing_list(table: ListTable, folder: Path) -> MailingList:
    return MailingList(
        id=ListId(table.id),
        name=table.name or parseaddr(table.from_)[0] or table.id,
        from_=table.from_,
        reply_to=table.reply_to,
        schedule=table.schedule,
        timezone=table.timezone,
        language=table.language,
        send_window=table.send_window,
        papers=table.papers,
        min_relevance=table.min_relevance,
        when_empty=table.when_empty,
        frequency=table.frequency,
        wait_until=table.wait_until,
        max_lateness=table.max_lateness,
        trend_weight=table.trend_weight,
        explore=table.explore,
        base_url=table.base_url,
        bounces=Address(table.bounces) if table.bounces else None,
        postal_address=table.postal_address,
        operator=Address(table.operator) if table.operator else None,
        theme=table.theme,
        remote_images=table.remote_images,
        templates=files.absolute(folder, table.templates) if table.templates else None,
    )


def _mailbox(table: MailboxTable) -> Address | None:
    """The address that the mailbox receives, if it can be read: what nobody reads must not be named in emails.

    Many log in by their address.
    """
    if not (table.host and table.password):
        return None
    try:
        return Address(table.address) if table.address else values.email_address(table.username or "")
    except WrongValue:
        return None


def _inbox(table: MailboxTable, folder: Path) -> Inbox | None:
    """How the mailbox is read, where it can be: without a `username`, by its address."""
    username = table.username or table.address
    if not (table.host and username and table.password):
        return None
    return Inbox(
        host=table.host,
        port=table.port or _IMAP_PORTS[table.security],
        security=table.security,
        username=username,
        password=table.password.get_secret_value(),
        ca_file=files.absolute(folder, table.ca_file) if table.ca_file else None,
    )


def _retention(table: RetentionTable) -> Retention:
    return Retention(table.papers, table.deliveries, table.letters)


def _pages(table: WebTable) -> Pages:
    usual = Pages()
    return Pages(
        host=table.host,
        port=table.port,
        trusted_proxies=table.trusted_proxies,
        sign_ups=table.sign_ups or usual.sign_ups,
        sign_ups_in_all=table.sign_ups_in_all or usual.sign_ups_in_all,
        looks=table.looks or usual.looks,
        status_public=table.status_public,
        status_password=table.status_password.get_secret_value() if table.status_password else "",
    )


def _sources(tables: Sequence[SourceTable], folder: Path) -> tuple[Source, ...]:
    taken = {table.name for table in tables if table.name}
    sources = []
    for table in tables:
        url = files.source_url(folder, table.url) if table.url else None
        name = table.name or _unique(_source_name(table.kind, url), taken)
        taken.add(name)
        sources.append(
            Source(
                kind=table.kind,
                name=name,
                url=url,
                categories=tuple(dict.fromkeys(table.categories or table.subjects)),
                kinds=table.kinds,
                skip=table.skip,
                period=table.period,
                api_url=_api_url(table),
                deferral_days=table.deferral_days,
                query=table.query,
                journals=table.journals,
                venue=table.venue,
            )
        )
    return tuple(sources)


def _api_url(table: SourceTable) -> str | None:
    """ArXiv's own feed is reconciled with its own API, another's or a file only with an API that is named."""
    if table.kind is not SourceKind.ARXIV or table.reconcile is False:
        return None
    return table.api_url or (None if table.url else ARXIV_API)


def _pulling(pull: PullTable, signals: SignalsTable, environ: Mapping[str, str]) -> Pulling:
    tokens = {key: _token(getattr(pull, key), environ.get(name, "")) for key, name in _TOKENS.items()}
    api_keys = {
        SourceKind.SEMANTIC_SCHOLAR: tokens["semanticscholar_key"],
        SourceKind.OPENALEX: tokens["openalex_key"],
        SourceKind.PUBMED: tokens["ncbi_key"],
    }
    return Pulling(
        contact=pull.contact,
        allow_private=pull.allow_private,
        api_keys={kind: key for kind, key in api_keys.items() if key},
        signals=tuple(kind for kind in SignalSource if getattr(signals, kind.value)),
        max_requests=signals.max_requests,
        github_token=tokens["github_token"],
    )


def _token(configured: SecretStr | None, usual: str) -> str | None:
    return configured.get_secret_value() if configured else usual.strip() or None


def _source_name(kind: SourceKind, url: str | None) -> str:
    """The kind; of the feeds, which may be many, the host or the file."""
    if kind is not SourceKind.FEED or not url:
        return kind.value
    parts = urlsplit(url)
    if parts.scheme == "file":
        return PurePosixPath(unquote(parts.path)).name or kind.value
    return (parts.hostname or kind.value).removeprefix("www.")


def _unique(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found


def _topic(name: str, table: TopicTable) -> Topic:
    return Topic(name, table.text or "", table.keywords, table.exclude, table.weight)


def _inline_topic(table: InlineTopic) -> Topic:
    """A topic written in place; without a name it goes by its first words."""
    first = table.keywords[0] if table.keywords else " ".join((table.text or "").split()[:6])
    return _topic(table.name or first, table)


def _topics_or_all(wanted: Sequence[Topic], topics: dict[str, Topic], has_other_interests: bool) -> tuple[Topic, ...]:
    """Whoever says nothing at all gets all of the list's topics; whoever says anything gets that."""
    return tuple(wanted) if wanted or has_other_interests else tuple(topics.values())


def _subscriber(table: SubscriberTable, topics: dict[str, Topic], people: People) -> ConfiguredSubscriber:
    wanted = [topics[w] if isinstance(w, str) else _inline_topic(w) for w in table.topics or ()]
    library = people.libraries[table.library] if table.library else ()
    others = bool(table.authors or table.categories or table.examples or library)
    return ConfiguredSubscriber(
        address=Address(table.email),
        name=table.name or "",
        timezone=table.timezone,
        language=table.language,
        frequency=table.frequency,
        hour=table.hour,
        profile=Profile(
            topics=_topics_or_all(wanted, topics, others),
            authors=table.authors,
            categories=table.categories,
            examples=_examples(table.examples, library),
        ),
        library=library,
    )


def _examples(ids: Iterable[PaperId], library: Iterable[Paper]) -> tuple[PaperId, ...]:
    return tuple(dict.fromkeys([*ids, *(paper.id for paper in library)]))


def _subscriber_of_row(row: SubscriberRow, topics: dict[str, Topic]) -> ConfiguredSubscriber:
    wanted = [topics[name] for name in row.topics]
    others = bool(row.authors or row.categories or row.examples)
    profile = Profile(_topics_or_all(wanted, topics, others), row.authors, row.categories, row.examples)
    return ConfiguredSubscriber(row.address, row.name, row.timezone, row.language, row.frequency, row.hour, profile, ())


def _one_or_many(tables: SmtpTable | tuple[SmtpTable, ...] | None) -> tuple[SmtpTable, ...]:
    return tables if isinstance(tables, tuple) else (tables,) if tables else ()


def _relay(table: SmtpTable, folder: Path) -> Relay:
    return Relay(
        host=table.host,
        port=table.port or _PORTS[table.security],
        security=table.security,
        username=table.username,
        password=table.password.get_secret_value() if table.password else None,
        connections=table.connections,
        rate=table.rate,
        per_domain=tuple((domain.lower(), rate) for domain, rate in table.per_domain.items()),
        ca_file=files.absolute(folder, table.ca_file) if table.ca_file else None,
        on_unknown=table.on_unknown,
        name=table.name or table.host,
        weight=table.weight,
        per_day=table.per_day,
        warm_up=table.warm_up,
    )
