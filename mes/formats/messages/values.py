"""What a value on the wire may be: names, texts, times, quantities, and how a unit is named.

Limits are part of the types, so that msgspec refuses what breaks them while it decodes. What a type can't say is
checked by the functions here, which raise `Wrong` with the field and the code of the reason.
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from mes.domain.identity import check_name, is_name, is_placeholder

NAME_RULE: Final = '1–64 printable ASCII characters without blank, / # + % "'
PROGRAMMED: Final = "not what unprogrammed hardware reports, such as N/A, 0000 or xxxx"
SERIAL_RULE: Final = f"{NAME_RULE}; {PROGRAMMED}"
_CHARACTER: Final = "[!$&-*,-.0-~]"
_END: Final = r"(?![\s\S])"  # unlike `$`, it means the very end in Python and in JSON Schema alike
NAME_PATTERN: Final = f"^{_CHARACTER}{{1,64}}{_END}"
_PATH: Final = f"^{_CHARACTER}{{1,64}}(/{_CHARACTER}{{1,64}}){{0,15}}{_END}"

Name: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN, description=NAME_RULE)]
"""A lot, part number or station."""
Serial: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN, description=SERIAL_RULE)]
"""A serial. That it is no placeholder is checked by `check_serial`, for a pattern can't say it."""
Path: TypeAlias = Annotated[str, Meta(pattern=_PATH, max_length=512, description=f"{NAME_RULE}; a path is joined by /")]
"""A position, or positions from parent to child joined with `/`."""
Text64: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Text255: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
FreeText: TypeAlias = Annotated[str, Meta(max_length=4000)]

YEARS: Final = range(1970, 2201)
"""A clock that was never set begins in 1970: what such a station says is as of its arrival."""
TIME_RULE: Final = (
    f"RFC 3339 with its zone, such as 2026-11-22T10:00:00Z; the years {YEARS.start}–{YEARS.stop - 1}; no leap second"
)
Time: TypeAlias = Annotated[datetime, Meta(tz=True, description=TIME_RULE)]
Purpose: TypeAlias = Literal["production", "golden", "gauge", "engineering"]
"""What a run is for: only production moves a unit."""

Integer: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_NUMBER_RULE: Final = (
    "Whole numbers fit 64 bits with their sign. A schema can't tell 1e20 from 100000000000000000000: "
    "with a point or an exponent greater ones are read too, as doubles."
)
_Double: TypeAlias = Annotated[
    float, Meta(description=_NUMBER_RULE, extra_json_schema={"minimum": -(2**63), "exclusiveMaximum": 2**63})
]
Scalar: TypeAlias = Integer | _Double | bool | FreeText | None
Value: TypeAlias = Scalar | Annotated[tuple[Scalar, ...], Meta(max_length=100_000)]
"""A measured value: a number, truth value, text, null, or a list of those."""

QUANTITY_MAX: Final = Decimal(10) ** 12
_MILLIONTH: Final = Decimal("0.000001")


class Wrong(ValueError):  # noqa: N818 - it is the value that is wrong, not us
    """A value that can't be what it says. `field` is relative to the struct that holds it."""

    def __init__(self, text: str, field: str = "", code: str = "unreadable") -> None:
        super().__init__(text)
        self.text = text
        self.field = field
        self.code = code


class UnitRef:
    """How a message names a unit: a serial, with the part where a serial alone is ambiguous.

    On the wire a text, or an object {part, serial}. Equal and hashable by value.
    """

    __slots__ = ("part", "serial")

    def __init__(self, serial: str, part: str | None = None) -> None:
        self.serial = serial
        self.part = part

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnitRef) and (self.serial, self.part) == (other.serial, other.part)

    def __hash__(self) -> int:
        return hash((self.serial, self.part))

    def __repr__(self) -> str:
        return f"UnitRef({self.serial!r}, {self.part!r})"


def unit_ref(wire: Any) -> UnitRef:
    """A unit's reference as it came: `"SN1"` or `{"part": "P1", "serial": "SN1"}`."""
    if isinstance(wire, str):
        return UnitRef(_known_serial(wire))
    if isinstance(wire, dict):
        return UnitRef(check_serial(wire.get("serial"), "serial"), _check_name(wire.get("part"), "part"))
    raise Wrong("a unit is a serial, or an object with part and serial")


def check_serial(serial: Any, field: str = "") -> str:
    """The serial, if it is one and not what unprogrammed hardware reports. Raises `Wrong`."""
    if isinstance(serial, str):
        check_programmed(serial, field)
    return _check_name(serial, field)


_known_serial = lru_cache(10_000)(check_serial)
"""The same, for serials that stations name time and again."""


def check_programmed(text: str, field: str) -> None:
    """Raises `Wrong` for what unprogrammed hardware reports as a serial, MAC or UUID."""
    if is_placeholder(text):
        raise Wrong(f"{text[:64]!r} is what unprogrammed hardware reports", field, "placeholder_serial")


def _check_name(name: Any, field: str) -> str:
    if not isinstance(name, str):
        raise Wrong(f"it must be a text of {NAME_RULE}", field)
    if not is_name(name):
        raise Wrong(f"it {check_name(name)}", field)
    return name


def in_utc(struct: Struct, *fields: str) -> None:
    """Moves times of a frozen struct that was just made to UTC. Raises `Wrong` for one no floor has seen."""
    for field in fields:
        at: datetime | None = getattr(struct, field)
        if at is None:
            continue
        if at.tzinfo is None:
            raise Wrong("a time needs a zone", field)
        if at.year not in YEARS:  # also keeps the conversion below from leaving the calendar
            raise Wrong(f"the year must be {YEARS.start}–{YEARS.stop - 1}", field)
        if at.tzinfo is not UTC:
            force_setattr(struct, field, at.astimezone(UTC))


def check_quantity(quantity: Decimal | None, field: str = "quantity") -> None:
    """Raises `Wrong` unless it is more than 0, at most 10^12 and exact in millionths."""
    if quantity is None:
        return
    if not quantity.is_finite() or not 0 < quantity <= QUANTITY_MAX:
        raise Wrong(f"a quantity is more than 0 and at most {QUANTITY_MAX}", field)
    if quantity.quantize(_MILLIONTH) != quantity:
        raise Wrong("a quantity has at most 6 decimals", field)
