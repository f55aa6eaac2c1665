"""From a bare Python to the first email of one's own list: three commands, and the wall time of each.

    DIGEST_RECORDED=… python tests/bench/first_email.py            recorded feeds; without the variable, the demo's

A new virtual environment stands for the bare Python and is not counted, but shown. Then, as a person would type them:
`pip install .`, `digest init`, `digest send`, through a relay on this machine that keeps what it gets. How long pip
takes depends on where it finds its packages, so its time stands apart; on a busy machine, processor time says more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))  # `tests` is found wherever this is started

from tests.lists import DAY_ONE, FEEDS  # noqa: E402
from tests.servers.smtp import CollectingServer  # noqa: E402


def recorded_sources() -> tuple[list[object], str]:
    """The sources of the list, and the time at which they are pulled."""
    folder = os.environ.get("DIGEST_RECORDED")
    if not folder:
        shown = {"kind": "arxiv", "categories": ["cs.CV"], "url": (FEEDS / "arxiv").as_uri()}
        return [shown, {"kind": "huggingface", "url": (FEEDS / "huggingface").as_uri()}], DAY_ONE
    feed = Path(folder).resolve() / "arxiv_rss" / "rss2_cs.LG_2026-04-27_trimmed.xml"
    days = Path(folder).resolve() / "hf_daily" / "days"
    arxiv = {"kind": "arxiv", "categories": ["cs.LG"], "url": feed.as_uri()}
    return [arxiv, {"kind": "huggingface", "url": days.as_uri()}], "2026-04-27T08:00Z"


def timed(what: str, *command: str | Path, cwd: Path, env: dict[str, str]) -> float:
    """Runs a command to its end and says how long it took, in seconds."""
    began, before = time.perf_counter(), os.times()
    answer = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    if answer.returncode:
        raise SystemExit(f"{what} failed with {answer.returncode}:\n{answer.stdout}{answer.stderr}")
    print(f"{seconds:7.1f} s  {what}  ({cpu:.1f} s of a processor)", flush=True)
    return seconds


def main() -> None:
    """Prints each step's time, their sum, and what arrived."""
    sources, now = recorded_sources()
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV") and "DIGEST_" not in k}
    env["DIGEST_SOURCES"] = json.dumps(sources)
    with tempfile.TemporaryDirectory(prefix="digest-first-") as name, CollectingServer(pipelining=True) as relay:
        folder = Path(name)
        timed("a bare Python (python -m venv)", sys.executable, "-m", "venv", folder / "venv", cwd=folder, env=env)
        scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        flags = ["--email", "me@example.org", "--relay", f"{relay.host}:{relay.port}", "--topic", "diffusion models"]
        install = timed("1  pip install .", scripts / "pip", "install", "-q", PROJECT, cwd=folder, env=env)
        rest = timed("2  digest init --email …", scripts / "digest", "init", *flags, cwd=folder, env=env)
        rest += timed("3  digest send", scripts / "digest", "send", "--now", now, cwd=folder, env=env)
        (message,) = relay.messages
    print(f"{install + rest:7.1f} s  three commands, of which {rest:.1f} s digest's own")
    print(f"{len(message.data):,} bytes arrived at {message.recipients[0]}")


if __name__ == "__main__":
    main()
