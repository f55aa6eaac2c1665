"""The config file's tables and keys, as pydantic models: what may stand where, and its default.

`sources.py` fills them through pydantic-settings; `explain.py` puts their errors into words; `build.py` turns them into
values. They do not leave this package. A key's rule is a function of `checks.py` or `addresses.py`; rules that join
several keys are in `contradictions.py`, apart from the models, as pydantic would check them only where all single
values are right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    SecretStr,
    Tag,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from digest.model import (
    AnnounceType,
    Frequency,
    OnUnknown,
    Pages,
    PaperId,
    Period,
    Rate,
    Retention,
    Security,
    SourceKind,
    Theme,
    WarmUp,
    WhenEmpty,
)
from digest.settings import addresses, checks, cron, times, window
from digest.subscribe import values

_PAGES = Pages()
_RETENTION = Retention()


_ALSO_CALLED = {
    "rss": SourceKind.FEED,
    "atom": SourceKind.FEED,
    "hf": SourceKind.HUGGINGFACE,
    "s2": SourceKind.SEMANTIC_SCHOLAR,
    "medline": SourceKind.PUBMED,
}
"""Names under which people know a kind of source, and which are not spelt like it."""


def _word(*allowed: str, other_names: Mapping[str, str] = values.NO_OTHERS) -> Callable[[object], str]:
    return checks.of_text(lambda value: values.one_of(value, allowed, other_names))


Text = Annotated[str, BeforeValidator(checks.text)]
LongText = Annotated[str, BeforeValidator(checks.long_text)]
Secret = Annotated[SecretStr, BeforeValidator(checks.secret)]
Email = Annotated[str, BeforeValidator(checks.of_text(values.email_address))]
TimeZone = Annotated[str, BeforeValidator(checks.of_text(values.time_zone))]
Language = Annotated[str, BeforeValidator(checks.of_text(values.language_tag))]
Category = Annotated[str, BeforeValidator(checks.of_text(values.arxiv_category))]
Example = Annotated[PaperId, BeforeValidator(checks.of_text(values.paper_id))]
Often = Annotated[Frequency, BeforeValidator(_word(*Frequency))]
Protection = Annotated[Security, BeforeValidator(_word(*Security))]
Port = Annotated[int, BeforeValidator(checks.whole_number(1, 65535))]
Flag = Annotated[bool, BeforeValidator(checks.flag)]
UpToHundred = Annotated[int, BeforeValidator(checks.whole_number(1, 100))]
Share = Annotated[float, BeforeValidator(checks.share)]
Host = Annotated[str, BeforeValidator(addresses.host)]
Limit = Annotated[Rate, PlainValidator(checks.rate)]
Age = Annotated[timedelta | None, PlainValidator(checks.age)]
Phrases = Annotated[tuple[Text, ...], BeforeValidator(checks.sequence('["text-to-video", "frame interpolation"]'))]
Names = Annotated[tuple[Text, ...], BeforeValidator(checks.sequence('["Tim Brooks"]'))]
Categories = Annotated[tuple[Category, ...], BeforeValidator(checks.sequence('["cs.CV", "cs.LG"]'))]
Examples = Annotated[tuple[Example, ...], BeforeValidator(checks.sequence('["arxiv:2406.04325"]'))]


class Table(BaseModel):
    """A table of the config: no key that is not named here, and no value in a printed error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ListTable(Table):
    """`[list]`: the mailing list."""

    id: Annotated[str, BeforeValidator(checks.list_id)]
    name: Text | None = None
    from_: Annotated[str, BeforeValidator(addresses.mailbox)] = Field(alias="from")
    reply_to: Annotated[str, BeforeValidator(addresses.mailbox)] | None = None
    schedule: Annotated[str, BeforeValidator(checks.of_text(cron.schedule))] = "0 7 * * mon-fri"
    timezone: TimeZone = "UTC"
    language: Language = "en"
    papers: UpToHundred = 12
    min_relevance: Share = 0.2
    when_empty: Annotated[WhenEmpty, BeforeValidator(_word(*WhenEmpty))] = WhenEmpty.SKIP
    frequency: Often = Frequency.DAILY
    trend_weight: Share = 0.3
    semantic: Flag | None = None
    explore: Flag = True
    base_url: Annotated[str, BeforeValidator(addresses.base_url)] | None = None
    secret: Annotated[SecretStr, BeforeValidator(checks.signing_keys)] | None = None
    secret_file: Text | None = None
    bounces: Annotated[str, BeforeValidator(addresses.bounce_address)] | None = None
    postal_address: LongText | None = None
    operator: Email | None = None
    theme: Annotated[Theme, BeforeValidator(_word(*Theme))] = Theme.DAILY
    remote_images: Flag = False
    templates: Text | None = None
    send_window: Annotated[str, BeforeValidator(checks.of_text(window.send_window))] | None = None
    wait_until: Annotated[time, PlainValidator(times.time_of_day)] | None = None
    max_lateness: Annotated[timedelta, PlainValidator(times.duration)] | None = None


