# ruff: noqa: ARG002, ARG003 - the signatures are those of pydantic-settings
"""Where the settings come from, in the order of precedence: environment, files that hold secrets, TOML.

The three are sources of pydantic-settings, which merges them; nothing is decided here about a value. Only `load` calls
this module. An empty variable counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource

from digest.settings import checks
from digest.settings.checks import EnvText
from digest.settings.contradictions import table_in, tables
from digest.settings.document import Document
from digest.settings.models import Settings
from digest.settings.toml_lines import KeyPath
from digest.subscribe.values import WrongValue


@dataclass
class Reading:
    """What one file and the environment give together. `settings` is None where there is an error."""

    document: Document
    environ: Mapping[str, str]
    settings: Settings | None = None
    errors: list[ErrorDetails] = field(default_factory=list)
    merged: dict[str, Any] = field(default_factory=dict)
    """The raw values that won, before any check."""
    environment: dict[str, Any] = field(default_factory=dict)
    """Those of them that are from the environment."""
    unreadable: list[tuple[KeyPath, str]] = field(default_factory=list)
    """Files of secrets that gave none: the key that names the file, and why."""


def read(document: Document, environ: Mapping[str, str]) -> Reading:
    """Merge and check one document with the environment."""
    reading = Reading(document, environ)
    try:
        settings = _Merged(reading)
    except ValidationError as error:
        reading.errors = error.errors(include_url=False)
    else:
        reading.settings = settings if not reading.unreadable else None
    return reading


class _Merged(Settings):
    """The settings, filled from the sources of one reading."""

    def __init__(self, reading: Reading):
        super().__init__(reading=reading)  # type: ignore[call-arg]  # on its way to the hook below

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources, strongest first; none of the defaults, as all of them would read the process itself."""
        reading: Reading = init_settings.init_kwargs["reading"]  # type: ignore[attr-defined]
        return (
            _Environment(settings_cls, reading),
            _SecretFiles(settings_cls, reading),
            InitSettingsSource(settings_cls, init_kwargs=dict(reading.document.data)),
            _Witness(settings_cls, reading),
        )


class _Environment(EnvSettingsSource):
    """`DIGEST_TABLE__KEY`, out of a given mapping instead of the process's own."""

    def __init__(self, settings_cls: type[BaseSettings], reading: Reading):
        super().__init__(settings_cls)
        self._reading = reading
        # As of a file, the last line break is none of a secret's: container engines hand it on.
        values = ((name.lower(), value.strip("\r\n")) for name, value in reading.environ.items())
        self.env_vars = {name: EnvText(value) for name, value in values if value}

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        self._reading.environment = {name: checks.tables_in(value) or value for name, value in found.items()}
        return self._reading.environment


def _password(text: str) -> str:
    if "\n" in text:
        raise WrongValue("has several lines: the password alone should be in it")
    return text


_SECRETS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("smtp", "password", _password),
    ("mailbox", "password", _password),
    ("store", "password", _password),
    ("web", "status_password", _password),
    ("list", "secret", checks.signing_keys),
)
"""The table, the key that a file named by `KEY_file` stands for, and what the file's text may be."""


class _SecretFiles(PydanticBaseSettingsSource):
    """`password_file`, `secret_file`: what is in the file counts before the TOML's own, after the environment's."""

    def __init__(self, settings_cls: type[BaseSettings], reading: Reading):
        super().__init__(settings_cls)
        self._reading = reading

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Required by the base class; this source answers as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for label, key, check in _SECRETS:
            written = self._reading.document.data.get(label)
            if isinstance(written, list | tuple):  # several tables, of which the environment knows none
                each = [{**t, **self._read((label, n), key, check, t)} for n, t in enumerate(tables(written))]
                found |= {label: each} if label not in self.current_state else {}
            else:
                chosen = table_in(self.current_state.get(label))
                secret = {} if chosen.get(key) else self._read((label,), key, check, {**table_in(written), **chosen})
                found |= {label: secret} if secret else {}
        return found

    def _read(self, path: KeyPath, key: str, check: Callable[[str], str], table: Mapping[str, Any]) -> dict[str, str]:
        """The secret of one table, if it names a file that has one."""
        name = f"{key}_file"
        file = table.get(name)
        if not isinstance(file, str) or not file:
            return {}
        try:
            return {key: check(_text_of(self._reading.document.folder / Path(file)))}
        except WrongValue as error:
            why = f"{error.must}; {error.hint}" if error.hint else error.must
            self._reading.unreadable.append(((*path, name), why))
            return {}


def _text_of(path: Path) -> str:
    """What is in a file of a secret, without its last line break."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WrongValue(f"cannot be read: {why}") from None
    if not text:
        raise WrongValue("is empty")
    return text


class _Witness(PydanticBaseSettingsSource):
    """The last source: gives nothing, keeps what the others gave together."""

    def __init__(self, settings_cls: type[BaseSettings], reading: Reading):
        super().__init__(settings_cls)
        self._reading = reading

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Required by the base class; this source answers as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        self._reading.merged = dict(self.current_state)
        return {}
