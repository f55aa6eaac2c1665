"""The queue of many hosts: procrastinate, in the list's own PostgreSQL (extra `postgres`).

A job wakes a worker for one shard and says nothing of how far that is. It is deferred in the transaction that creates
the edition, so there is never the one without the other; `queueing_lock` keeps a shard from waiting twice. A worker
says every 10 s that it lives, and the jobs of one that has not for 30 s are given to others, by a job of the queue's
own that any of them runs (never under a `lock`: that of a dead worker would stay). Its workers end without an error
when the database goes, hence the loop around them; that it has gone without a word its connections notice as the
store's do. `worker.py` makes the queue and runs it.

Source: procrastinate.readthedocs.io: "Ensure workers survive", "Retry stalled jobs", "Define queueing locks".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import procrastinate
import psycopg
import sqlalchemy as sa
from procrastinate import exceptions
from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from digest.dispatch import RunOne
from digest.errors import StoreError
from digest.model import EditionId, ListId, Shard, SubscriberId
from digest.store.postgres import QUEUE_CONNECTIONS, connection_arguments

log = logging.getLogger(__name__)

QUEUE = "shards"
HEARTBEAT = 10.0
STALLED_AFTER = 30.0
"""Seconds."""
RESCUE = "* * * * * */10"
"""Cron with six fields: the seconds are the last."""
RECONNECT_AFTER = 2.0
PATIENCE = 7.0
"""Seconds for which a connection is waited for; whoever stops waits so long twice."""
FIRST = 10
"""The rescue's priority: it goes before shards."""


class AgainError(Exception):
    """The job is to come again, at a time."""

    def __init__(self, at: datetime):
        super().__init__(f"again at {at:%Y-%m-%d %H:%M:%S} UTC")
        self.at = at


