"""Servers with an event loop in a thread of their own, so that they serve blocking code and async code alike."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from tests.waiting import PATIENCE


class Apart(ABC):
    """A server that is there from `with` to the end of it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=PATIENCE)
        self._loop.close()

    def settle(self) -> None:
        """Returns when the server has read all that clients sent who are gone; those who stay are waited for."""
        asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result(timeout=PATIENCE)

    @abstractmethod
    async def _start(self) -> None: ...
    @abstractmethod
    async def _stop(self) -> None: ...
    @abstractmethod
    async def _settle(self) -> None: ...
