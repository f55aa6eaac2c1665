"""The keys of `[dkim]`: read from their files, and held against the domain that the mail is from.

Works on the raw, merged mapping, so that mistakes with keys show together with all others; what has the wrong type is
passed over, as that is told elsewhere. Reads the files that the config names; nothing of what is in them is repeated in
a message. `load` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

from digest.errors import ConfigError, Problem
from digest.settings import addresses, checks, files
from digest.settings.contradictions import each_table
from digest.settings.explain import Places, table_label
from digest.settings.toml_lines import KeyPath
from digest.subscribe.values import WrongValue, show

if TYPE_CHECKING:
    from digest.send.dkim import DkimKey


@dataclass
class Signing:
    """What the tables gave. `keys` is complete only where there is no problem."""

    keys: tuple[DkimKey, ...] = ()
    problems: list[Problem] = field(default_factory=list)


def read_signing(merged: Mapping[str, Any], places: Places) -> Signing:
    """Read the key of each table, and check that receivers would believe it."""
    signing = Signing()
    sender = _sender_domain(merged)
    first: dict[tuple[str, str], str] = {}
    for path, table in each_table("dkim", merged.get("dkim")):
        domain = _domain(path, table, sender, signing, places)
        selector = _checked(addresses.selector, table.get("selector"))
        key = _key(path, table, domain or "", selector or "", signing, places)
        if domain and selector:
            name = (domain, selector.lower())
            if earlier := first.get(name):
                message = (
                    f"`selector` of {table_label(path)} {show(selector)} is taken by {earlier}: the DNS has one key at "
                    f"{selector}._domainkey.{domain}"
                )
                signing.problems.append(places.problem((*path, "selector"), message))
            first.setdefault(name, places.where((*path, "selector")))
        if key:
            signing.keys += (key,)
    return signing


def _checked(check: Any, value: object) -> Any:
    """The value as a check gives it; None for a wrong one."""
    try:
        return check(value)
    except WrongValue:
        return None


def _sender_domain(merged: Mapping[str, Any]) -> str | None:
    """The domain in `from`, in ASCII; None where `from` is wrong."""
    table = merged.get("list")
    sender = _checked(addresses.mailbox, table.get("from")) if isinstance(table, Mapping) else None
    return parseaddr(sender)[1].rpartition("@")[2].lower() if sender else None


def _domain(
    path: KeyPath, table: Mapping[str, Any], sender: str | None, signing: Signing, places: Places
) -> str | None:
    """The domain that signs. Receivers count it only if it belongs to the sender's (RFC 7489 section 3.1.1).

    Which domains belong together when neither is above the other is known to nobody without a list of all registries.
    """
    if table.get("domain") is None:
        return sender
    domain: str | None = _checked(addresses.domain_name, table["domain"])
    if domain and sender and not f".{domain}".endswith(f".{sender}") and not f".{sender}".endswith(f".{domain}"):
        message = (
            f"`domain` of {table_label(path)} must be {sender}, as in `from`, or a domain above or below it, "
            f"not {show(domain)}: receivers would not take the signature for the sender's (DMARC)"
        )
        signing.problems.append(places.problem((*path, "domain"), message))
    return domain


def _key(
    path: KeyPath, table: Mapping[str, Any], domain: str, selector: str, signing: Signing, places: Places
) -> DkimKey | None:
    name = _checked(checks.text, table.get("key_file"))
    if name is None:
        return None
    file = files.absolute(places.document.folder, name)
    from digest.send.dkim import DkimKey, private_key

    try:
        return DkimKey(domain, selector, private_key(file.read_bytes()))
    except FileNotFoundError:
        why = f"is not there: {file}"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    except ConfigError as error:
        why = str(error)
    message = f"`key_file` of {table_label(path)} {show(name)} {why}"
    signing.problems.append(places.problem((*path, "key_file"), message))
    return None
