"""`digest preview`: each subscriber's email as files to look at. Called by `cli/` and `demo/`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from digest.console import Terminal, edition_json
from digest.errors import ConfigError
from digest.model import Address, MailingList
from digest.results import Proof


def write_preview(proof: Proof, mailing_list: MailingList, out: Path, terminal: Terminal) -> list[Path]:
    """Writes .html, .txt and .eml of every selection to the folder `out/LIST`; the pages' paths, in order.

    Raises ConfigError if the folder cannot be written.
    """
    folder = out / mailing_list.id
    pages = []
    for subscriber, selection in proof.selections:
        rendered = proof.render(subscriber, selection)
        stem = folder / file_stem(subscriber.address)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            page = stem.with_name(stem.name + ".html")
            page.write_text(rendered.html, encoding="utf-8")
            stem.with_name(stem.name + ".txt").write_text(rendered.text, encoding="utf-8")
            stem.with_name(stem.name + ".eml").write_bytes(proof.compose(subscriber, selection, mailing_list))
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}: choose another folder with --out") from error
        pages.append(page)
        terminal.say(f"  {len(selection.picks):>3} papers  {page}  “{rendered.subject}”")
        terminal.emit(
            {
                "to": subscriber.address,
                "edition": edition_json(proof.edition),
                "subject": rendered.subject,
                "semantic": proof.semantic,
                "picks": [pick.paper_id for pick in selection.picks],
                "html": str(page),
                "text": str(page.with_suffix(".txt")),
                "eml": str(page.with_suffix(".eml")),
            }
        )
    return pages


def file_stem(address: Address | str) -> str:
    """An address as a file name that no system objects to, and no two alike."""
    return quote(address, safe="@+=")
