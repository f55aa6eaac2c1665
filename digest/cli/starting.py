"""`digest init`: six questions, or flags, and a config that works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import VerboseOption, cli, set_up_logging
from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.commands.starter import RelayAnswer

NAME, USUAL = "My Papers", "cs.CV,cs.LG"
TOPIC = "diffusion and autoregressive models that generate or edit video"
NO_RELAY = "none"


@cli.command(epilog="Example: digest init lists/video-lab.toml --email ada@example.org --categories cs.CV,cs.LG")
def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write.")] = Path("config.toml"),
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help=f"The list's name, as readers see it. Default: {NAME}.")
    ] = None,
    email: Annotated[str | None, typer.Option(metavar="EMAIL", help="Your address: the first subscriber.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="EMAIL", help="The address that it comes from. Default: yours.")
    ] = None,
    categories: Annotated[
        str | None, typer.Option(metavar="NAMES", help=f"arXiv categories, with commas. Default: {USUAL}.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What you are looking for, in your own words.")
    ] = None,
    relay: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]", help="What takes the mail; `none`: a folder. Default: your provider's, if known."
        ),
    ] = None,
    username: Annotated[str | None, typer.Option(metavar="USER", help="Who logs in there.")] = None,
    password_file: Annotated[Path | None, typer.Option(metavar="FILE", help="A file that holds the password.")] = None,
    password_in_config: Annotated[
        bool, typer.Option("--password-in-config", help="Write the password into the config, in clear.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take the defaults for what is not said.")] = False,
    verbose: VerboseOption = 0,
) -> None:
    """Write a commented config for a new list.

    On a terminal it asks for what no option says. A password is taken from $DIGEST_SMTP__PASSWORD, or asked for and
    written to a file of its own. Nothing is ever overwritten.
    """
    from digest.commands.starter import refuse_existing, system_timezone, write_starter

    set_up_logging(verbose)
    refuse_existing(path)
    ask = _Asker(sys.stdin.isatty() and not yes)
    name = ask(name, "What is the list called?", NAME)
    email = ask(email, "Your own address, which gets it", None, _address, option="--email you@example.org")
    from_ = ask(from_, "Which address does it come from?", email, _address)
    categories = ask(categories, "Which arXiv categories? (https://arxiv.org/category_taxonomy)", USUAL, _listed)
    topic = ask(topic, "What are you looking for, in your own words?", TOPIC)
    answer = _relay(ask, from_, relay, username, password_file, password_in_config)
    secret = write_starter(
        path,
        name=name,
        email=email,
        from_=from_,
        categories=categories.split(","),
        topic=topic,
        relay=answer,
        timezone=system_timezone(),
    )
    typer.echo(f"{path} written." + (f" The password is in {secret}, which only you can read." if secret else ""))
    if answer and not answer.is_complete:
        typer.echo(f"[smtp] waits for the password of {answer.host}: until then mail goes to ./outbox. See {path}.")
    typer.echo(f"Next: `digest check --config {path}`, then `digest preview --config {path} --open`.")


class _Asker:
    """Asks on a terminal; elsewhere takes what was said, or the default. Both are checked alike."""

    def __init__(self, may_ask: bool):
        self.may_ask = may_ask

    def __call__(
        self,
        said: str | None,
        question: str,
        default: str | None,
        check: Callable[[str], str] = str,
        *,
        option: str = "",
    ) -> str:
        """The answer. Raises ConfigError where it must be said and is not, or is wrong."""
        if said is None and self.may_ask:
            return str(typer.prompt(question, default=default, value_proc=_patient(check)))
        if said is None and default is None:
            raise ConfigError(f"nobody can be asked here, and this cannot be guessed: say {option}")
        return check(said if said is not None else default or "")

    def secretly(self, question: str) -> str:
        """An answer that is not shown; empty where nobody can be asked."""
        return str(typer.prompt(question, default="", hide_input=True, show_default=False)) if self.may_ask else ""


def _patient(check: Callable[[str], str]) -> Callable[[str], str]:
    """The check as a prompt has it: after a wrong answer it is asked again."""

    def checked(answer: str) -> str:
        try:
            return check(answer)
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from None

    return checked


def _address(written: str) -> str:
    from digest.cli.common import addresses_of

    return addresses_of([written.strip()])[0]


def _listed(written: str) -> str:
    """Categories with commas or spaces between them, in arXiv's own spelling. Raises ConfigError."""
    from digest.subscribe.taxonomy import ARCHIVES, CATEGORIES
    from digest.subscribe.values import WrongValue, arxiv_category, did_you_mean

    found = []
    for each in written.replace(",", " ").split():
        try:
            found.append(arxiv_category(each))
        except WrongValue as error:
            hint = f"; {error.hint}" if error.hint else ""
            raise ConfigError(f"{each}: {error.must}{hint}") from None
        if each not in CATEGORIES | ARCHIVES:
            near = did_you_mean(each, sorted(CATEGORIES)) or "see https://arxiv.org/category_taxonomy"
            raise ConfigError(f"{each}: arXiv is not known to have it; {near}")
    if not found:
        raise ConfigError("name one category at least, e.g. cs.CV")
    return ",".join(found)


def _relay(
    ask: _Asker, address: str, said: str | None, username: str | None, password_file: Path | None, in_config: bool
) -> RelayAnswer | None:
    """The sixth question, and what belongs to it. Raises ConfigError."""
    from digest.commands.starter import PASSWORD_VARIABLE, relay_answer, relay_of_address
    from digest.providers import provider_of_relay

    known = relay_of_address(address)
    question = "Which relay takes the mail? HOST[:PORT], or none: mail goes to a folder"
    default = f"{known.host}:{known.port}" if known else NO_RELAY
    written = ask(said, question, default, lambda text: text if text == NO_RELAY else (relay_answer(text), text)[1])
    if written == NO_RELAY:
        return None
    answer = relay_answer(written)
    provider = provider_of_relay(answer.host)
    if username is None and provider:
        username = address
    elif username is None and ask.may_ask:
        username = ask(None, "  Who logs in there? (empty: nobody)", "") or None
    answer = replace(answer, username=username or None)
    if password_file:
        return replace(answer, password_file=password_file.resolve())
    if not answer.username:
        return answer
    in_environment = os.environ.get(PASSWORD_VARIABLE)
    if provider and provider.hint and not in_environment:
        typer.echo(f"  {provider.name}: {provider.hint}")
    if in_environment and not in_config:
        return replace(answer, from_environment=True)
    password = in_environment or ask.secretly("  Its password (not shown; empty: later)")
    if in_config and not password:
        raise ConfigError(f"--password-in-config: set {PASSWORD_VARIABLE} for this one call")
    return replace(answer, password=password or None, in_config=in_config)
