"""`digest init`: what it writes, works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from digest.commands.starter import write_starter
from digest.errors import ConfigError
from digest.model import AnnounceType, SourceKind
from digest.settings import load

ARGUMENTS: dict[str, Any] = {
    "name": "Video Lab",
    "email": "ada@example.org",
    "categories": ["cs.CV", " cs.LG"],
    "topic": "models that generate video",
}


def test_the_starter_loads_as_it_is(tmp_path: Path) -> None:
    """The written config is valid and says what was asked for."""
    path = tmp_path / "config.toml"
    write_starter(path, **ARGUMENTS)
    (config,) = load([path], {}).lists
    assert (config.mailing_list.id, config.mailing_list.name) == ("video-lab", "Video Lab")
    assert config.sources[0].kind is SourceKind.ARXIV
    assert config.sources[0].categories == ("cs.CV", "cs.LG")
    assert config.sources[0].kinds == (AnnounceType.NEW, AnnounceType.CROSS)
    assert [s.address for s in config.subscribers] == ["ada@example.org"]
    assert config.subscribers[0].profile.topics[0].text == "models that generate video"
    assert config.relays == ()
    assert config.warnings == ()


@pytest.mark.parametrize("name", ['The "Big", <loud>; list: №1', "Žluťoučký kůň", "O'Neil's back\\slash"])
def test_any_name_survives(tmp_path: Path, name: str) -> None:
    """Quotes, brackets and other scripts in a name neither break the TOML nor the From header."""
    path = tmp_path / "config.toml"
    write_starter(path, **(ARGUMENTS | {"name": name}))
    (config,) = load([path], {}).lists
    assert config.mailing_list.name == name
    assert config.mailing_list.from_.endswith("<ada@example.org>")


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    path = tmp_path / "config.toml"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="exists already"):
        write_starter(path, **ARGUMENTS)
    assert path.read_text() == "precious"


def test_a_bad_answer_leaves_no_file_behind(tmp_path: Path) -> None:
    """An address that is none is refused, by key, and no half-good config stays."""
    path = tmp_path / "config.toml"
    with pytest.raises(ConfigError, match="email"):
        write_starter(path, **(ARGUMENTS | {"email": "nobody"}))
    assert not path.exists()
