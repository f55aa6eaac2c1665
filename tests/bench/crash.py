"""Kills `digest send` a thousand times with SIGKILL, and prints what was lost, what came twice, and where it struck.

    python tests/bench/crash.py                  1,000 kills, in some minutes
    python tests/bench/crash.py --kills 100      a glance
    python tests/bench/crash.py --commit-takes 0.005 --journal
                                                 on a disk that is slow, with `[store] journal`, and without it

The server's own log is the judge, see `tests/kills.py`; `tests/test_kills.py` asserts the same of fewer kills. A kill
counts in every window in which it struck a delivery: over several connections that is often more than one. `most` is
how many messages one kill left in doubt, of which there may be one for each connection; `copies` how many too many
arrived; `untold` how many messages arrived of which `digest deliveries` does not tell.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `tests` is found wherever this is started

from digest.model import DeliveryStatus
from tests.kills import WEATHERS, Storm, Window, storms

COLUMNS = ("policy", "connections", "kills", *Window, "readers", "sent", "unknown", "most", "copies", "untold", "lost")


def row(storm: Storm) -> tuple[object, ...]:
    """The table's line for one storm."""
    weather = storm.weather
    return (
        weather.on_unknown,
        f"{weather.connections}{' pipelining' if weather.pipelining else ''}",
        len(storm.struck),
        *(storm.windows[window] for window in Window),
        storm.recipients,
        storm.statuses[DeliveryStatus.SENT],
        storm.statuses[DeliveryStatus.UNKNOWN],
        storm.most(Window.INTENT, Window.ACCEPTED),
        storm.doubled.total(),
        len(storm.untold),
        len(storm.lost),
    )


def main() -> None:
    """Prints the table, a column a line: the names are long and the storms few."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--commit-takes", type=float, default=0.0, help="seconds more for each commit of the ledger")
    parser.add_argument("--journal", action="store_true", help="have the program keep one")
    given = parser.parse_args()
    weathers = [replace(each, journal=given.journal, commit_takes=given.commit_takes) for each in WEATHERS]
    rows = [row(storm) for storm in storms(given.kills, weathers)]
    for name, *values in zip(COLUMNS, *rows, strict=True):
        print(f"{name:24}" + "".join(f"{value!s:>14}" for value in values))


if __name__ == "__main__":
    main()
