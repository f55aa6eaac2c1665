"""What is different on Windows and macOS, as far as it can be tried here."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import sys
import warnings
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest

from digest import durable
from digest.commands import pausing
from digest.commands.people import _written
from digest.console import Terminal
from digest.model import Address, Envelope
from digest.pull import files
from digest.send.maildir import MaildirTransport, file_name

MESSAGE = b"Message-ID: <one@example.org>\r\n\r\ntext\r\n"
TO_ADA = Envelope(Address("digest@example.org"), Address("ada@example.org"))

posix = pytest.mark.skipif(sys.platform == "win32", reason="stands in for another system")


async def _no_intent() -> None:
    pass


@pytest.mark.parametrize("flags", [":2,S", ";2,S", "!2,S"])
def test_a_copy_that_was_read_is_known_whatever_stands_before_its_flags(tmp_path: Path, flags: str) -> None:
    """Windows allows no colon in a file name: mail programs write another sign there."""
    name = file_name(TO_ADA, MESSAGE)
    for folder in ("tmp", "new", "cur"):
        (tmp_path / folder).mkdir()
    if sys.platform == "win32" and flags.startswith(":"):
        pytest.skip("there is no such name")
    (tmp_path / "cur" / f"{name}{flags}").touch()
    asyncio.run(MaildirTransport(tmp_path).submit(TO_ADA, MESSAGE, _no_intent))
    assert list((tmp_path / "new").iterdir()) == []


@posix
def test_on_macos_the_drives_cache_is_written_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F_FULLFSYNC where there is one; where a file system refuses it, plain fsync."""
    asked: list[object] = []

    def full(descriptor: int, command: int) -> int:
        asked.append(command)
        if len(asked) > 1:
            raise OSError
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda descriptor: asked.append("fsync"))
    durable.sync_folder(tmp_path)
    assert asked == [51]
    durable.sync_folder(tmp_path)
    assert asked == [51, 51, "fsync"]


@posix
def test_on_windows_no_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows opens no folders: a rename is written through by itself."""
    monkeypatch.setattr(durable, "os", SimpleNamespace(name="nt"))
    durable.sync_folder(tmp_path)


def test_json_loses_no_letter_where_the_output_has_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe in a code page of Windows: letters that it lacks are spelt, and read back as they were."""
    value = {"name": "Łukasz 北京 “é”"}
    for encoding, raw in (("cp1252", False), ("utf-8", True)):
        out = io.BytesIO()
        stream = io.TextIOWrapper(out, encoding=encoding, errors="replace")
        monkeypatch.setattr(sys, "stdout", stream)
        Terminal(as_json=True).emit(value)
        stream.flush()
        assert json.loads(out.getvalue().decode(encoding)) == value
        assert ("北京".encode() in out.getvalue()) is raw


def test_an_export_to_a_pipe_loses_no_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """People's names go out as they are, also where the console has a code page."""
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, encoding="cp1252", errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    with _written(Terminal(), None) as file:
        file.write("Łukasz\n")
    assert out.getvalue().decode("utf-8").strip() == "Łukasz"


def test_a_drive_in_a_file_address_is_a_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Path.as_uri` of Windows, which the config makes of a path, leads back to that path."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nturl2path import url2pathname
    monkeypatch.setattr(files, "url2pathname", url2pathname)
    monkeypatch.setattr(files, "Path", PureWindowsPath)
    path = PureWindowsPath(r"C:\feeds of mine\arxiv.xml")
    assert str(files.file_path(path.as_uri())) == str(path)


def test_whoever_pauses_may_have_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of Windows has no user in its environment, and Python then looks for a module that is not there."""

    def nobody() -> str:
        raise ImportError("pwd")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert pausing._who().startswith("somebody@")
