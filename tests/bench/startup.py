"""What `digest --help` costs beyond bare Python: user and system CPU, medians of nine, in one run.

Run it with `python tests/bench/startup.py`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys


def cpu_seconds(*command: str) -> float:
    """The median CPU time of nine runs of a command."""
    costs = []
    for _ in range(9):
        before = os.times()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        costs.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(costs)


if __name__ == "__main__":
    bare, whole = cpu_seconds("-c", "pass"), cpu_seconds("-m", "digest", "--help")
    print(
        f"bare Python {bare * 1000:.0f} ms, digest --help {whole * 1000:.0f} ms: {(whole - bare) * 1000:.0f} ms beyond"
    )
