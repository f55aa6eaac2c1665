"""`digest demo`: two days, four readers, real SMTP, nothing twice."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

from tests.test_cli import jsons, run


def test_two_days_and_nothing_repeated(tmp_path: Path) -> None:
    """The first run sends day one, the second day two without a paper of day one, the third says how to start again."""
    out = tmp_path / "demo"
    first = run("demo", "--out", str(out))
    assert first.returncode == 0, first.stderr
    second = run("demo", "--out", str(out))
    assert second.returncode == 0, second.stderr
    for answer, word in ((first, "the second day"), (second, "--restart")):
        assert all(
            name in answer.stdout for name in ("arxiv", "huggingface", "journal", "Amara", "Jörg", "Inês", "Tomoko")
        )
        assert word in answer.stdout
    links: list[set[str]] = []
    for day in ("2026-06-09", "2026-06-10"):
        messages = sorted((out / "inbox" / day).glob("*.eml"))
        assert len(messages) == 4
        assert len(list((out / "inbox" / day).glob("*.html"))) == 4
        links.append({link for path in messages for link in paper_links(path)})
    assert links[0]
    assert links[1]
    third = run("demo", "--out", str(out))
    assert (third.returncode, "--restart" in third.stdout) == (0, True)
    for reader in sorted(path.name for path in (out / "inbox" / "2026-06-09").glob("*.eml")):
        one, two = (paper_links(out / "inbox" / day / reader) for day in ("2026-06-09", "2026-06-10"))
        assert one
        assert not one & two, f"{reader} got a paper twice"


def paper_links(path: Path) -> set[str]:
    """The abstract pages that a message links to, without versions."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    page = message.get_body(("html",))
    assert page is not None
    words = page.get_content().replace('"', " ").split()
    return {word for word in words if word.startswith(("https://arxiv.org/abs/", "https://doi.org/"))}


def test_the_demo_starts_again_on_demand(tmp_path: Path) -> None:
    """`--restart` forgets both days and removes nothing that is not the demo's."""
    out = tmp_path / "demo"
    run("demo", "--out", str(out))
    (out / "mine.txt").write_text("kept")
    answer = run("demo", "--out", str(out), "--restart", "--json")
    (row,) = jsons(answer.stdout)
    assert row["editions"][0]["edition"]["number"] == 1
    assert row["editions"][0]["counts"] == {"sent": 4}
    assert (out / "mine.txt").read_text() == "kept"


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder that is not empty and not a demo's is refused."""
    (tmp_path / "thesis.txt").write_text("precious")
    answer = run("demo", "--out", str(tmp_path))
    assert answer.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
