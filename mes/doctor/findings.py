"""What the doctor found: one finding for each check, with what to do where it is not fine."""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

Level: TypeAlias = Literal["fine", "warning", "error", "not proven"]
AREAS: Final = ("settings", "database", "journal", "broker", "stations", "machine")
"""Areas that can be looked at alone, in the order in which they are shown."""


class Finding(NamedTuple):
    """What a check of an area found. `advice` is what to do; empty where all is fine."""

    area: str
    check: str
    level: Level
    text: str
    advice: str = ""


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong. A warning is no error, and what is not proven is not known to be wrong."""
    return all(one.level != "error" for one in findings)
