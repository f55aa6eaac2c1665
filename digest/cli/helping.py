"""How commands show their help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

F = TypeVar("F", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command whose arguments go by their names alone: Typer writes {FILE} for one, and shows its type in Python."""

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

    def command(self, *args: Any, **settings: Any) -> Callable[[F], F]:
        """As Typer has it."""
        return super().command(*args, cls=Command, **settings)