class SourceTable(Table):
    """One of `[[sources]]`."""

    kind: Annotated[SourceKind, BeforeValidator(_word(*SourceKind, other_names=_ALSO_CALLED))]
    name: Text | None = None
    url: Annotated[str, BeforeValidator(addresses.source_address)] | None = None
    categories: Categories = ()
    kinds: Annotated[
        tuple[Annotated[AnnounceType, BeforeValidator(_word(*AnnounceType))], ...],
        BeforeValidator(checks.sequence('["new", "cross"]')),
    ] = (AnnounceType.NEW, AnnounceType.CROSS)
    api_url: Annotated[str, BeforeValidator(addresses.web_address)] | None = None
    reconcile: Flag | None = None
    deferral_days: Annotated[
        tuple[Annotated[date, PlainValidator(checks.day)], ...], BeforeValidator(checks.sequence("[2026-12-24]"))
    ] = ()
    period: Annotated[Period, BeforeValidator(_word(*Period))] = Period.DAY
    skip: Annotated[
        tuple[Annotated[str, BeforeValidator(checks.pattern)], ...],
        BeforeValidator(checks.sequence('["^Author Correction", "^Editorial"]')),
    ] = ()
    query: LongText | None = None
    journals: Annotated[
        tuple[Annotated[str, BeforeValidator(checks.issn)], ...], BeforeValidator(checks.sequence('["0028-0836"]'))
    ] = ()
    subjects: Annotated[tuple[Text, ...], BeforeValidator(checks.sequence('["neuroscience"]'))] = ()
    venue: Text | None = None


class TopicTable(Table):
    """One of `[topics.NAME]`."""

    text: LongText | None = None
    keywords: Phrases = ()
    exclude: Phrases = ()
    weight: Annotated[float, BeforeValidator(checks.weight)] = 1.0


class InlineTopic(TopicTable):
    """A topic written in place of a name in a subscriber's `topics`."""

    name: Text | None = None


def _topic_form(value: object) -> str:
    return "table" if isinstance(value, dict | InlineTopic) else "name"


WantedTopic = Annotated[
    Annotated[Text, Tag("name")] | Annotated[InlineTopic, Tag("table")],
    Discriminator(_topic_form),
]


class SubscriberTable(Table):
    """One of `[[subscribers]]`."""

    email: Email
    name: Text | None = None
    topics: Annotated[tuple[WantedTopic, ...], BeforeValidator(checks.sequence('["video-generation"]'))] | None = None
    authors: Names = ()
    categories: Categories = ()
    examples: Examples = ()
    library: Text | None = None
    timezone: TimeZone | None = None
    language: Language | None = None
    frequency: Often | None = None
    hour: Annotated[int, BeforeValidator(checks.whole_number(0, 23))] | None = None


def _table_form(value: object) -> str:
    return "one" if isinstance(value, dict | Table) else "many"


class SmtpTable(Table):
    """`[smtp]`, or one of `[[smtp]]`: a server that takes our messages."""

    host: Host
    port: Port | None = None
    security: Protection = Security.STARTTLS
    username: Text | None = None
    password: Secret | None = None
    password_file: Text | None = None
    connections: UpToHundred = 8
    rate: Limit | None = None
    per_domain: Annotated[dict[str, Limit], BeforeValidator(checks.table("smtp.per_domain"))] = Field(
        default_factory=dict
    )
    ca_file: Text | None = None
    on_unknown: Annotated[OnUnknown, BeforeValidator(_word(*OnUnknown))] = OnUnknown.HOLD
    name: Text | None = None
    weight: Annotated[int, BeforeValidator(checks.whole_number(0, 1000))] = 1
    per_day: Annotated[int, BeforeValidator(checks.whole_number(1, 1_000_000_000))] | None = None
    warm_up: Annotated[WarmUp, PlainValidator(checks.warm_up)] | None = None


OneRelayOrMany = Annotated[
    Annotated[SmtpTable, Tag("one")] | Annotated[tuple[SmtpTable, ...], Tag("many")],
    Discriminator(_table_form),
]


class StoreTable(Table):
    """`[store]`: what remembers who got what."""

    url: Annotated[str, BeforeValidator(addresses.store_url)] = "sqlite:///digest.db"
    password: Secret | None = None
    password_file: Text | None = None
    journal: Text | None = None


