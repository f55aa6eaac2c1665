"""Mail providers whose relays people use: which one goes with an address, and what one must know. Pure.

`commands/starter.py` proposes them; `digest.check` knows by them which relay sends from other addresses than it listens
at, and signs for its customers. Each as its provider documents it (October 2026).
"""

from __future__ import annotations

from dataclasses import dataclass

from digest.model import Security


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider's relay."""

    name: str
    host: str
    port: int
    security: Security
    domains: tuple[str, ...]
    """Whose addresses are with it; a provider of relays alone has none."""
    hint: str = ""
    """What is needed to log in, for a person."""
    spf: str = ""
    """What the SPF record of a customer's own domain must include; empty where it differs from customer to customer."""


_APP_PASSWORD = "your own password is refused there: make an app password at"  # noqa: S105
PROVIDERS = (
    Provider(
        *("Gmail", "smtp.gmail.com", 587, Security.STARTTLS, ("gmail.com", "googlemail.com")),
        hint=f"{_APP_PASSWORD} https://myaccount.google.com/apppasswords (needs 2-step verification)",
        spf="_spf.google.com",
    ),
    Provider(
        *("Outlook", "smtp-mail.outlook.com", 587, Security.STARTTLS),
        ("outlook.com", "hotmail.com", "live.com", "msn.com"),
        hint="Outlook.com takes no passwords from programs any more (OAuth alone): use another relay, or a forwarder",
        spf="spf.protection.outlook.com",
    ),
    Provider(
        *("Microsoft 365", "smtp.office365.com", 587, Security.STARTTLS, ()),
        hint="your administrator must allow SMTP AUTH for the mailbox",
        spf="spf.protection.outlook.com",
    ),
    Provider(
        *("Fastmail", "smtp.fastmail.com", 465, Security.TLS, ("fastmail.com", "fastmail.fm")),
        hint=f"{_APP_PASSWORD} Settings, Privacy & Security, with access to SMTP",
        spf="spf.messagingengine.com",
    ),
    Provider(
        *("iCloud", "smtp.mail.me.com", 587, Security.STARTTLS, ("icloud.com", "me.com", "mac.com")),
        hint=f"{_APP_PASSWORD} https://account.apple.com (app-specific passwords)",
        spf="icloud.com",
    ),
    Provider(
        *("Yahoo", "smtp.mail.yahoo.com", 465, Security.TLS, ("yahoo.com", "ymail.com", "yahoo.co.uk", "yahoo.de")),
        hint=f"{_APP_PASSWORD} Account security",
    ),
    Provider(*("GMX", "mail.gmx.net", 587, Security.STARTTLS, ("gmx.de", "gmx.net", "gmx.at", "gmx.ch")),
        hint="allow POP3 and IMAP in its settings first"),
    Provider(*("WEB.DE", "smtp.web.de", 587, Security.STARTTLS, ("web.de",)),
        hint="allow POP3 and IMAP in its settings first"),
    Provider(*("Posteo", "posteo.de", 465, Security.TLS, ("posteo.de", "posteo.net"))),
    Provider(*("mailbox.org", "smtp.mailbox.org", 465, Security.TLS, ("mailbox.org",)), spf="mailbox.org"),
    Provider(*("Zoho", "smtp.zoho.com", 465, Security.TLS, ("zohomail.com",)), spf="zoho.com"),
    Provider(*("Mailgun", "smtp.mailgun.org", 587, Security.STARTTLS, ()), spf="mailgun.org"),
    Provider(*("SendGrid", "smtp.sendgrid.net", 587, Security.STARTTLS, ()), hint='the user name is "apikey"',
        spf="sendgrid.net"),
    Provider(*("Postmark", "smtp.postmarkapp.com", 587, Security.STARTTLS, ()), spf="spf.mtasv.net"),
)  # fmt: skip
AMAZON = Provider("Amazon SES", "email-smtp.REGION.amazonaws.com", 587, Security.STARTTLS, (), spf="amazonses.com")


def provider_of_address(address: str) -> Provider | None:
    """Who has the mailbox of an address, if that can be seen in it."""
    domain = address.rpartition("@")[2].lower()
    return next((provider for provider in PROVIDERS if domain in provider.domains), None)


def provider_of_relay(host: str) -> Provider | None:
    """Whose relay this is."""
    host = host.lower().rstrip(".")
    if host.startswith("email-smtp.") and host.endswith(".amazonaws.com"):
        return AMAZON
    return next((provider for provider in PROVIDERS if provider.host == host), None)