class _AtItsTime(BaseRetryStrategy):
    """Whatever else goes wrong with a job is the store's trouble, or our own: it comes again soon."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:  # noqa: ARG002
        at = exception.at if isinstance(exception, AgainError) else datetime.now(UTC) + timedelta(seconds=5)
        return RetryDecision(retry_at=at)


class Connection(psycopg.AsyncConnection[Any]):
    """One that is closed when it is broken off half made: a PostgreSQL that is to stop waits a minute for such.

    Psycopg's own is held by the error that broke it off, until somebody looks for garbage.
    """

    @classmethod
    async def connect(cls, *arguments: Any, **named: Any) -> Self:
        """As psycopg does it."""
        try:
            return await super().connect(*arguments, **named)
        except asyncio.CancelledError:
            pass
        raise asyncio.CancelledError  # without what the other holds


def _key(shard: Shard) -> str:
    return f"{shard.edition_id}/{shard.first}"


class _Named(JobManager):
    """Says with each worker what it is called, since when it runs, and for which lists."""

    def __init__(self, connector: BaseConnector, name: str, since: datetime, lists: Sequence[ListId]):
        super().__init__(connector)
        self._name, self._since, self._lists = name, since.isoformat(timespec="microseconds"), list(lists)

    async def register_worker(self) -> int:
        """The number of the new worker; names of those that are gone go with it."""
        number = await super().register_worker()
        await self.connector.execute_query_async(
            "WITH gone AS (DELETE FROM queue_workers WHERE worker_id NOT IN (SELECT id FROM procrastinate_workers)) "
            "INSERT INTO queue_workers (worker_id, name, since, lists) "
            "VALUES (%(number)s, %(name)s, %(since)s, %(lists)s)",
            number=number,
            name=self._name,
            since=self._since,
            lists=self._lists,
        )
        return number


class ProcrastinateQueue:
    """The shards' queue in the database at a URL."""

    def __init__(self, url: str):
        self._conninfo = _conninfo(sa.make_url(url))
        self._jobs = procrastinate.App(connector=procrastinate.SyncPsycopgConnector()).job_manager

    def enqueue(self, connection: sa.Connection, shards: Sequence[Shard]) -> None:
        """One job for each that has none, in the connection's own transaction. They are due now.

        Two that do so at once must take turns (`Database.write()` alone).
        """
        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(f"{type(driver)} is not a connection to PostgreSQL")
        keys = [_key(shard) for shard in shards]
        waiting = self._known(driver, keys)
        jobs = [
            Job(
                id=None,
                queue=QUEUE,
                priority=0,
                lock=None,
                queueing_lock=_key(shard),
                task_name="shard",
                task_kwargs={
                    "list_id": shard.list_id,
                    "edition_id": shard.edition_id,
                    "first": shard.first,
                    "last": shard.last,
                },
            )
            for shard in shards
            if _key(shard) not in waiting
        ]
        if jobs:
            self._jobs.batch_defer_jobs(jobs, connection=driver)

    @staticmethod
    def _known(driver: psycopg.Connection[Any], keys: Sequence[str]) -> frozenset[str]:
        """Which of the shards have a job; one that waits for a later time does so no more."""
        its = "queue_name = %s AND queueing_lock = ANY(%s)"
        with driver.cursor() as cursor:
            cursor.execute(
                f"UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE {its} AND status = 'todo' "  # noqa: S608
                "AND scheduled_at > now()",
                (QUEUE, list(keys)),
            )
            cursor.execute(
                f"SELECT queueing_lock FROM procrastinate_jobs WHERE {its} AND status IN ('todo', 'doing')",  # noqa: S608
                (QUEUE, list(keys)),
            )
            return frozenset(row[0] for row in cursor.fetchall())

    async def run(self, run_one: RunOne, stop: asyncio.Event, worker: str, lists: Sequence[ListId]) -> None:
        """Takes jobs until `stop` is set and the one under way has ended; survives outages of the database."""
        since = datetime.now(UTC)
        for name in ("procrastinate", "psycopg.pool"):  # they show a traceback for each outage; we say it in a line
            logging.getLogger(name).setLevel(logging.CRITICAL)
        asyncio.get_running_loop().set_exception_handler(_quietly)
        busy = asyncio.Lock()
        while not stop.is_set():
            app = self._app(run_one, stop, busy)
            app.job_manager = _Named(app.connector, worker, since, lists)
            try:
                async with app.open_async():
                    await self._work(app, stop, busy)
            except (exceptions.ProcrastinateException, psycopg.Error, OSError) as error:
                log.warning("the queue cannot be reached: %s; tried again", " ".join(str(error).split()))
            async with busy:  # what was under way when the database went still waits for it
                pass
            await _unless(stop, RECONNECT_AFTER)

    async def _work(self, app: procrastinate.App, stop: asyncio.Event, busy: asyncio.Lock) -> None:
        """Returns when `stop` is set, or procrastinate's worker has ended for want of a database."""
        working = asyncio.create_task(
            app.run_worker_async(
                queues=[QUEUE],
                concurrency=1,
                install_signal_handlers=False,
                delete_jobs="always",  # what became of a shard is kept with it
                update_heartbeat_interval=HEARTBEAT,
                stalled_worker_timeout=STALLED_AFTER,
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            async with busy:  # procrastinate says no more that it lives once it has been asked to stop: not before
                working.cancel()
        stopping.cancel()
        try:
            await working
        except asyncio.CancelledError:
            if not stop.is_set():
                raise

    def _app(self, run_one: RunOne, stop: asyncio.Event, busy: asyncio.Lock) -> procrastinate.App:
        app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=self._conninfo,
                connection_class=Connection,
                kwargs=connection_arguments(),  # the one that listens has them too
                min_size=1,
                max_size=QUEUE_CONNECTIONS,
                timeout=PATIENCE,
                reconnect_timeout=20,  # its tries come ever more seldom: whoever waits for one begins anew
            )
        )

        @app.task(name="shard", queue=QUEUE, retry=_AtItsTime())
        async def shard(list_id: str, edition_id: int, first: int, last: int) -> None:
            which = Shard(ListId(list_id), EditionId(edition_id), SubscriberId(first), SubscriberId(last))
            async with busy:
                try:
                    again = None if stop.is_set() else await run_one(which)
                except StoreError as error:
                    log.warning("%s: %s", which, error)
                    raise
            if stop.is_set():
                again = datetime.now(UTC)
            if again is not None:
                raise AgainError(again)

        @app.periodic(cron=RESCUE)
        @app.task(name="rescue", queue=QUEUE, queueing_lock="rescue", priority=FIRST)
        async def rescue(timestamp: int) -> None:  # noqa: ARG001
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER):
                log.warning("%s was left by a worker that is gone", job.call_string)
                await app.job_manager.retry_job(job)

        return app


def _conninfo(url: sa.URL) -> str:
    """The address as libpq reads it: SQLAlchemy's own form of it is none where a password has a blank."""
    options = {key: each if isinstance(each, str) else ",".join(each) for key, each in url.query.items()}
    return psycopg.conninfo.make_conninfo(**url.translate_connect_args(username="user", database="dbname"), **options)


def _quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a job that ended while the database was gone could not say of itself: it comes again, nobody need know."""
    if not isinstance(context.get("exception"), exceptions.ProcrastinateException):
        loop.default_exception_handler(context)


async def _unless(stop: asyncio.Event, seconds: float) -> None:
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait((waiting,), timeout=seconds)
    waiting.cancel()
