"""What the pages of docs/how-to need beside the demo's feeds: their relays, what these refuse, their DNS.

`tests/test_docs.py` runs the pages in these worlds (`tests/stand_ins.py`).
"""

from __future__ import annotations

from digest.send.dkim import DkimKey
from tests.dkim_keys import DOMAIN, pem, records, rsa
from tests.servers import certificates, imap
from tests.servers.dns import txt
from tests.servers.smtp import Misbehaviour
from tests.stand_ins import World

_UNVERIFIED = Misbehaviour(
    "dot",
    b"554 Message rejected: Email address is not verified. The following identities failed the check in region "
    b"EU-CENTRAL-1: stranger@example.net\r\n",
    only=b"stranger@",
)
"""As https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html has it."""

_MAIL = {
    "example.org": [("MX", "10 mail.example.org."), txt("v=spf1 a:mail.example.org -all")],
    "mail.example.org": [("A", "192.0.2.7")],
    "7.2.0.192.in-addr.arpa": [("PTR", "mail.example.org.")],
    "_dmarc.example.org": [txt("v=DMARC1; p=none; rua=mailto:postmaster@example.org")],
}
"""A domain whose mail server is its relay."""

_KEY = DkimKey(DOMAIN, "digest2026", rsa())

HOW_TO = {
    "docs/how-to/gmail.md": World(
        relays=("smtp.gmail.com",),
        login=("you@gmail.com", "abcdefghijklmnop"),
        dns={
            "gmail.com": [("MX", "5 gmail-smtp-in.l.google.com.")],
            "gmail-smtp-in.l.google.com": [("A", "192.0.2.7")],
            "_dmarc.gmail.com": [txt("v=DMARC1; p=none; sp=quarantine")],
        },
    ),
    "docs/how-to/ses.md": World(
        relays=("email-smtp.eu-central-1.amazonaws.com",),
        login=("AKIAIOSFODNN7EXAMPLE", "the-smtp-password"),
        misbehaviours=(_UNVERIFIED,),
        dns={
            **_MAIL,
            "example.org": [("MX", "10 mail.example.org."), txt("v=spf1 include:amazonses.com -all")],
            "amazonses.com": [txt("v=spf1 ip4:199.255.192.0/22 -all")],
        },
    ),
    "docs/how-to/postfix.md": World(
        postfix=("ada@example.org",),
        files={"smtp-password.txt": "s3cret\n", "lab-ca.pem": certificates.CA},
        dns=_MAIL,
    ),
    "docs/how-to/lab.md": World(
        relays=("smtp.lab.example.org",),
        login=("papers", "secret"),
        files={"smtp-password.txt": "secret"},
        dns={
            "lab.example.org": [("MX", "10 mx.lab.example.org."), txt("v=spf1 a:smtp.lab.example.org -all")],
            "mx.lab.example.org": [("A", "192.0.2.7")],
            "smtp.lab.example.org": [("A", "192.0.2.8")],
            "8.2.0.192.in-addr.arpa": [("PTR", "smtp.lab.example.org.")],
            "_dmarc.lab.example.org": [txt("v=DMARC1; p=none")],
        },
    ),
    "docs/how-to/newsletter.md": World(
        relays=("smtp.example.org", "smtp.example.net"),
        login=("offprint", "secret"),
        mailbox="imap.example.org",
        serves_pages=True,
        files={"smtp-password.txt": "secret", "imap-password.txt": imap.PASSWORD, "dkim.pem": pem(_KEY.key).decode()},
        dns={
            **_MAIL,
            "example.org": [
                ("MX", "10 mail.example.org."),
                txt("v=spf1 a:smtp.example.org a:smtp.example.net -all"),
            ],
            "smtp.example.org": [("A", "192.0.2.8")],
            "8.2.0.192.in-addr.arpa": [("PTR", "smtp.example.org.")],
            "smtp.example.net": [("A", "192.0.2.9")],
            "9.2.0.192.in-addr.arpa": [("PTR", "smtp.example.net.")],
            **{name: [txt(text)] for name, text in records(_KEY).items()},
        },
    ),
    "docs/how-to/dkim.md": World(relays=("mail.example.org",), dns=_MAIL),
}
