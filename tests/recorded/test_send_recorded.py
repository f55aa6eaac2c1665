"""`digest send` on real input: a day of arXiv, of Daily Papers and of Nature, to an SMTP server and to a Maildir."""

from __future__ import annotations

import email
import email.policy
import mailbox
from pathlib import Path

import pytest

from tests.servers.smtp import CollectingServer
from tests.test_cli import jsons, run

pytestmark = pytest.mark.recorded

CONFIG = """\
[list]
id = "real"
name = "Real Input"
from = "Real Input <digest@example.org>"
min_relevance = 0.1

[[sources]]
kind = "arxiv"
categories = ["stat"]
url = "file://{recorded}/arxiv_rss/rss2_stat_2024-03-26.xml"

[[sources]]
kind = "huggingface"
url = "file://{recorded}/hf_daily/days/2026-05-28.json.gz"

[[sources]]
kind = "feed"
name = "nature"
url = "file://{recorded}/feeds/publishers/nature_rdf_2023-04.xml"

[topics.statistics]
text = "causal inference, conformal prediction and Bayesian models for censored or spatial data"
keywords = ["causal", "conformal prediction", "Bayesian"]

[topics.language-models]
text = "large language models, agents and reinforcement learning for reasoning"
keywords = ["large language model", "agent"]

[[subscribers]]
email = "ada@example.org"
topics = ["statistics"]

[[subscribers]]
email = "bob@example.org"
topics = ["language-models"]
"""


def write(folder: Path, recorded: Path, extra: str = "") -> str:
    path = folder / "config.toml"
    path.write_text(CONFIG.format(recorded=recorded.resolve().as_posix()) + extra, encoding="utf-8")
    return str(path)


def test_real_feeds_go_out_over_real_smtp_once(tmp_path: Path, recorded: Path) -> None:
    """Each reader gets one well-formed message with papers; the second run sends nothing and says why, with 0."""
    with CollectingServer() as server:
        relay = f'\n[smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n'
        config = write(tmp_path, recorded, relay)
        first = run("send", "--config", config, "--json")
        again = run("send", "--config", config)
        assert (first.returncode, first.stderr) == (0, "")
        (sent,) = jsons(first.stdout)
        received = {source["source"]: source["received"] for source in sent["sources"]}
        assert (received["arxiv"], received["nature"]) == (123, 75)
        assert received["huggingface"] > 20
        assert again.returncode == 0
        assert "nothing to send: edition 1 of" in again.stdout
        messages = [email.message_from_bytes(m.data, policy=email.policy.default) for m in server.messages]
    assert sorted(str(message["To"]) for message in messages) == ["ada@example.org", "bob@example.org"]
    for message in messages:
        assert not message.defects
        html, text = message.get_body(("html",)), message.get_body(("plain",))
        assert html is not None
        assert text is not None
        assert html.get_content().count("https://arxiv.org/abs/") >= 3
        assert "1. " in text.get_content()


def test_without_a_relay_the_messages_lie_in_a_maildir(tmp_path: Path, recorded: Path) -> None:
    """No [smtp]: `./outbox` is a Maildir, one new message a reader, none more after a second run."""
    config = write(tmp_path, recorded)
    for _ in range(2):
        assert run("send", "--config", config).returncode == 0
        box = mailbox.Maildir(tmp_path / "outbox", create=False)
        assert sorted(message["To"] for message in box) == ["ada@example.org", "bob@example.org"]


def test_the_seed_papers_are_ranked(tmp_path: Path, recorded: Path) -> None:
    """All 88 seed papers are ranked for a profile, with reasons that add up, the video papers on top."""
    profiles = tmp_path / "profiles.jsonl"
    profiles.write_text('{"id": "v", "topics": [{"name": "video", "text": "text-to-video generation by diffusion"}]}\n')
    seed = recorded / "seed_papers.jsonl"
    answer = run("rank", "--papers", str(seed), "--profiles", str(profiles), "--top", "0", "--json")
    (row,) = jsons(answer.stdout)
    assert len(row["ranking"]) == 88
    for pick in row["ranking"]:
        assert sum(reason["weight"] for reason in pick["reasons"]) == pytest.approx(pick["score"])
    titles = run("rank", "--papers", str(seed), "--profiles", str(profiles), "--top", "5")
    assert titles.returncode == 0
