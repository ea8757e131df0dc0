"""COPY in PostgreSQL's binary format, packed by hand for the tables that every message writes to.

The driver's own packing looks every value's type up again; for rows like ours it costs more than all the rules. Each
function here packs one value of one type; a row is the join of its values behind the number of its columns. Columns
and values must agree: PostgreSQL refuses a row that does not fit, and would take a double for a bigint.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.session import driver

NULL: Final = b"\xff\xff\xff\xff"
TRUE: Final = b"\x00\x00\x00\x01\x01"
FALSE: Final = b"\x00\x00\x00\x01\x00"
_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FLOAT8, _TEXT = 701, 25
_ELEMENT: Final = 12  # bytes of a double in an array
_long = Struct(">iq").pack
_double = Struct(">id").pack
_whole = Struct(">ii").pack
size: Final = Struct(">i").pack
"""How many bytes follow, before each value."""
row_head: Final = Struct(">h").pack
"""How many values a row has, before them."""


def text(value: str | None) -> bytes:
    """A text."""
    if value is None:
        return NULL
    raw = value.encode()
    return size(len(raw)) + raw


word = lru_cache(10_000)(text)
"""A text that is written time and again, as names of stations and steps are: packed once."""


def binary(value: bytes | None) -> bytes:
    """A bytea, or a text that is encoded already."""
    return NULL if value is None else size(len(value)) + value


def uuid(value: str | None) -> bytes:
    """A uuid, given as text."""
    return NULL if value is None else b"\x00\x00\x00\x10" + bytes.fromhex(value.replace("-", ""))


known_uuid = lru_cache(10_000)(uuid)
"""A uuid that is written several times, as those of units and products are: packed once."""


def moment(value: datetime | None) -> bytes:
    """A timestamptz."""
    return NULL if value is None else _long(8, (value - _EPOCH) // _MICROSECOND)


def integer(value: int | None) -> bytes:
    """An int4."""
    return NULL if value is None else _whole(4, value)


def double(value: float | None) -> bytes:
    """A float8."""
    return NULL if value is None else _double(8, value)


def truth(value: bool) -> bytes:
    """A boolean."""
    return TRUE if value else FALSE


def doubles(values: Sequence[float | None]) -> bytes:
    """A float8[]."""
    if None in values:
        return _array(_FLOAT8, [double(one) for one in values])
    body = bytearray(_spaced_doubles(len(values))(*values))
    body[3::_ELEMENT] = b"\x08" * len(values)
    return _doubles_head(len(values)) + body


def doubles_of_many(several: Sequence[Sequence[float | None]]) -> Iterator[bytes]:
    """A float8[] for each of many sequences: those without a gap in a dozen passes over all their values."""
    raw = [_raw_doubles(values) for values in several]
    elements, place = _elements(b"".join(raw)), 0
    for values, known in zip(several, raw, strict=True):
        if known or not values:
            stop = place + len(values) * _ELEMENT
            yield _doubles_head(len(values)) + elements[place:stop]
            place = stop
        else:
            yield doubles(values)


def _raw_doubles(values: Sequence[float | None]) -> bytes:
    """The doubles one after another; nothing where there are gaps."""
    try:
        return _plain_doubles(len(values))(*values)
    except struct.error:
        return b""


def _elements(raw: bytes) -> memoryview:
    """Doubles, one after another, each behind its length."""
    count = len(raw) // 8
    room = bytearray(count * _ELEMENT)
    room[3::_ELEMENT] = b"\x08" * count
    for byte in range(8):
        room[4 + byte :: _ELEMENT] = raw[byte::8]
    return memoryview(room)


@lru_cache(10_000)
def words(*values: str | None) -> bytes:
    """Texts, one after another, that are written time and again together: packed once."""
    return b"".join([text(one) for one in values])


@lru_cache(1000)
def texts(values: tuple[str, ...]) -> bytes:
    """A text[]. Those that are written time and again, verdicts and deviations, are packed once."""
    return _array(_TEXT, [text(one) for one in values])


@lru_cache(1000)
def _spaced_doubles(count: int) -> Callable[..., bytes]:
    """Packs that many doubles, each behind room for its length."""
    return Struct(">" + "4xd" * count).pack


@lru_cache(1000)
def _plain_doubles(count: int) -> Callable[..., bytes]:
    """Packs that many doubles, one after another."""
    return Struct(f">{count}d").pack


@lru_cache(1000)
def _doubles_head(count: int) -> bytes:
    return size(count * _ELEMENT + 20) + _array_head(_FLOAT8, count, 0)


def _array(element: int, items: Sequence[bytes]) -> bytes:
    body = b"".join(items)
    return size(len(body) + 20) + _array_head(element, len(items), int(NULL in items)) + body


@lru_cache(1000)
def _array_head(element: int, count: int, has_null: int) -> bytes:
    """One dimension from 1 on. An array of nothing is written so, too: PostgreSQL reads it as an empty one."""
    return Struct(">iiiii").pack(1, has_null, element, count, 1)


def row(*values: bytes) -> bytes:
    """One row of packed values."""
    return row_head(len(values)) + b"".join(values)


async def copy_in(connection: AsyncConnection, table: str, columns: Sequence[str], rows: Iterable[bytes]) -> None:
    """COPY packed rows in, as part of the transaction."""
    data = memoryview(b"".join([_HEADER, *rows, _TRAILER]))  # plain bytes would be taken for a path
    await (await driver(connection)).copy_to_table(table, source=data, columns=columns, format="binary")
