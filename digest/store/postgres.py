"""PostgreSQL, for lists that outgrow one machine (extra `postgres`): the same tables, and many programs at once.

What is different from SQLite, and all of it is here:

- `digest migrate` makes and changes the tables, those of the queue too (`queue.py`): programs of many hosts must not do
  so by themselves.
- A `write()` that is not `alone` runs beside others. One that is waits for a lock of the whole database
  (`pg_advisory_xact_lock`), as every transaction of SQLite does.
- `deliveries` are partitioned by edition, so that an edition is counted by its own indexes. Half of each page is left
  free: a delivery changes some three times, and its next version finds room beside it. A partitioned table's key holds
  the edition, so nothing refers to a delivery by a foreign key. Let go of, a part is dropped: no row is looked at.
- A `read()` holds `received` open, and whoever drops a part waits for that: in a view from before an edition's
  deliveries were let go of they still count, and would not be there.
- Commits are durable whatever the server's own `synchronous_commit` says: the outbox relies on it.
- A network that is gone is noticed within `SILENCE`, at both ends: the program goes on with another connection, and the
  server ends what the lost one held. A lock is waited for no longer than on SQLite.
- A server that takes no writes, because it has become a standby or keeps the last of its space, counts as one that is
  gone: whoever writes is connected anew until there is one that does.
- Rows are picked by their keys, also out of a table so small, or so new to the planner, that it would read all of it if
  disks still turned (`random_page_cost`).

Sources: postgresql.org/docs/current: ddl-partitioning, explicit-locking, libpq-connect,
runtime-config-connection; tcp(7): TCP_USER_TIMEOUT.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from digest.errors import StoreError
from digest.store import queue, schema
from digest.store.database import BUSY_SECONDS, Database, Migrated, alembic, not_newer
from digest.store.schema import APPLICATION_ID, SCHEMA_VERSION

INSTALL = "pip install 'papers-digest[postgres]'"
SILENCE = 15
"""Seconds after which a connection whose other end does not even acknowledge is given up. Of packets sent again and
again, seven in a row are lost then; much less than `BUSY_SECONDS`, so that what a lost program holds keeps nobody."""
CONNECTIONS = 5
"""At most, for each process and list: its threads read and write at once."""
GIVES_WAY = 300
"""Milliseconds that dropping a part waits for each lock: all who read or send wait behind it meanwhile."""
QUEUE_CONNECTIONS = 4
"""At most, for each worker, beside those."""


def connection_arguments() -> dict[str, str | int]:
    """How every connection is opened, by whatever pool (libpq's names)."""
    probes = {"keepalives_idle": SILENCE // 3, "keepalives_interval": SILENCE // 3, "keepalives_count": 2}
    timeouts = {**probes, "tcp_user_timeout": SILENCE * 1000}  # milliseconds
    server = {
        **{name if name.startswith("tcp_") else f"tcp_{name}": str(value) for name, value in timeouts.items()},
        "lock_timeout": f"{BUSY_SECONDS}s",
        "idle_in_transaction_session_timeout": "10min",
        "synchronous_commit": "on",
        "random_page_cost": "1.1",
    }
    options = " ".join(f"-c {name}={value}" for name, value in server.items())
    return {"connect_timeout": 10, **timeouts, "application_name": "digest", "options": options}


def open_database(url: sa.URL) -> Database:
    """Opens a database whose tables are there. Raises StoreError."""
    database = _connected(url)
    try:
        with database.session() as connection:  # a `read()` needs tables of the present schema
            _refuse_older(_version_of(connection, database.name), database.name)
            queue.refuse_other(connection, database.name)
    except BaseException:
        database.close()
        raise
    return database


def migrate(url: sa.URL) -> Migrated:
    """Makes the tables, or brings them up to date: ours in one transaction, the queue's in one for each migration.

    What ends in between is taken up by the next that does so.
    """
    from alembic import command

    database = _connected(url)
    try:
        with database.write() as connection:
            version = _version_of(connection, database.name)
            if not version:
                _create(connection)
                command.stamp(alembic(connection), "head")
            elif version < SCHEMA_VERSION:
                command.upgrade(alembic(connection), "head")
            made = queue.install(connection)
        applied: list[str] = []
        while name := _migrate_queue(database):
            applied.append(name)
        with database.read() as connection:
            queue.refuse_other(connection, database.name)
    finally:
        database.close()
    return Migrated(database.name, version, SCHEMA_VERSION, tuple(applied), made)


def _migrate_queue(database: Database) -> str | None:
    with database.write() as connection:
        return queue.apply_next(connection)


def add_partition(connection: sa.Connection, edition_id: int) -> None:
    """The part of `deliveries` that holds one edition's; nothing on SQLite. Inside the edition's own transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            f"CREATE TABLE {partition(edition_id)} PARTITION OF deliveries "
            f"FOR VALUES FROM ({edition_id:d}) TO ({edition_id + 1:d}) WITH (fillfactor = 50)"
        )


def drop_partition(connection: sa.Connection, edition_id: int) -> bool:
    """Drops that part with all that is in it; False where somebody has it in use, or goes on reading for long.

    Inside a transaction that is alone. Whoever comes meanwhile waits for as long as this waits, and works on.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{GIVES_WAY:d}ms'")
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("LOCK TABLE received IN ACCESS EXCLUSIVE MODE")
            connection.exec_driver_sql(f"DROP TABLE {partition(edition_id)}")
    except sa.exc.OperationalError as error:
        if type(error.orig).__name__ != "LockNotAvailable":
            raise
        return False
    return True


def partition(edition_id: int) -> str:
    """The name of that part."""
    return f"deliveries_{edition_id:d}"


def is_partition(edition_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """The condition that there is a part for an edition, by its number as text."""
    return sa.func.to_regclass(sa.literal("deliveries_") + edition_id).is_not(None)


def has_partition(connection: sa.Connection, edition_id: int) -> bool:
    """Whether there is a part for this one."""
    return connection.execute(sa.select(is_partition(sa.literal(f"{edition_id:d}")))).scalar_one()


def deliveries_of(connection: sa.Connection, edition_id: int) -> sa.FromClause:
    """The deliveries of one edition. On PostgreSQL its own part, which an index on their status alone can count."""
    deliveries = schema.deliveries
    if connection.dialect.name == "postgresql":
        return sa.table(partition(edition_id), *(sa.column(column.name, column.type) for column in deliveries.c))
    return sa.select(deliveries).where(deliveries.c.edition_id == edition_id).subquery()


def _connected(url: sa.URL) -> Database:
    address = f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
    needs_extra = f"{address}: a postgresql:// database needs an extra: {INSTALL}"
    if not queue.is_installed():
        raise StoreError(needs_extra)
    try:
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=connection_arguments(),
            pool_pre_ping=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            execution_options={"preserve_rowcount": True},  # also of an insert that may have inserted nothing
            hide_parameters=True,  # an error's text would show addresses, and the key that signs
        )
    except ModuleNotFoundError as error:
        raise StoreError(needs_extra) from error
    sa.event.listen(engine, "begin", _begin)
    sa.event.listen(engine, "handle_error", _leave_one_that_takes_no_writes)
    return Database(engine, address, _advice)


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("digest_write"):
        # Locked first: a view is taken by the first statement that reads.
        connection.exec_driver_sql(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE received IN ACCESS SHARE MODE",
            execution_options={"no_parameters": True},
        )
    elif options.get("digest_alone"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPLICATION_ID:d})")


def _leave_one_that_takes_no_writes(failed: sa.engine.ExceptionContext) -> None:
    writes = failed.connection is not None and failed.connection.get_execution_options().get("digest_write")
    if writes and type(failed.original_exception).__name__ == "ReadOnlySqlTransaction":
        failed.is_disconnect = True


def _advice(error: BaseException | None) -> str:
    kind = type(error).__name__
    if kind == "LockNotAvailable":
        return f"another program has held it for over {BUSY_SECONDS} s: see `pg_stat_activity`, then try again"
    if kind == "ReadOnlySqlTransaction":
        return "it is a standby, or its space has nearly run out: name the server that takes writes, then try again"
    if kind == "DiskFull":
        return "free some space there, then run the same command again: nothing was lost"
    if "database" in str(error) and "does not exist" in str(error):
        return "make it with `createdb --encoding UTF8`, or correct `url` of [store]; then run `digest migrate`"
    if "password" in str(error):
        return (
            "give the one that the server has for this user as `password` or `password_file` of [store], then try again"
        )
    return "check that the server runs and lets this user in (`url` and `password` of [store]), then try again"


def _version_of(connection: sa.Connection, name: str) -> int:
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        return 0
    if not {"alembic_version", "deliveries", "editions"} <= tables:
        raise StoreError(f"{name} holds another program's tables: give digest a database of its own")
    return not_newer(int(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()), name)


def _refuse_older(version: int, name: str) -> None:
    if version < SCHEMA_VERSION:
        what = f"has schema {version}, this digest works with {SCHEMA_VERSION}" if version else "has no tables yet"
        raise StoreError(f"{name} {what}: run `digest migrate` once, while no other digest is running")


def _create(connection: sa.Connection) -> None:
    """The newest schema at once: no older one was ever on PostgreSQL."""
    here = sa.MetaData(naming_convention=schema.metadata.naming_convention)
    for table in schema.metadata.sorted_tables:
        copy = table.to_metadata(here)
        if table is schema.deliveries:
            _partition(copy)
        for key in list(copy.foreign_key_constraints):
            if key.referred_table.name == schema.deliveries.name:
                copy.constraints.remove(key)
    for table in here.sorted_tables:
        connection.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            connection.execute(CreateIndex(index))


def _partition(deliveries: sa.Table) -> None:
    deliveries.c.id.autoincrement = True
    deliveries.c.edition_id.primary_key = True
    deliveries.append_constraint(sa.PrimaryKeyConstraint(deliveries.c.id, deliveries.c.edition_id))
    deliveries.dialect_options["postgresql"]["partition_by"] = "RANGE (edition_id)"
