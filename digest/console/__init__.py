"""What digest says on the terminal: values in, sentences, tables or JSON out. Called by the commands and `demo/`.

People get lines on standard output, plain where it is no terminal; `--json` gives one JSON object a list and line.
Errors go to standard error, one a line.
"""

from digest.console.editions import (
    came_back_line,
    counts_line,
    edition_json,
    edition_name,
    hours_line,
    overview_json,
    pause_json,
    show_sent,
    waits_line,
)
from digest.console.rankings import SMALLEST_WEIGHT, pick_json, pick_lines, show_ranking, why
from digest.console.sources import complain_of_sources, rejection_lines, report_line, show_pulled
from digest.console.terminal import Terminal, complain, explained
from digest.console.words import ranked_by

__all__ = [
    "SMALLEST_WEIGHT",
    "Terminal",
    "came_back_line",
    "complain",
    "complain_of_sources",
    "counts_line",
    "edition_json",
    "edition_name",
    "explained",
    "hours_line",
    "overview_json",
    "pause_json",
    "pick_json",
    "pick_lines",
    "ranked_by",
    "rejection_lines",
    "report_line",
    "show_pulled",
    "show_ranking",
    "show_sent",
    "waits_line",
    "why",
]
