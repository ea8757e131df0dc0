"""What is packed by hand comes out of PostgreSQL as it went in."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sqlalchemy import text

from mes.db import copying
from mes.db.session import Database

MANY: list[list[float | None]] = [[1.5, -0.0, math.inf], [None, 2.5], [], [0.1], [None]]
PACKED: list[tuple[str, bytes, Any]] = [
    ("text", copying.text(None), None),
    ("text", copying.text(""), ""),
    ("text", copying.text("Prüfung 试\U0001f600"), "Prüfung 试\U0001f600"),
    ("bytea", copying.binary(b"\x00\xff"), b"\x00\xff"),
    ("uuid", copying.uuid("019a0000-1234-7000-8000-00000000abcd"), "019a0000-1234-7000-8000-00000000abcd"),
    ("timestamptz", copying.moment(None), None),
    ("timestamptz", copying.moment(datetime(1970, 1, 1, tzinfo=UTC)), datetime(1970, 1, 1, tzinfo=UTC)),
    (
        "timestamptz",
        copying.moment(datetime(2026, 11, 22, 1, 2, 3, 456789, timezone(timedelta(hours=-5)))),
        datetime(2026, 11, 22, 6, 2, 3, 456789, UTC),
    ),
    ("int4", copying.integer(-(2**31)), -(2**31)),
    ("bool", copying.truth(True), True),
    ("bool", copying.truth(False), False),
    ("float8[]", copying.doubles([]), []),
    ("float8[]", copying.doubles([0.1, -0.0, 5e-324, math.inf]), [0.1, -0.0, 5e-324, math.inf]),
    ("float8[]", copying.doubles([None, 1.5, None]), [None, 1.5, None]),
    *[("float8[]", packed, one) for packed, one in zip(copying.doubles_of_many(MANY), MANY, strict=True)],
    ("text[]", copying.texts(()), []),
    ("text[]", copying.texts(("pass", "ü")), ["pass", "ü"]),
]


async def test_a_value_comes_out_as_it_went_in(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    for number_of, (kind, packed, value) in enumerate(PACKED):
        table = f"packed_{number_of}"
        async with database.transaction() as connection:
            await connection.execute(text(f"CREATE TABLE {table} (number int, value {kind})"))
            rows = [copying.row(copying.integer(number), packed) for number in range(3)]
            await copying.copy_in(connection, table, ("number", "value"), rows)
            found = (await connection.execute(text(f"SELECT value FROM {table} ORDER BY number"))).scalars().all()
            assert [str(one) if kind == "uuid" else one for one in found] == [value] * 3, kind
    await database.close()
