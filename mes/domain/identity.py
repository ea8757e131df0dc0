"""What may be printed on a part: names, the texts that only look like names, and patterns that make serials.

A *name* is what the floor scans: a serial, lot, part number, position or station name. Unprogrammed hardware reports
texts that look like serials and are shared by thousands of parts; those are *placeholders* and identify nothing.
"""

import re

NAME_LENGTH_MAX = 64
_NOT_ALLOWED = '/#+%"'
_NAME = re.compile(r"[!$&-*,\-.0-~]{1,64}")
_SEGMENTS_MAX = 16


def is_name(text: str) -> bool:
    """Whether a text is a name: 1-64 printable ASCII characters without blank and without / # + % " ."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str) -> str | None:
    """What keeps a text from being a name, with how to mend it; None when it is one."""
    if is_name(text):
        return None
    if not text:
        return "is empty; give 1 to 64 characters"
    if len(text) > NAME_LENGTH_MAX:
        return f"has {len(text)} characters; at most {NAME_LENGTH_MAX} are allowed"
    wrong = next(letter for letter in text if not is_name(letter))
    spelled = "a blank" if wrong == " " else repr(wrong)
    return f"contains {spelled}; use printable ASCII without blank and without {' '.join(_NOT_ALLOWED)}"


def check_path(text: str) -> str | None:
    """What keeps a text from being a path of positions (names joined with /); None when it is one."""
    segments = text.split("/")
    if len(segments) > _SEGMENTS_MAX:
        return f"is {len(segments)} positions deep; at most {_SEGMENTS_MAX} are allowed"
    return next((problem for problem in map(check_name, segments) if problem), None)


# Texts that firmware and makers leave where a serial should be, compared without case. Their sources: a GB300 tray's
# Redfish inventory and the usual defaults of SMBIOS tables.
_PLACEHOLDER_WORDS = frozenset(
    {
        "",
        "na",
        "n/a",
        "n.a.",
        "none",
        "null",
        "nil",
        "tbd",
        "todo",
        "unknown",
        "undefined",
        "unspecified",
        "invalid",
        "empty",
        "default",
        "default string",
        "to be filled by o.e.m.",
        "to be filled by oem",
        "not specified",
        "not available",
        "not applicable",
        "not provided",
        "not set",
        "no serial",
        "no serial number",
        "serial number",
        "system serial number",
        "chassis serial number",
        "base board serial number",
        "board serial number",
        "part number",
        "0x",
    }
)
_PLACEHOLDER_FORMS = re.compile(
    r"\$.*"  # a template variable never filled in: $CHASSIS_SERIAL_NUMBER
    r"|(0x)?0+"  # memory never programmed
    r"|(0x)?f{4,}|0xf+"  # flash never programmed
    r"|\d*(wwyy|yyww)\d*"  # a date-code template: 999WWYY123456
    r"|x{4,}|\?+|-+|\.+|\*+|_+",
    re.IGNORECASE,
)
_SEPARATORS = str.maketrans("", "", "-:. ")


def is_placeholder(text: str) -> bool:
    """Whether a text is what unprogrammed hardware reports, so that it must never match or satisfy a scan."""
    bare = text.strip().lower()
    if bare in _PLACEHOLDER_WORDS or _PLACEHOLDER_FORMS.fullmatch(bare):
        return True
    digits = bare.translate(_SEPARATORS)  # UUIDs and MAC addresses of nothing but 0 or F
    return bool(digits) and _PLACEHOLDER_FORMS.fullmatch(digits) is not None


class PatternExhausted(ValueError):  # noqa: N818 - named for what happened to the pattern
    """A running number no longer fits the width that its pattern gives it."""


_FIELD = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"n(?::0?([1-9][0-9]?))?")
_DATE_WIDTHS = {"yyyy": 4, "yy": 2, "ww": 2}
_NUMBER_MAX = 10**18


def check_pattern(pattern: str) -> str | None:
    """What is wrong with a serial pattern, and how to mend it; None when it makes valid serials.

    A pattern is literal text with fields: `{n:06}` is the running number in six digits, `{n}` in as many as it
    takes; `{yy}` and `{yyyy}` the year, `{ww}` the ISO week. The running number occurs exactly once: `CB-{n:06}`,
    `{yy}{ww}-{n:05}`.
    """
    fields = _FIELD.findall(pattern)
    unknown = [field for field in fields if field not in _DATE_WIDTHS and not _NUMBER.fullmatch(field)]
    if unknown:
        return f"has the unknown field {{{unknown[0]}}}; use {{n:06}}, {{yy}}, {{yyyy}} or {{ww}}"
    numbers = [field for field in fields if field not in _DATE_WIDTHS]
    if len(numbers) != 1:
        return f"has {len(numbers)} running numbers; exactly one is needed, such as {{n:06}}"
    literal = _FIELD.sub("", pattern)
    if "{" in literal or "}" in literal:
        return "has an unmatched brace; write fields as {n:06}"
    if literal and (problem := check_name(literal)):
        return problem
    longest = len(literal) + sum(_DATE_WIDTHS.get(field, 0) for field in fields) + (_width(numbers[0]) or 18)
    return f"makes serials of up to {longest} characters; at most 64 are allowed" if longest > NAME_LENGTH_MAX else None


def serials(pattern: str, first: int, count: int, year: int, week: int) -> list[str]:
    """`count` serials of a pattern with running numbers from `first` on.

    Raises ValueError for a pattern that `check_pattern` refuses, and `PatternExhausted` when a number outgrows its
    width: a longer serial could equal one that another year or week makes.
    """
    if problem := check_pattern(pattern):
        raise ValueError(f"serial pattern {pattern!r} {problem}")
    number = next(match for match in _FIELD.finditer(pattern) if match[1] not in _DATE_WIDTHS)
    width, last = _width(number[1]), first + count - 1
    if first < 0 or last >= (10**width if width else _NUMBER_MAX):
        raise PatternExhausted(f"serial pattern {pattern!r} has no number {last}; give {{n}} more digits")
    dates = {"yyyy": f"{year:04}", "yy": f"{year % 100:02}", "ww": f"{week:02}"}

    def dated(text: str) -> str:
        return _FIELD.sub(lambda match: dates[match[1]], text)

    head, tail = dated(pattern[: number.start()]), dated(pattern[number.end() :])
    return [f"{head}{running:0{width}}{tail}" for running in range(first, first + count)]


def _width(number_field: str) -> int:
    """The digits of a running number field, 0 when it is not padded."""
    match = _NUMBER.fullmatch(number_field)
    return int(match[1]) if match and match[1] else 0
