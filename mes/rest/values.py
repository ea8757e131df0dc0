"""What a single value in a request may be, said once for checking and for the OpenAPI document."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from mes.domain.identity import check_name, is_placeholder
from mes.queries.pages import LIMIT_DEFAULT, LIMIT_MAX

YEARS = range(2000, 2201)
QUANTITY_MAX = Decimal(10) ** 12
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_NAME_PATTERN = "^[!$&-*,-.0-~]{1,64}$"


class Body(BaseModel):
    """A request's body: unknown fields are errors, and a number is not a text that looks like one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _name(text: str) -> str:
    if problem := check_name(text):
        raise ValueError(f"it {problem}")
    return text


def _serial(text: str) -> str:
    if is_placeholder(text):
        raise ValueError("this is what unprogrammed hardware reports, not a serial")
    return _name(text)


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("write a time as RFC 3339 with its zone, such as 2026-11-22T10:00:00Z")
    parsed = datetime.fromisoformat(value.upper())
    _check_year(parsed)
    return parsed.astimezone(UTC)


def _day(value: Any) -> date:
    if not isinstance(value, str) or not (_DAY.fullmatch(value) or _TIME.fullmatch(value)):
        raise ValueError("write a day as YYYY-MM-DD")
    parsed = date.fromisoformat(value[:10])  # of a time, the day as it is where it was written
    _check_year(parsed)
    return parsed


def _check_year(value: date) -> None:
    if value.year not in YEARS:
        raise ValueError(f"the year must be {YEARS.start}–{YEARS.stop - 1}")


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("write a time of day as HH:MM")
    return text


def _quantity(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a quantity is a number")
    quantity = Decimal(repr(value))
    if not 0 < quantity <= QUANTITY_MAX:
        raise ValueError(f"a quantity is more than 0 and at most {QUANTITY_MAX}")
    if quantity != round(quantity, 6):
        raise ValueError("a quantity has at most 6 decimals")
    return quantity


_NAME_SCHEMA = WithJsonSchema({"type": "string", "pattern": _NAME_PATTERN, "minLength": 1, "maxLength": 64})

Name: TypeAlias = Annotated[str, AfterValidator(_name), _NAME_SCHEMA]
"""A part number, lot, order number, line or station: 1-64 printable ASCII characters without blank and / # + % " ."""
Serial: TypeAlias = Annotated[str, AfterValidator(_serial), _NAME_SCHEMA]
"""A name that is not what unprogrammed hardware reports."""
Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=4000)]
ShortText: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]
Label: TypeAlias = Annotated[str, Field(min_length=1, max_length=255)]
Moment: TypeAlias = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
Day: TypeAlias = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Clock: TypeAlias = Annotated[
    str, AfterValidator(_clock), WithJsonSchema({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$"})
]
Quantity: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_quantity),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": int(QUANTITY_MAX)}),
]
_UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
Id: TypeAlias = Annotated[str, Path(pattern=_UUID, description="An id as an earlier answer gave it.")]

Limit: TypeAlias = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Most items of one answer.")]
Cursor: TypeAlias = Annotated[
    str | None,
    Query(
        max_length=2000,
        pattern="^[A-Za-z0-9_-]+$",
        description="`next_cursor` of the answer before; absent: from the start.",
    ),
]
LIMIT = LIMIT_DEFAULT
