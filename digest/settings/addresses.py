"""What an address of the config may be: of mail, a host, a domain, a page, a source, a network, a database.

Pure, no pydantic; as in `checks.py`, each function takes whatever TOML holds and raises `WrongValue` with what it must
be. `models.py` hangs them on its fields.
"""

from __future__ import annotations

import re
from email.headerregistry import Address as Mailbox
from ipaddress import ip_network
from urllib.parse import urlsplit

from digest.model import Address
from digest.settings.checks import text
from digest.subscribe import values
from digest.subscribe.tokens import TAG_LENGTH
from digest.subscribe.values import WrongValue


def contact(value: object) -> str:
    """Where the operator of a server that we ask can turn to: a mail address or a page."""
    found = text(value).removeprefix("mailto:")
    if found.startswith(("http://", "https://")):
        return web_address(found)
    try:
        address = values.email_address(found)
    except WrongValue as error:
        raise WrongValue("must be a mail address or the address of a page", error.hint) from None
    if not address.isascii():
        raise WrongValue("must be written with ASCII letters: it is sent in a header of every request")
    return address


def mailbox(value: object) -> str:
    """An RFC 5322 mailbox, `Name <name@example.org>` or the address alone; the name is quoted where it has to be."""
    found = text(value)
    name, bracket, address = found.rpartition("<")
    if bracket and not address.endswith(">"):
        raise WrongValue("must be an address such as `Video Lab <digest@example.org>`", "the `>` is missing")
    address = values.email_address(address.removesuffix(">"))
    if not address.isascii():
        address = _in_ascii(address)
    name = name.strip()
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return str(Mailbox(display_name=name, addr_spec=address))


def _in_ascii(address: str) -> Address:
    """The domain as the DNS has it: a sender must be readable for relays without SMTPUTF8."""
    from email_validator import validate_email

    found = validate_email(address, check_deliverability=False, test_environment=True, globally_deliverable=False)
    if found.ascii_email is None:
        raise WrongValue("must be an address with only ASCII letters before the @")
    return Address(found.ascii_email)


def host(value: object) -> str:
    """A host name or address."""
    found = text(value)
    # What Python cannot look up is refused here: a label that is empty or too long is no host that does not answer.
    name = r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*(?<!-)\.?"
    if not re.fullmatch(rf"{name}|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?", found):
        raise WrongValue("must be the name of a host such as `smtp.example.org`", "a port stands in `port`")
    return found.strip("[]")


_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


def domain_name(value: object) -> str:
    """A name that the DNS can have a record for, in lower case: two labels or more, in ASCII (RFC 6376 section 3.5)."""
    found = text(value).removesuffix(".")
    if len(found) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})+", found):
        hint = "" if found.isascii() else "letters beyond ASCII are written as the DNS has them, xn--…"
        raise WrongValue("must be a domain such as `example.org`", hint)
    return found.lower()


def selector(value: object) -> str:
    """A DKIM selector: labels of a domain name (RFC 6376 section 3.1)."""
    found = text(value)
    if len(found) > 63 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", found):
        raise WrongValue("must be a name such as `digest`, of letters, digits and dashes")
    return found


def web_address(value: object) -> str:
    """The http(s) address of a site, without a slash at its end."""
    found = text(value)
    try:
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, a bracket without its partner
        usable = False
    if not usable or " " in found:
        raise WrongValue("must be an address such as `https://digest.example.org`")
    if parts.query or parts.fragment or parts.username is not None:
        raise WrongValue("must be a plain address without ?, # and a user name", shown=False)
    return found.rstrip("/")


def network(value: object) -> str:
    """An IP address, or a network of them (CIDR)."""
    found = text(value)
    try:
        return str(ip_network(found))
    except ValueError:
        raise WrongValue('must be an IP address or a network such as "10.0.0.0/8"') from None


def base_url(value: object) -> str:
    """Where the pages are; it stands in header fields, whose lines have room for 998 octets."""
    found = web_address(value)
    if len(found) > 200:
        raise WrongValue("must be an address of at most 200 characters", shown=False)
    return found


def bounce_address(value: object) -> Address:
    """An address for bounces, whose local part leaves room for a plus and a tag (RFC 5321 section 4.5.3.1.1)."""
    found = values.email_address(text(value))
    if not found.isascii():
        found = _in_ascii(found)
    room = 64 - len("+") - TAG_LENGTH
    if len(found.rpartition("@")[0]) > room:
        raise WrongValue(f"must have at most {room} characters before the @: a tag is added to them")
    return found


def source_address(value: object) -> str:
    """The address of a source as it is written: http(s)://, file:// or a path."""
    found = text(value)
    scheme, separator, rest = found.partition("://")
    if not separator:
        return found
    wanted = "must be an http://, https:// or file:// address, or a path beside this file"
    if scheme.lower() == "file":
        if not rest.startswith(("/", "localhost/")):
            raise WrongValue(wanted, "file:// needs three slashes and the whole path; a path alone may be relative")
        return found
    try:
        has_host = bool(urlsplit(found).hostname)
    except ValueError:
        has_host = False
    if scheme.lower() not in ("http", "https") or not has_host or " " in found:
        raise WrongValue(wanted, shown=False)
    return found


def store_url(value: object) -> str:
    """An SQLAlchemy URL of a file of SQLite, or of a PostgreSQL database."""
    found = text(value)
    scheme, separator, rest = found.partition("://")
    dialect = scheme.partition("+")[0]
    if separator and dialect in ("postgres", "mysql", "mariadb", "oracle", "mssql"):
        advice = "write sqlite:///digest.db, or postgresql://user@host/name"
        raise WrongValue(f"{dialect}:// is not supported", advice, shown=False)
    if scheme == "postgresql":
        return _postgresql(found)
    if scheme != "sqlite" or not rest.startswith("/"):
        raise WrongValue("must be an address such as sqlite:///digest.db or postgresql://user@host/name", shown=False)
    if rest[1:].partition("?")[0] in ("", ":memory:"):
        raise WrongValue("must name a file", "a database in memory forgets who got what", shown=False)
    return found


def _postgresql(url: str) -> str:
    if url.partition("://")[2].partition("/")[0].count("@") > 1:
        how = "write the @ of a password as %40, or put the password into a file that `password_file` names"
        raise WrongValue("must have one @, before the host", how, shown=False)
    try:
        parsed = urlsplit(url)
        named = bool(parsed.hostname and parsed.path.strip("/")) and parsed.port != 0
    except ValueError:
        named = False
    if not named:
        wanted = (
            "must name the host and the database, and a port by its number, such as postgresql://user@host:5432/name"
        )
        raise WrongValue(wanted, shown=False)
    return url
