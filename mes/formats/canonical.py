"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that a digest of it means something.

msgspec writes sorted JSON that is already canonical for almost every payload: what differs is the look of floats, the
order of keys beyond U+FFFF (UTF-16 code units decide there), and NaN, which it writes as null. Payloads that hold
anything but texts, truths and small whole numbers take the slower, exact way.
"""

import hashlib
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(order="sorted").encode
_DOUBLE_EXACT_MAX = 2**53 - 1  # beyond it readers that keep numbers as doubles would read another number

_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")


def canonical(value: Any) -> bytes:
    """The canonical JSON of builtin values, Structs, UUIDs, datetimes and Decimals (the last three as text).

    Raises ValueError for NaN, infinities, whole numbers that a double can't hold exactly, lone surrogates, values
    nested too deep and types that JSON has no form for.
    """
    try:
        if not _is_simple(value):
            return _exact(value).encode()
        text = _encode(value)
        if not text.isascii() and _BEYOND_BMP.search(text):
            return _exact(value).encode()
    except (TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"has no canonical JSON: {error}") from error
    return text


def _is_simple(value: Any) -> bool:
    """Whether there is nothing in it but texts, truths, nothing and whole numbers that a double holds exactly."""
    waiting: list[Any] = [[value]]
    for one in waiting:  # it grows on the way
        for inner in one.values() if type(one) is dict else one:
            kind = type(inner)
            if kind is str:
                continue
            if kind is dict or kind is list or kind is tuple:
                waiting.append(inner)
            elif kind is int:
                if not -_DOUBLE_EXACT_MAX <= inner <= _DOUBLE_EXACT_MAX:
                    return False
            elif inner is not None and kind is not bool:
                return False
    return True


def sha256(content: bytes) -> str:
    """The SHA-256 of bytes in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON."""
    return sha256(canonical(value))


def _exact(value: Any) -> str:
    writer = _WRITERS.get(type(value))
    return writer(value) if writer else _other(value)


def _text(value: str) -> str:
    return _encode(value).decode()


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _whole(value: int) -> str:
    if abs(value) > _DOUBLE_EXACT_MAX:
        raise ValueError(f"{value} is a whole number that a double can't hold exactly; write it as text")
    return str(value)


def _number(value: float) -> str:
    """A double as ECMAScript prints it: the shortest digits that read back the same, in its choice of notation."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no JSON")
    digits = repr(value)
    if digits.endswith(".0"):
        return digits[:-2] if value else "0"  # minus zero too
    return digits if "e" not in digits else _scientific(digits)


def _scientific(digits: str) -> str:
    """Python writes an exponent below 1e-4 and from 1e16 on, ECMAScript below 1e-6 and from 1e21 on."""
    mantissa, _, tail = digits.partition("e")
    sign, mantissa, exponent = "-" if mantissa[0] == "-" else "", mantissa.lstrip("-"), int(tail)
    figures = mantissa.replace(".", "")
    if 0 <= exponent < 21:
        return sign + figures.ljust(exponent + 1, "0")
    if -7 < exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{figures}"
    return f"{sign}{mantissa.removesuffix('.0')}e{exponent:+d}"


def _list(value: list[Any] | tuple[Any, ...]) -> str:
    return f"[{','.join(map(_exact, value))}]"


def _object(value: dict[Any, Any]) -> str:
    named = [(key if type(key) is str else _key(key), one) for key, one in value.items()]
    if not all(key.isascii() for key, _ in named):
        named.sort(key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
    else:
        named.sort(key=lambda item: item[0])
    return "{" + ",".join([f"{_text(key)}:{_exact(one)}" for key, one in named]) + "}"


def _key(key: Any) -> str:
    name = msgspec.to_builtins(key, str_keys=True)
    return name if isinstance(name, str) else str(name)


def _other(value: Any) -> str:
    """A Struct, an UUID, a subclass of a builtin …: what msgspec makes of it, or an error."""
    plain = msgspec.to_builtins(value, str_keys=True)
    if type(plain) not in _WRITERS:
        raise ValueError(f"has no canonical JSON: a {type(value).__name__}")
    return _exact(plain)


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _text,
    bool: _truth,
    int: _whole,
    float: _number,
    type(None): lambda _: "null",
    list: _list,
    tuple: _list,
    dict: _object,
}
