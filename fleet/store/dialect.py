"""What SQLite and PostgreSQL say differently."""

from __future__ import annotations

import contextlib
import enum
import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    import psycopg

#: Any number that nobody else locks in the same database.
_SCHEMA_LOCK = 0x6564676577

_POSTGRESQL = "postgresql"


def is_postgresql(connection: sa.Connection) -> bool:
    """Whether a connection is to PostgreSQL; else it is to SQLite."""
    return connection.dialect.name == _POSTGRESQL


def insert_unless_there(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows; those whose key is taken, perhaps just now by another collector, are left."""
    if is_postgresql(connection):
        connection.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)
    else:
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)


class Combine(enum.Enum):
    """What becomes of a column where the row is there already."""

    #: Its number and the new one's are added.
    ADD = "add"
    REPLACE = "replace"


def insert_or_combine(
    connection: sa.Connection,
    table: sa.Table,
    key: Sequence[str],
    rows: Sequence[Mapping[str, object]],
    changes: Mapping[str, Combine],
) -> None:
    """Insert rows; of those whose key is there some columns are changed, and the rest is left."""
    if not rows:
        return
    dialect = postgresql if is_postgresql(connection) else sqlite
    insertion = dialect.insert(table)
    values = {
        name: insertion.excluded[name] + table.c[name]
        if how is Combine.ADD
        else insertion.excluded[name]
        for name, how in changes.items()
    }
    connection.execute(insertion.on_conflict_do_update(index_elements=key, set_=values), rows)


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Insert many rows, given as tuples in the order of `columns`.

    The driver gets them as they are: SQLAlchemy takes 9 us a row to turn a mapping into the
    driver's parameters, and the row itself takes 3. PostgreSQL gets a list for each column: one
    statement however many rows.
    """
    if rows:
        _execute(
            connection, _insertion(connection.dialect.name, table, columns), columns, table, rows
        )


def insert_or_replace(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Insert many rows, given as tuples; those whose primary key is there replace it.

    No two of them may have the same key.
    """
    if rows:
        _execute(
            connection, _replacement(connection.dialect.name, table, columns), columns, table, rows
        )


def update_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Update many rows, given as tuples in the order of `columns` and last their `id`.

    No two of them may have the same.
    """
    if rows:
        given = (*columns, "id")
        _execute(connection, _update(connection.dialect.name, table, columns), given, table, rows)


def delete_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Delete many rows, named by the values of `columns`."""
    if rows:
        statement = _deletion(connection.dialect.name, table, columns)
        _execute(connection, statement, columns, table, rows)


@contextlib.contextmanager
def together(connection: sa.Connection) -> Iterator[None]:
    """Send what is written within the block to a server in one go: one round trip for all of it.

    Nothing may be read within. What the server refuses of it is raised at the end.
    """
    if not is_postgresql(connection):
        yield
        return
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    errors = connection.dialect.loaded_dbapi.Error
    try:
        with driver.pipeline():
            yield
    except errors as error:
        raise sa.exc.DBAPIError.instance(
            None, None, error, errors, dialect=connection.dialect
        ) from error


def next_ids(connection: sa.Connection, table: sa.Table, count: int) -> list[int]:
    """Numbers for new rows of a table, which this transaction alone gives."""
    if is_postgresql(connection):
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        rows = sa.select(sa.func.nextval(sequence)).select_from(
            sa.func.generate_series(1, count).alias("numbers")
        )
        return list(connection.scalars(rows))
    # A writer is alone in SQLite.
    last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    return list(range(last + 1, last + 1 + count))


def is_among(connection: sa.Connection, column: sa.Column[int], ids: Iterable[int]) -> Any:  # noqa: ANN401 - SQLAlchemy's expressions differ by the way
    """Condition that a column is one of many numbers, as one parameter however many."""
    dialect = connection.dialect.name
    type_ = _type_of_listed(dialect)
    given = sa.bindparam("ids", listed(connection, ids), type_=type_, unique=True)
    return _is_one_of(dialect, column, given)


def among(dialect: str, column: sa.Column[int], name: str) -> Any:  # noqa: ANN401 - as above
    """The same as a parameter of that name, for a statement that is built once and used often.

    `listed` makes its value.
    """
    return _is_one_of(dialect, column, sa.bindparam(name, type_=_type_of_listed(dialect)))


def listed(connection: sa.Connection, ids: Iterable[int]) -> list[int] | str:
    """Numbers as the value of a parameter of `among`."""
    values = list(ids)
    return values if is_postgresql(connection) else str(values)


def pairs(
    connection: sa.Connection,
    rows: Iterable[tuple[object, object]],
    first: sa.types.TypeEngine[Any],
    second: sa.types.TypeEngine[Any],
) -> sa.Subquery:
    """Pairs to join with, in columns `first` and `second`, as one or two parameters.

    SQLite looks through a whole table for `(a, b) IN (...)`, where a join finds each pair by
    an index.
    """
    wanted = list(rows)
    if is_postgresql(connection):
        both = (
            sa.func.unnest(
                sa.cast([one for one, _ in wanted], postgresql.ARRAY(first)),
                sa.cast([other for _, other in wanted], postgresql.ARRAY(second)),
            )
            .table_valued(sa.column("first", first), sa.column("second", second))
            .render_derived()
        )
        return sa.select(both.c.first, both.c.second).subquery()
    listed = sa.func.json_each(json.dumps(wanted)).table_valued("value")
    return sa.select(
        sa.func.json_extract(listed.c.value, "$[0]", type_=first).label("first"),
        sa.func.json_extract(listed.c.value, "$[1]", type_=second).label("second"),
    ).subquery()


def count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let a table's own numbers go on behind the rows that were inserted with theirs."""
    column = table.autoincrement_column
    if column is None or not is_postgresql(connection):
        # SQLite goes on behind the highest number by itself.
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
    highest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
    connection.execute(sa.select(sa.func.setval(sequence, highest, sa.false())))


def others_connected(connection: sa.Connection) -> int:
    """How many others are connected to the same database of a server; 0 for a file."""
    if not is_postgresql(connection):
        return 0
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    return int(connection.exec_driver_sql(query).scalar() or 0)


def set_aside(connection: sa.Connection, tables: Iterable[str], schema: str) -> None:
    """Move tables of a server's database, with all that is in them, into a new schema."""
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(f"CREATE SCHEMA {quote(schema)}")
    for name in tables:
        connection.exec_driver_sql(f"ALTER TABLE {quote(name)} SET SCHEMA {quote(schema)}")


def lists_word(
    connection: sa.Connection, column: sa.ColumnElement[Any], word: str
) -> sa.ColumnElement[bool]:
    """Condition that a column of JSON text lists a word; False where it is NULL."""
    if is_postgresql(connection):
        listed = sa.func.jsonb_exists(sa.cast(column, postgresql.JSONB), word)
        return sa.func.coalesce(listed, False)
    words = sa.func.json_each(column).table_valued("value")
    return sa.exists(sa.select(sa.literal(1)).select_from(words).where(words.c.value == word))


def lock_devices(connection: sa.Connection, devices: sa.Table, ids: Iterable[int]) -> None:
    """Hold devices until this transaction ends, so that collectors take turns at each.

    They lock in the order of the numbers, so that no two wait for each other. In SQLite a
    writer is alone anyway.
    """
    if is_postgresql(connection):
        connection.execute(_locking(devices), {"ids": listed(connection, ids)}).all()


def hold_schema(connection: sa.Connection) -> None:
    """Keep others from changing the schema until this transaction ends."""
    if is_postgresql(connection):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
    # SQLite's BEGIN IMMEDIATE keeps every other writer away.


def _execute(
    connection: sa.Connection,
    statement: str,
    columns: tuple[str, ...],
    table: sa.Table,
    rows: Sequence[tuple[object, ...]],
) -> None:
    if connection.dialect.name != _POSTGRESQL:
        connection.exec_driver_sql(statement, list(rows))
        return
    lists: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
    for place, name in enumerate(columns):
        if isinstance(table.c[name].type, sa.Float):
            # A list has one type: whole numbers among others would be refused.
            lists[place] = [None if one is None else float(one) for one in lists[place]]
    connection.exec_driver_sql(statement, tuple(lists))


def _type_of_listed(dialect: str) -> sa.types.TypeEngine[Any]:
    return postgresql.ARRAY(sa.BigInteger) if dialect == _POSTGRESQL else sa.Text()


def _is_one_of(dialect: str, column: sa.Column[int], given: sa.BindParameter[Any]) -> Any:  # noqa: ANN401 - as above
    if dialect == _POSTGRESQL:
        return column == sa.any_(given)
    return column.in_(sa.select(sa.func.json_each(given).table_valued("value").c.value))


@functools.cache
def _locking(devices: sa.Table) -> sa.Select[Any]:
    wanted = among(_POSTGRESQL, devices.c.id, "ids")
    return sa.select(devices.c.id).where(wanted).order_by(devices.c.id).with_for_update()


@functools.cache
def _insertion(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(table.c[name].name for name in columns)
    if dialect == _POSTGRESQL:
        return f"INSERT INTO {table.name} ({names}) SELECT * FROM {_lists(table, columns)}"  # noqa: S608 - our own names
    marks = ", ".join("?" for _ in columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - our own names


@functools.cache
def _replacement(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> str:
    key = [column.name for column in table.primary_key]
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    insertion = _insertion(dialect, table, columns)
    return f"{insertion} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"


@functools.cache
def _update(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> str:
    names = [table.c[name].name for name in columns]
    if dialect == _POSTGRESQL:
        changes = ", ".join(f"{name} = given.{name}" for name in names)
        lists = _lists(table, (*columns, "id"))
        return f"UPDATE {table.name} SET {changes} FROM {lists} WHERE {table.name}.id = given.id"  # noqa: S608 - our own names
    changes = ", ".join(f"{name} = ?" for name in names)
    return f"UPDATE {table.name} SET {changes} WHERE id = ?"  # noqa: S608 - our own names


def _lists(table: sa.Table, columns: tuple[str, ...]) -> str:
    """Rows that a list for each column makes in PostgreSQL."""
    types: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    # In binary form: psycopg looks through text of lists for each quote, in Python.
    marks = ", ".join(f"%b::{table.c[name].type.compile(types)}[]" for name in columns)
    return f"unnest({marks}) AS given ({', '.join(columns)})"


@functools.cache
def _deletion(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> str:
    names = [table.c[name].name for name in columns]
    if dialect == _POSTGRESQL:
        named = " AND ".join(f"{table.name}.{name} = given.{name}" for name in names)
        return f"DELETE FROM {table.name} USING {_lists(table, columns)} WHERE {named}"  # noqa: S608 - our own names
    named = " AND ".join(f"{name} = ?" for name in names)
    return f"DELETE FROM {table.name} WHERE {named}"  # noqa: S608 - our own names
