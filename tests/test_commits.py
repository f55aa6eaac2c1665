"""Group commit: what shares a transaction, and what each worker is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from digest.errors import StoreError
from digest.ledger import Entry, Intent, Release
from digest.model import Claim
from digest.send.commits import GroupCommit
from tests.factories import claim
from tests.waiting import PATIENCE


class SlowLedger:
    """Commits when it is let go on; remembers its groups. Refuses what is in `refused`."""

    def __init__(self) -> None:
        self.groups: list[list[Entry]] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.refused: set[int] = set()
        self.broken: Exception | None = None

    def claim(self, limit: int) -> Sequence[Claim]:
        return [claim(number) for number in range(limit)]

    def commit(self, entries: Sequence[Entry]) -> Sequence[bool]:
        self.groups.append(list(entries))
        self.begun.release()
        assert self.go_on.acquire(timeout=PATIENCE)
        if self.broken:
            raise self.broken
        return [entry.claim.delivery.id not in self.refused for entry in entries]


async def begun(ledger: SlowLedger) -> None:
    assert await asyncio.to_thread(ledger.begun.acquire, timeout=PATIENCE)


def test_what_comes_during_a_transaction_shares_the_next() -> None:
    """The first goes alone and at once; the others wait for it, then go together, in their order."""
    ledger = SlowLedger()
    entries = [Intent(claim(number)) for number in range(5)]

    async def main() -> list[bool]:
        commits = GroupCommit(ledger)
        first = commits.write(entries[0])
        await begun(ledger)
        others = [commits.write(entry) for entry in entries[1:]]
        ledger.refused = {2}
        ledger.go_on.release(2)
        made = await asyncio.gather(first, *others)
        await commits.close()
        return made

    assert asyncio.run(main()) == [True, True, False, True, True]
    assert ledger.groups == [entries[:1], entries[1:]]


def test_nobody_is_told_before_it_is_durable() -> None:
    """An entry is not done while its transaction runs."""
    ledger = SlowLedger()

    async def main() -> None:
        commits = GroupCommit(ledger)
        written = commits.write(Intent(claim(1)))
        await begun(ledger)
        await asyncio.sleep(0.05)
        assert not written.done()
        ledger.go_on.release()
        assert await written
        await commits.close()

    asyncio.run(main())


def test_a_transaction_that_fails_is_told_to_its_whole_group_and_to_no_other() -> None:
    """The next group is tried for itself."""
    ledger = SlowLedger()
    ledger.broken = StoreError("disk is full")

    async def main() -> None:
        commits = GroupCommit(ledger)
        failing = [commits.write(Intent(claim(number))) for number in range(3)]
        await begun(ledger)
        later = commits.write(Intent(claim(3)))
        ledger.go_on.release()
        results = await asyncio.gather(*failing, return_exceptions=True)
        assert results == [ledger.broken] * 3
        await begun(ledger)
        ledger.broken = None
        ledger.go_on.release()
        assert await later
        await commits.close()

    asyncio.run(main())


def test_an_entry_is_written_though_nobody_waits_any_more() -> None:
    """Closing waits for what is ready, also where its worker was cancelled."""
    ledger = SlowLedger()
    ledger.go_on.release(2)
    first, second = Intent(claim(1)), Release(claim(2))

    async def main() -> None:
        commits = GroupCommit(ledger)
        commits.write(first)
        await begun(ledger)
        commits.write(second).cancel()
        await commits.close()

    asyncio.run(main())
    assert ledger.groups == [[first], [second]]


@pytest.mark.parametrize("limit", [0, 3])
def test_claims_are_passed_on(limit: int) -> None:
    """A claim waits for its turn and brings what the ledger has."""

    async def main() -> int:
        commits = GroupCommit(SlowLedger())
        claims = await commits.claim(limit)
        await commits.close()
        return len(claims)

    assert asyncio.run(main()) == limit