class RetentionTable(Table):
    """`[retention]`: how long what is not needed any more is kept."""

    papers: Age = _RETENTION.papers
    deliveries: Age = _RETENTION.deliveries
    letters: Age = _RETENTION.letters


class PullTable(Table):
    """`[pull]`: how sources are asked."""

    contact: Annotated[str, BeforeValidator(addresses.contact)] | None = None
    allow_private: Flag = False
    github_token: Secret | None = None
    semanticscholar_key: Secret | None = None
    openalex_key: Secret | None = None
    ncbi_key: Secret | None = None


class SignalsTable(Table):
    """`[signals]`: figures about papers already pulled."""

    github: Flag = False
    hacker_news: Flag = False
    citations: Flag = False
    max_requests: Annotated[int, BeforeValidator(checks.whole_number(1, 1000))] = 40


class MailboxTable(Table):
    """`[mailbox]`: IMAP, for commands, votes and what comes back. Emails name its address."""

    address: Email | None = None
    host: Host | None = None
    port: Port | None = None
    username: Text | None = None
    password: Secret | None = None
    password_file: Text | None = None
    security: Protection = Security.TLS
    ca_file: Text | None = None
    authserv_id: Host | None = None


class DkimTable(Table):
    """`[dkim]`, or one of `[[dkim]]`: a key that signs what is sent."""

    selector: Annotated[str, BeforeValidator(addresses.selector)]
    domain: Annotated[str, BeforeValidator(addresses.domain_name)] | None = None
    key_file: Text


OneKeyOrMany = Annotated[
    Annotated[DkimTable, Tag("one")] | Annotated[tuple[DkimTable, ...], Tag("many")],
    Discriminator(_table_form),
]


class WebTable(Table):
    """`[web]`: the pages."""

    host: Host = _PAGES.host
    port: Port = _PAGES.port
    trusted_proxies: Annotated[
        tuple[Annotated[str, BeforeValidator(addresses.network)], ...],
        BeforeValidator(checks.sequence('["127.0.0.1", "10.0.0.0/8"]')),
    ] = _PAGES.trusted_proxies
    sign_ups: Limit | None = None
    sign_ups_in_all: Limit | None = None
    looks: Limit | None = None
    status_public: Flag = False
    status_password: Annotated[SecretStr, BeforeValidator(checks.status_password)] | None = None
    status_password_file: Text | None = None


class Settings(BaseSettings):
    """The whole of one config file. Build it through `sources.read`, which binds it to a document."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix="DIGEST_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        enable_decoding=False,  # `checks` decodes JSON: its errors then have a place and plain words
    )

    subscribers_file: Text | None = None
    list: Annotated[ListTable, BeforeValidator(checks.table("list"))]
    sources: Annotated[tuple[SourceTable, ...], BeforeValidator(checks.many_tables("sources"))] = ()
    topics: Annotated[
        dict[str, Annotated[TopicTable, BeforeValidator(checks.table("topics.NAME"))]],
        BeforeValidator(checks.table("topics.NAME")),
    ] = Field(default_factory=dict)
    subscribers: Annotated[tuple[SubscriberTable, ...], BeforeValidator(checks.many_tables("subscribers"))] = ()
    pull: Annotated[PullTable, BeforeValidator(checks.table("pull"))] | None = None
    signals: Annotated[SignalsTable, BeforeValidator(checks.table("signals"))] | None = None
    smtp: Annotated[OneRelayOrMany, BeforeValidator(checks.table_or_tables("smtp"))] | None = None
    store: Annotated[StoreTable, BeforeValidator(checks.table("store"))] | None = None
    retention: Annotated[RetentionTable, BeforeValidator(checks.table("retention"))] | None = None
    mailbox: Annotated[MailboxTable, BeforeValidator(checks.table("mailbox"))] | None = None
    dkim: Annotated[OneKeyOrMany, BeforeValidator(checks.table_or_tables("dkim"))] | None = None
    web: Annotated[WebTable, BeforeValidator(checks.table("web"))] | None = None


TABLES: dict[str, type[BaseModel]] = {
    "": Settings,
    "list": ListTable,
    "sources": SourceTable,
    "topics": TopicTable,
    "subscribers": SubscriberTable,
    "subscribers.topics": InlineTopic,
    "pull": PullTable,
    "signals": SignalsTable,
    "smtp": SmtpTable,
    "store": StoreTable,
    "retention": RetentionTable,
    "mailbox": MailboxTable,
    "dkim": DkimTable,
    "web": WebTable,
}
"""Every table by its path in the file without numbers and names."""


def keys_of(table: str) -> tuple[str, ...]:
    """The keys of one of `TABLES`, as they are written in the file."""
    return tuple(field.alias or name for name, field in TABLES[table].model_fields.items())
