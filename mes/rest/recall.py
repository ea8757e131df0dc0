"""Recall over REST: which top units hold, or held, a lot, a part number or a unit."""

import csv
import io
from collections.abc import Iterable

from fastapi import Request, Response

from mes.db.lookup import find_unit
from mes.queries.pages import Page
from mes.queries.where_used import CSV_COLUMNS, Sought, Use, When, where_used
from mes.rest.door import database_of, now, router
from mes.rest.errors import Problem
from mes.rest.units import AsOf, Ever, KnownAt
from mes.rest.values import LIMIT, Cursor, Limit, Name

recall = router("/where-used", "units")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@recall.get("", response_model=Page[Use], responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}})
async def get_where_used(
    request: Request,
    lot: Name | None = None,
    part: Name | None = None,
    serial: Name | None = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    ever: Ever = False,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[Use] | Response:
    """Every top unit that held it then, or ever. With `Accept: text/csv` all of them at once, as a table."""
    when = When(now(), as_of, known_at, ever)
    as_csv = "text/csv" in request.headers.get("accept", "")
    if lot is None and part is None and serial is None:
        raise Problem("invalid", "Name a lot, a part or a serial.", fields=[_missing(name) for name in _SOUGHT])
    if lot is not None and serial is not None:
        raise Problem("invalid", "Name a lot or a serial, not both.", fields=[_missing("serial", "leave it out")])
    async with database_of(request).reading() as connection:
        sought = Sought(lot=lot, part=part)
        if serial is not None:
            sought = Sought(unit_id=(await find_unit(connection, serial, part)).id)
        found = await where_used(connection, sought, when, limit=None if as_csv else limit, cursor=cursor)
    return Response(_table(found.items), media_type="text/csv") if as_csv else found


_SOUGHT = ("lot", "part", "serial")


def _missing(field: str, text: str = "give one of lot, part and serial") -> dict[str, str]:
    return {"field": field, "in": "query", "code": "invalid", "text": text}


def _table(uses: Iterable[Use]) -> str:
    """RFC 4180, in which no cell can be taken for a formula."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for use in uses:
        writer.writerow([_cell(getattr(use, column)) for column in CSV_COLUMNS])
    return table.getvalue()


def _cell(value: object) -> object:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
