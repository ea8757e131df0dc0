"""Why a message can't be read, said so that whoever wrote the station's program can mend it.

Only messages that already failed come here, so it may be slow: it reads the bytes again, leniently, to find the field.
"""

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from msgspec import Struct, ValidationError
from msgspec.structs import fields

from mes.domain.identity import check_name, check_path, is_placeholder
from mes.domain.refusals import Reason, reason
from mes.formats.messages.values import NAME_RULE, Wrong

_PLACE = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<path>.*)`$")
_MISSING = re.compile(r"^Object missing required field `(.*)`$")
_TOKEN = re.compile(r"[^.\[\]]+|\[\d+\]|\[\.\.\.\]")
_TIME_RULE = "write a time as RFC 3339 with its zone, such as 2026-11-22T10:00:00Z"
_LEAP_RULE = "a leap second can't be read; write it as the end of second 59, such as 2016-12-31T23:59:59.999999Z"
_INTEGER_RULE = (
    "a whole number must fit 64 bits with its sign; write a greater one with an exponent, such as 1.8e19, or as a text"
)
_LEAP_SECOND = re.compile(r"[T ]\d\d:\d\d:60", re.IGNORECASE)
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SHOWN = 64


class Mend(NamedTuple):
    """The field, as a path such as `data.measurements[3].value` (empty: the whole message), and what is wrong there."""

    field: str
    text: str
    code: str = "unreadable"

    def as_reason(self) -> Reason:
        return reason(self.code, f"{self.field or 'the message'}: {self.text}.", field=self.field)


def mend(error: Exception, body: bytes, root: type[Struct], at: str = "") -> Mend:
    """What is wrong with the bytes that a decoder of `root` refused; `at` is where in the message they stand.

    Never raises: that it can't be said where the fault lies must not cost the message its fate.
    """
    try:
        return _mend(error, body, root, at)
    except Exception:
        return Mend(at, f"it can't be read ({_first_line(error)})")


def _mend(error: Exception, body: bytes, root: type[Struct], at: str) -> Mend:
    if isinstance(error, RecursionError):
        return Mend(at, "it is nested too deeply")
    if isinstance(error, ValidationError):
        return _invalid(error, body, root, at)
    if not body.strip():
        return Mend(at, "it is empty")
    if body.startswith(_BYTE_ORDER_MARKS):
        return Mend(at, "it begins with a byte order mark; send UTF-8 without one")
    known = lenient(body)
    hidden = next(unstorable(known, at), None) if known is not None else None
    return hidden or Mend(at, f"it is not JSON in UTF-8 ({_first_line(error)})")


def lenient(body: bytes) -> Any:
    """The bytes as Python's own decoder reads them, NaN and lone surrogates included; None if not even that."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def unstorable(value: Any, at: str = "") -> Iterator[Mend]:
    """Every text or number in a decoded value that a database or JSON can't hold."""
    rest = [(at, value)]
    while rest:
        path, one = rest.pop()
        if isinstance(one, dict):
            rest += [(f"{path}.{key}" if path else key, inner) for key, inner in one.items()]
            rest += [(path, key) for key in one]
        elif isinstance(one, list):
            rest += [(f"{path}[{index}]", inner) for index, inner in enumerate(one)]
        elif isinstance(one, str) and "\0" in one:
            yield Mend(path, "a text can't hold NUL (\\u0000)")
        elif isinstance(one, str) and not is_unicode(one):
            yield Mend(path, "a text can't hold half a surrogate pair")
        elif isinstance(one, float) and not math.isfinite(one):
            yield Mend(path, "JSON has no NaN or Infinity, and numbers must fit a double; leave the value out")


def _invalid(error: ValidationError, body: bytes, root: type[Struct], at: str) -> Mend:
    told = str(error)
    place = _PLACE.search(told)
    path = place["path"] if place else ""
    told = told[: place.start()] if place else told
    cause = error.__cause__
    if isinstance(cause, Wrong):
        return Mend(_join(at, path, cause.field), cause.text, cause.code)
    if missing := _MISSING.match(told):
        return Mend(_join(at, path, missing[1]), "it is missing")
    known = lenient(body)
    if "out of range" in told and (found := next(unstorable(known, at), None)):
        return found  # it knows the name of every key, also where the decoder says only [...]
    value = _value_at(known, _tokens(path))
    if isinstance(value, str) and path.rpartition(".")[2] == "serial" and is_placeholder(value):
        return Mend(_join(at, path), f"{value[:_SHOWN]!r} is what unprogrammed hardware reports", "placeholder_serial")
    what = _sentence(told, root, path, value)
    return Mend(_join(at, path), f"a key of it: {what}" if place and place["key"] else what)


def _sentence(told: str, root: type[Struct], path: str, value: Any) -> str:
    if "datetime" in told:
        return _LEAP_RULE if isinstance(value, str) and _LEAP_SECOND.search(value) else _TIME_RULE
    if "`int` <= 9223372036854775807" in told or "`int` >= -9223372036854775808" in told:
        return _INTEGER_RULE
    if "regex" in told and isinstance(value, str):
        check = check_path if path.endswith("position") else check_name
        return f"it {check(value) or f'must be {NAME_RULE}'}"
    if told.startswith("Invalid enum value"):
        return f"it must be one of {', '.join(_words(root, _tokens(path)))}"
    return told[:1].lower() + told[1:]


def _words(root: Any, tokens: list[str]) -> tuple[str, ...]:
    """The words that the type at a path allows."""
    kind = root
    for token in tokens:
        if token.startswith("["):
            kind = next(arg for arg in reversed(get_args(_bare(kind))) if arg is not Ellipsis)
        else:
            kind = next(one.type for one in fields(_bare(kind)) if one.encode_name == token)
    return get_args(_bare(kind))


def _bare(kind: Any) -> Any:
    """A type without its limits and without `| None`."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) is Literal or not get_args(kind) or type(None) not in get_args(kind):
        return kind
    return _bare(next(arg for arg in get_args(kind) if arg is not type(None)))


def _value_at(value: Any, tokens: list[str]) -> Any:
    """What stands at a path; None where nothing does, as where a key came twice: we see the last, msgspec each."""
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and token.startswith("[") and token != "[...]":
            at = int(token[1:-1])
            value = value[at] if at < len(value) else None
        else:
            return None
    return value


def _tokens(path: str) -> list[str]:
    return _TOKEN.findall(path)


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part).replace(".[", "[")


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
