"""Pages of lists: keyset cursors, so that a page costs the same wherever it is and rows that come never shift it."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from mes.domain.refusals import Refusal, refuse

LIMIT_MAX = 1000
LIMIT_DEFAULT = 100

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a list. `next_cursor` asks for what follows; null: this was the end."""

    items: list[Item]
    next_cursor: str | None


def cut(rows: Sequence[Item], limit: int, key: Callable[[Item], tuple[str, ...]]) -> Page[Item]:
    """A page of rows of which one more than `limit` was read; `key` is what the list is ordered by."""
    items = list(rows[:limit])
    return Page(items, _cursor(key(items[-1])) if len(rows) > limit else None)


def after(cursor: str | None, length: int = 1) -> tuple[str | None, ...]:
    """The key that a cursor stands for, or as many times None for the beginning. Refuses what `cut` did not give."""
    if cursor is None:
        return (None,) * length
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=="))
    except (ValueError, binascii.Error, RecursionError):
        raise _unknown() from None
    if not isinstance(key, list) or len(key) != length or not all(_storable(part) for part in key):
        raise _unknown()
    return tuple(key)


def after_id(cursor: str | None) -> str | None:
    """The id that a cursor of a list ordered by id stands for."""
    (key,) = after(cursor)
    try:
        return str(UUID(key)) if key is not None else None
    except ValueError:
        raise _unknown() from None


def _cursor(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _storable(part: object) -> bool:
    return isinstance(part, str) and "\0" not in part and part.isprintable()


def _unknown() -> Refusal:
    return refuse("invalid", "This is not a cursor that a list gave.", field="cursor")
