"""Reading a document's fields with every mistake noted at its place, none of them fatal to the rest.

A `Fields` wraps one mapping. Each reader returns the field's value, or a stand-in after it has noted a problem; `done`
notes the fields that nobody read. Values in messages are shown short: documents come from outside.
"""

import math
from collections.abc import Iterator
from typing import Any

from mes.domain.product_check import Problem

PROBLEMS_MAX = 200
TEXT_LENGTH_MAX = 200


class Problems(list[Problem]):
    """Problems in the order found; the first `PROBLEMS_MAX` of them."""

    def note(self, place: str, text: str) -> None:
        """Note one problem."""
        if len(self) < PROBLEMS_MAX:
            self.append(Problem(place, text))


def show(value: Any) -> str:
    """A value in a message, short whatever it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"{value[:60]!r}{'…' if len(value) > 60 else ''}"
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a huge number"
    if isinstance(value, int | float):
        return repr(value)
    return "an object" if isinstance(value, dict) else "a list"


class Fields:
    """The fields of one object in a document."""

    def __init__(self, value: Any, place: str, problems: Problems) -> None:
        self.place = place
        self.problems = problems
        self._read: set[str] = set()
        self._values: dict[Any, Any] = value if isinstance(value, dict) else {}
        self.is_object = isinstance(value, dict)
        if not self.is_object:
            problems.note(place or "document", f"is {show(value)}; give an object with named fields")

    def has(self, field: str) -> bool:
        """Whether a field is given at all, be it null."""
        return field in self._values

    def note(self, field: str, text: str) -> None:
        """Note a problem of a field."""
        self.problems.note(self._at(field), text)

    def required(self, field: str) -> str:
        """A text that must be there."""
        if self.is_object and not self.has(field):
            self._read.add(field)
            self.note(field, "is missing; give a text")
            return ""
        if self._values.get(field, "") is None:
            self._read.add(field)
            self.note(field, "is null; give a text")
            return ""
        return self.text(field) or ""

    def text(self, field: str, default: str | None = None) -> str | None:
        """A text; absent or null gives the default."""
        value = self._take(field)
        return default if value is None else text(value, self._at(field), self.problems)

    def number(self, field: str) -> float | None:
        """A finite number as double; absent or null gives None."""
        value = self._take(field)
        return None if value is None else number(value, self._at(field), self.problems)

    def whole(self, field: str) -> int | None:
        """A whole number that fits 32 bits; absent or null gives None."""
        value = self._take(field)
        if value is None or (type(value) is int and abs(value) < 2**31):
            return value
        if type(value) is float and value.is_integer() and abs(value) < 2**31:
            return int(value)
        self.note(field, f"is {show(value)}; give a whole number")
        return None

    def flag(self, field: str) -> bool:
        """True or false; absent or null is false."""
        value = self._take(field)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.note(field, f"is {show(value)}; use true or false")
        return False

    def raw(self, field: str) -> Any:
        """A field of any type, for the caller to check; absent or null gives None."""
        return self._take(field)

    def items(self, field: str, count_max: int) -> Iterator[tuple[Any, str]]:
        """The items of a list, each with its place; an absent list is empty."""
        value = self._take(field)
        if not isinstance(value, list | tuple):
            if self.has(field):
                self.note(field, f"is {show(value)}; give a list, or leave it out")
            return
        if len(value) > count_max:
            self.note(field, f"has {len(value)} items; at most {count_max} are allowed")
            return
        for index, item in enumerate(value):
            yield item, f"{self._at(field)}[{index}]"

    def objects(self, field: str, count_max: int) -> Iterator["Fields"]:
        """The objects of a list; items that are none are noted and skipped."""
        for item, place in self.items(field, count_max):
            fields = Fields(item, place, self.problems)
            if fields.is_object:
                yield fields

    def texts(self, field: str, count_max: int) -> tuple[str, ...]:
        """The texts of a list."""
        found = (text(item, place, self.problems) for item, place in self.items(field, count_max))
        return tuple(one for one in found if one is not None)

    def done(self, known: str) -> None:
        """Note every field that was not read; `known` lists those that there are."""
        for field in self._values:
            if field not in self._read:
                self.problems.note(self._at(repr(str(field)[:60])[1:-1]), f"is no field here; known are {known}")

    def _take(self, field: str) -> Any:
        self._read.add(field)
        return self._values.get(field)

    def _at(self, field: str) -> str:
        return f"{self.place}.{field}" if self.place else field


def text(value: Any, place: str, problems: Problems) -> str | None:
    """A printable text of bounded length, or None with a problem noted."""
    if not isinstance(value, str):
        hint = "; write it in quotes" if isinstance(value, int | float) else ""
        problems.note(place, f"is {show(value)}; give a text{hint}")
    elif len(value) > TEXT_LENGTH_MAX:
        problems.note(place, f"has {len(value)} characters; at most {TEXT_LENGTH_MAX} are allowed")
    elif not value.isprintable():
        problems.note(place, f"is {show(value)}; use printable characters on one line")
    else:
        return value
    return None


def number(value: Any, place: str, problems: Problems) -> float | None:
    """A finite number as double, or None with a problem noted; a whole number must fit a double exactly."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.note(place, f"is {show(value)}; give a number")
    elif isinstance(value, float) and not math.isfinite(value):
        problems.note(place, f"is {value}; give a finite number")
    elif isinstance(value, int) and abs(value) > 2**53:
        problems.note(place, f"is {show(value)}; a number beyond 2^53 is not exact, use a larger unit")
    else:
        return float(value)
    return None
