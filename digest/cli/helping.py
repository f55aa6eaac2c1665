"""How commands show their help, and what they say when Ctrl-C ends them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

F = TypeVar("F", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command whose arguments go by their names alone: Typer writes {FILE} for one, and shows its type in Python.

    `if_stopped`: what is kept, and what is not, when Ctrl-C ends it; Typer then exits with 130 and says nothing.
    """

    def __init__(self, *args: Any, if_stopped: str = "", **settings: Any):
        super().__init__(*args, **settings)
        self._if_stopped = if_stopped

    def invoke(self, ctx: Any) -> Any:
        """Runs it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from digest.console import complain

            complain(": ".join(filter(None, ("stopped by Ctrl-C", self._if_stopped))))
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line."""
        return [piece.translate({ord("{"): None, ord("}"): None}) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The two tables."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            records = [each.get_help_record(ctx) for each in self.get_params(ctx) if each.param_type_name == kind]
            if rows := [(name.partition(" <")[0], says) for name, says in filter(None, records)]:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Commands(typer.Typer):
    """A Typer of such commands."""

    def command(self, *args: Any, if_stopped: str = "", **settings: Any) -> Callable[[F], F]:
        """As Typer has it."""
        made: Any = partial(Command, if_stopped=if_stopped)
        return super().command(*args, cls=made, **settings)
