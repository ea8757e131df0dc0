"""YAML as people write it by hand, read into plain values: strict where YAML surprises, bounded where it explodes.

Only what JSON can say: texts, numbers, true, false, null, lists and mappings. `no`, `on`, `1:30`, `007` and dates stay
texts (YAML 1.1 makes truths, numbers and dates of them). Anchors, aliases and tags are refused: aliases blow up, tags
call code. A key given twice is an error. Nothing here recurses, so nesting costs no stack.
"""

import math
import re
from typing import Any, cast

import yaml

from mes.domain.product_check import Problem

TEXT_LENGTH_MAX = 4 * 1024 * 1024
DEPTH_MAX = 32
_DIGITS_MAX = 40

_Loader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), math.inf),
    "-.inf": -math.inf,
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")


class InvalidYaml(ValueError):  # noqa: N818 - named for the text
    """A text can't be read as plain YAML. Carries the problems, placed by line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.place}: {problem.text}" for problem in problems))
        self.problems = problems


def parse(text: str) -> Any:
    """The one document of a YAML text. Raises InvalidYaml; keys given twice are all reported at once."""
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidYaml([Problem("document", f"is longer than {TEXT_LENGTH_MAX} characters; split it")])
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidYaml([Problem(f"line {line}", f"is no YAML: {error.problem or error.context}")]) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise InvalidYaml([Problem("document", f"is no YAML: {str(error).splitlines()[0]}")]) from None
    if builder.problems:
        raise InvalidYaml(builder.problems)
    return builder.document


class _Builder:
    """Builds values from the parser's events on a stack of its own."""

    def __init__(self) -> None:
        self.document: Any = None
        self.problems: list[Problem] = []
        self._open: list[list[Any] | dict[str, Any]] = []
        self._keys: list[str | None] = []  # per open mapping the key whose value comes next; None: a key comes next
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            self._refuse_magic(event)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._invalid(event, "begins a second document; write one definition per file")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._begin(event, [] if isinstance(event, yaml.SequenceStartEvent) else {})
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._open.pop()
            self._keys.pop()

    def _refuse_magic(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._invalid(event, "uses an anchor or alias (& or *); write the value out")
        if getattr(event, "tag", None) not in (None, "!"):
            raise self._invalid(event, "uses a tag (!); write the plain value")

    def _begin(self, event: yaml.NodeEvent, container: list[Any] | dict[str, Any]) -> None:
        if len(self._open) >= DEPTH_MAX:
            raise self._invalid(event, f"is nested deeper than {DEPTH_MAX} levels")
        if self._key_comes():
            raise self._invalid(event, "has a list or mapping as key; keys are texts")
        self._add(container)
        self._open.append(container)
        self._keys.append(None)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        plain = event.style is None or event.style == ""
        value = _resolve(event.value) if plain and event.implicit[0] else event.value
        if not self._key_comes():
            self._add(value)
            return
        key = str(event.value)
        if key in self._open[-1]:
            self.problems.append(Problem(_line(event), f"gives {key[:80]!r} a second time; keep one"))
        self._keys[-1] = key

    def _key_comes(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], dict) and self._keys[-1] is None

    def _add(self, value: Any) -> None:
        if not self._open:
            self.document = value
            return
        container = self._open[-1]
        if isinstance(container, list):
            container.append(value)
        else:
            container[cast(str, self._keys[-1])] = value
            self._keys[-1] = None

    def _invalid(self, event: yaml.Event, text: str) -> InvalidYaml:
        return InvalidYaml([*self.problems, Problem(_line(event), text)])


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1 if event.start_mark else 1}"


def _resolve(text: str) -> Any:
    """A plain scalar's value by the JSON-like schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text) and len(text) <= _DIGITS_MAX:
        return int(text)
    if any(letter.isdigit() for letter in text) and _FLOAT.fullmatch(text):
        return float(text)
    return text
