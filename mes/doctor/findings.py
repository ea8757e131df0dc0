"""What the doctor found: one finding for each check, with what to do where it is not fine."""

from collections.abc import Awaitable, Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

Level: TypeAlias = Literal["fine", "warning", "error", "not proven"]
AREAS: Final = ("settings", "database", "journal", "broker", "stations", "machine")
"""Areas that can be looked at alone, in the order in which they are shown."""

REPORT: Final = "If the text does not say what to mend, report it with the output of `mes doctor --json`."


class Finding(NamedTuple):
    """What a check of an area found. `advice` is what to do; empty where all is fine."""

    area: str
    check: str
    level: Level
    text: str
    advice: str = ""


def ended(area: str, check: str, error: BaseException, advice: str = REPORT) -> Finding:
    """A check that ended in an error of its own, told by the first line of what caused it."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    return Finding(area, check, "error", f"It could not be looked at: {first}", advice)


async def guarded(area: str, check: str, work: Awaitable[Iterable[Finding]], advice: str = REPORT) -> list[Finding]:
    """What was found. A check that ends in an error is a finding, so that the others go on."""
    try:
        return list(await work)
    except Exception as error:
        return [ended(area, check, error, advice)]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong. A warning is no error, and what is not proven is not known to be wrong."""
    return all(one.level != "error" for one in findings)
