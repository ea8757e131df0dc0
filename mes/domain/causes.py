"""Why runs do not pass, counted: what a supervisor should look at first.

A unit that fails for the same thing three times is one unit; a run that broke two limits has two causes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

BARE: Final = "claim_failed"
"""The reason that says no more than that the station said so."""


class Bad(NamedTuple):
    """A run that did not pass: of which unit and part, where, and the reasons as they are kept: {code, text, facts}."""

    serial: str
    part: str
    step: str
    station: str
    reasons: Sequence[Mapping[str, Any]]


class Cause(NamedTuple):
    """`what` went wrong at a step of a part; with how many units; at which stations; the newest example in words."""

    part: str
    step: str
    what: str
    units: int
    stations: tuple[str, ...]
    example: str
    serial: str


def what_of(reason: Mapping[str, Any]) -> str:
    """What a reason is about: the characteristic, wherever on the unit it was measured; else its code in words."""
    facts = reason.get("facts") or {}
    if measurement := facts.get("measurement"):
        return str(measurement).partition(" at ")[0]
    if claim := facts.get("claim"):
        return f"ended with {claim}"
    if kind := facts.get("kind"):
        return f"connection {kind}"
    return str(reason["code"]).replace("_", " ")


def most_telling(reasons: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The reasons without the one that only repeats the station's claim, unless there is no other."""
    return [one for one in reasons if one.get("code") != BARE] or reasons


def causes(bad: Iterable[Bad], most: int) -> list[Cause]:
    """The causes with the most units first. `bad` in the order in which it happened."""
    found: dict[tuple[str, str, str], list[tuple[Bad, str]]] = {}
    for run in bad:
        for what, text in {what_of(one): str(one["text"]) for one in most_telling(run.reasons)}.items():
            found.setdefault((run.part, run.step, what), []).append((run, text))
    told = [_cause(*key, runs) for key, runs in found.items()]
    return sorted(told, key=lambda one: (-one.units, one[:3]))[:most]


def _cause(part: str, step: str, what: str, runs: Sequence[tuple[Bad, str]]) -> Cause:
    newest, text = runs[-1]
    stations = tuple(sorted({run.station for run, _ in runs}))
    return Cause(part, step, what, len({run.serial for run, _ in runs}), stations, text, newest.serial)
