"""The extra `semantic` as a user meets it: the config's key, the commands' words, and how `Ranker` comes by vectors."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from digest.console import Terminal
from tests.configs import after, loaded, problems
from tests.lists import DAY_ONE, write_list
from tests.test_cli import jsons, run
from tests.test_meaning import CountingEmbed

COMMAND = "pip install 'papers-digest[semantic]'"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> CountingEmbed:
    """The extra is installed, with another network in it."""
    installed(monkeypatch, True)
    counting = CountingEmbed()

    class Embedder:
        embed = staticmethod(counting)

    monkeypatch.setattr("digest.making.Embedder", Embedder)
    monkeypatch.setattr("digest.rank.embedding.Embedder", Embedder)
    return counting


def installed(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    for module in ("digest.meaning", "digest.console.words", "digest.rank.embedding"):
        monkeypatch.setattr(f"{module}.available", lambda: there)


def with_default(folder: Path) -> str:
    """A list that leaves `semantic` out."""
    path = write_list(folder)
    path.write_text(path.read_text().replace("semantic = false\n", ""))
    return str(path)


def documents(folder: Path) -> tuple[str, ...]:
    """The batch form's files."""
    papers, profiles = folder / "p.jsonl", folder / "q.jsonl"
    papers.write_text(json.dumps({"title": "Worms in soil", "abstract": "They dig."}))
    profiles.write_text(json.dumps({"id": "ada", "topics": [{"text": "soil"}]}))
    return "rank", "--papers", str(papers), "--profiles", str(profiles)


# --- the config -----------------------------------------------------------------------------------------------------


def test_the_config_may_want_it_or_not_or_leave_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: CountingEmbed
) -> None:
    """`semantic` of [list] is true, false, or left to what is installed; the environment may say it too."""
    monkeypatch.chdir(tmp_path)
    config = Path("config.toml")
    assert loaded(config, after(3, "semantic = true")).semantic is True
    assert loaded(config, after(3, "semantic = false")).semantic is False
    assert loaded(config, after(3)).semantic is None
    assert loaded(config, after(3), DIGEST_LIST__SEMANTIC="1").semantic is True


def test_wanting_it_without_the_extra_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with file, line, key and the command; what is not true or false is told as such, once."""
    monkeypatch.chdir(tmp_path)
    installed(monkeypatch, False)
    config = Path("config.toml")
    (problem,) = problems(config, after(3, "semantic = true"))
    assert (problem.file, problem.line, problem.key) == (config, 4, "list.semantic")
    assert problem.message == f"`semantic = true` of [list] needs an extra that is not installed: `{COMMAND}`"
    (problem,) = problems(config, after(3), DIGEST_LIST__SEMANTIC="true")
    assert COMMAND in problem.message
    (problem,) = problems(config, after(3, 'semantic = "yes"'))
    assert problem.message == '`semantic` of [list] must be true or false, not "yes"'
    assert loaded(config, after(3, "semantic = false")).semantic is False


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("rank",), ("preview", "--out", "out"), ("send", "--dry-run"), ("send",)])
def test_every_command_says_what_it_ranked_by(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: CountingEmbed
) -> None:
    """With the extra, without it (and how to get it), and with it turned off; `--json` says it too."""
    config = with_default(tmp_path)
    arguments = (*command, "--config", config, "--now", DAY_ONE)

    def said(**environ: str) -> str:
        (tmp_path / "digest.db").unlink(missing_ok=True)
        return run(*arguments, cwd=tmp_path, **environ).stdout

    assert "  ranked by words and meaning\n" in said()
    assert "  ranked by words alone\n" in said(DIGEST_LIST__SEMANTIC="false")
    installed(monkeypatch, False)
    assert f"  ranked by words alone; `{COMMAND}` adds meaning\n" in said()
    (tmp_path / "digest.db").unlink(missing_ok=True)
    assert {row["semantic"] for row in jsons(run(*arguments, "--json", cwd=tmp_path).stdout)} == {False}


def test_a_send_that_ranks_nothing_says_nothing_of_it(tmp_path: Path, network: CountingEmbed) -> None:
    """An edition that is complete is not ranked again."""
    arguments = ("send", "--config", with_default(tmp_path), "--now", DAY_ONE)
    assert "ranked by" in run(*arguments).stdout
    assert "ranked by" not in run(*arguments).stdout
    assert jsons(run(*arguments, "--json").stdout)[0]["semantic"] is None


def test_rank_can_do_without(tmp_path: Path, network: CountingEmbed) -> None:
    """`--no-semantic` ranks by words alone although the extra is there, a list and any documents."""
    for arguments in (("rank", "--config", with_default(tmp_path), "--now", DAY_ONE), documents(tmp_path)):
        answer = run(*arguments, "--no-semantic")
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.endswith("ranked by words alone\n")
        assert network.asked == []
        assert run(*arguments).stdout.endswith("ranked by words and meaning\n")
        assert any(text.startswith("Worms in soil. They dig.") or "Diffusion" in text for text in network.asked)
        network.asked.clear()


def test_documents_without_the_extra_are_ranked_by_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is missing but meaning, and that is said."""
    installed(monkeypatch, False)
    answer = run(*documents(tmp_path))
    assert answer.stdout.endswith(f"ranked by words alone; `{COMMAND}` adds meaning\n")


def test_a_send_embeds_each_text_once_and_keeps_it(tmp_path: Path, network: CountingEmbed) -> None:
    """The store has a vector of every text after a send; the next commands find them there."""
    config = with_default(tmp_path)
    run("send", "--config", config, "--now", DAY_ONE)
    embedded = len(network.asked)
    assert 0 < embedded == len(set(network.asked))
    with sqlite3.connect(tmp_path / "digest.db") as raw:
        assert raw.execute("SELECT count(*), min(length(vector)) FROM vectors").fetchone() == (embedded, 768)
    raw.close()
    assert run("rank", "--config", config, "--now", DAY_ONE).returncode == 0
    assert len(network.asked) == embedded


def test_a_preview_before_the_first_send_makes_no_database(tmp_path: Path, network: CountingEmbed) -> None:
    """Its vectors live as long as the command, within which each text is embedded once."""
    answer = run("rank", "--config", with_default(tmp_path), "--now", DAY_ONE)
    assert answer.returncode == 0, answer.stderr
    assert 0 < len(network.asked) == len(set(network.asked))
    assert not (tmp_path / "digest.db").exists()


def test_long_embedding_is_told(tmp_path: Path, network: CountingEmbed) -> None:
    """A line every 256 texts where nobody watches; nothing between the lines of --json."""
    rank, option, papers, *others = documents(tmp_path)
    Path(papers).write_text("\n".join(json.dumps({"title": f"Worm {n}", "abstract": ""}) for n in range(300)))
    answer = run(rank, option, papers, *others)
    assert "  embedded 256 of 300 texts\n  embedded 300 of 300 texts\n" in answer.stdout
    assert len(jsons(run(rank, option, papers, *others, "--json").stdout)) == 1


def test_a_bar_for_embedding_stands_beside_that_of_sending(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal, both bars of a large send are shown, and none for a few texts."""
    monkeypatch.setattr(Terminal, "is_interactive", True)
    terminal = Terminal()
    with terminal.progress(1000), terminal.embedding() as embedding:
        embedding.embedded(32, 300)
        embedding.embedded(300, 300)
    with terminal.embedding() as embedding:
        embedding.embedded(3, 3)
    assert "texts" not in capsys.readouterr().out
