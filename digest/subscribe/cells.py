"""One cell of a CSV: several values in it, and values that a spreadsheet would take for a formula.

Pure. `importing.py` reads with it and `exporting.py` writes, so that one undoes what the other does.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from contextlib import suppress

# What opens a formula: https://owasp.org/www-community/attacks/CSV_Injection, also as East Asian keyboards write it.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def escaped(text: str) -> str:
    """The text with an apostrophe before it, if a spreadsheet would compute it: they take what follows for text."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(cell: str) -> str:
    """What `escaped` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def joined(values: Iterable[str]) -> str:
    """Several values in one cell, `;` between them; one that holds a `;` stands in quotation marks."""
    values = list(values)
    if not any(sign in value for value in values for sign in '";\r\n'):
        return ";".join(values)
    line = io.StringIO()
    csv.writer(line, delimiter=";", lineterminator="").writerow(values)
    return line.getvalue()


def split(cell: str) -> list[str]:
    """The values of a cell, without spaces around them; what is empty is left out."""
    row = cell.split(";")
    if '"' in cell:
        with suppress(csv.Error):  # a line break: whoever reads the value says what is wrong with it
            row = next(csv.reader([cell], delimiter=";", skipinitialspace=True))
    return [value for each in row if (value := each.strip())]
