"""Station kinds: how long their work takes, how many of them a line has, and how often something goes wrong there."""

from collections.abc import Collection
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """What one kind of station is like.

    `takes_s`: typical work on one unit where the definition demands no longer time; `stations` in a line, each with
    room for `slots` units; `fails`, `errs`: shares of attempts in which the product or the station is at fault;
    `golden`: whether each shift begins with a run on a known good unit; `wears`: how far its readings drift with each
    use, as a share of half the tolerance; `short`: what people call it, where that is not the kind's first word.
    """

    takes_s: float
    stations: int = 1
    slots: int = 1
    fails: float = 0.0
    errs: float = 0.0
    golden: bool = False
    wears: float = 0.0
    program: str | None = None
    short: str | None = None


KINDS: Final = {
    "assembly-bench": Kind(240, stations=3, fails=0.004, short="assy"),
    "burn-in-chamber": Kind(3600, stations=2, slots=24, fails=0.02, program="soak", short="burn"),
    "cable-tester": Kind(75, stations=2, fails=0.02, errs=0.01, golden=True, program="continuity"),
    "coolant-filler": Kind(2400, stations=2, program="fill", short="fill"),
    "crimp-press": Kind(150, stations=2, fails=0.01, wears=0.015),
    "flow-bench": Kind(900, stations=3, fails=0.02, golden=True, wears=0.01, program="flow"),
    "functional-tester": Kind(600, stations=2, fails=0.03, errs=0.02, golden=True, program="functional", short="func"),
    "hipot-tester": Kind(60, stations=2, fails=0.006, golden=True, wears=0.004, program="safety"),
    "inspection-bench": Kind(240, stations=3, fails=0.01, short="insp"),
    "kitting-area": Kind(1500, short="kit"),
    "leak-tester": Kind(420, stations=2, fails=0.025, golden=True, wears=0.006, program="decay"),
    "link-tester": Kind(900, fails=0.05, errs=0.03, program="links"),
    "port-tester": Kind(420, stations=2, fails=0.02, errs=0.02, golden=True, program="loopback"),
    "packing-bench": Kind(300, short="pack"),
    "power-bay": Kind(900, stations=4, fails=0.02, program="rack-soak"),
    "provisioning-bench": Kind(420, stations=2, slots=2, fails=0.015, errs=0.03, program="provision", short="prov"),
    "psu-tester": Kind(150, stations=2, fails=0.03, golden=True, wears=0.008, program="psu"),
    "rack-bay": Kind(2400, stations=3, fails=0.0, short="bay"),
    "receiving-dock": Kind(300, short="dock"),
    "shelf-tester": Kind(900, fails=0.02, golden=True, program="shelf"),
    "wire-cutter": Kind(90, stations=2, fails=0.01, wears=0.02, short="cut"),
}
"""Those that the delivered definitions name, and those of logistics. One that is not here is `OTHER`."""
OTHER: Final = Kind(300, fails=0.01)
SOAK_MIN_S: Final = 3600.0
"""From this demanded duration on, a tester's step is a soak: telemetry is taken while it lasts."""

REPAIR: Final = "repair-bench"
DOCK: Final = "receiving-dock"
PACKING: Final = "packing-bench"
LINE_LETTERS: Final = 3


def kind_of(name: str) -> Kind:
    """What a kind of station is like."""
    return KINDS.get(name, OTHER)


def short_lines(lines: Collection[str]) -> dict[str, str]:
    """Each line's name cut to three letters, or as many as end on a consonant and set it apart from the others."""
    return {line: _cut(line, lines) for line in lines}


def _cut(line: str, lines: Collection[str]) -> str:
    others = [one for one in lines if one != line]
    cuts = [line[:count] for count in range(LINE_LETTERS, len(line) - 1) if line[count - 1] not in "aeiou"]
    return next((cut for cut in cuts if not any(one.startswith(cut) for one in others)), line)


def short_word(kind: str) -> str:
    """What people call a kind of station."""
    return kind_of(kind).short or kind.partition("-")[0]
