"""Station kinds: how long their work takes, how many of them a line has, and how often something goes wrong there."""

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """What one kind of station is like.

    `takes_s`: typical work on one unit where the definition demands no longer time; `stations` in a line, each with
    room for `slots` units; `fails`, `errs`: shares of attempts in which the product or the station is at fault;
    `golden`: whether each shift begins with a run on a known good unit; `wears`: how far its readings drift with each
    use, as a share of half the tolerance.
    """

    takes_s: float
    stations: int = 1
    slots: int = 1
    fails: float = 0.0
    errs: float = 0.0
    golden: bool = False
    wears: float = 0.0
    program: str | None = None


KINDS: Final = {
    "assembly-bench": Kind(240, stations=3, fails=0.004),
    "burn-in-chamber": Kind(3600, stations=2, slots=24, fails=0.02, program="soak"),
    "cable-tester": Kind(75, stations=2, fails=0.02, errs=0.01, golden=True, program="continuity"),
    "coolant-filler": Kind(2400, stations=2, program="fill"),
    "crimp-press": Kind(150, stations=2, fails=0.01, wears=0.015),
    "flow-bench": Kind(900, stations=3, fails=0.02, golden=True, wears=0.01, program="flow"),
    "functional-tester": Kind(600, stations=2, fails=0.03, errs=0.02, golden=True, program="functional"),
    "hipot-tester": Kind(60, stations=2, fails=0.006, golden=True, wears=0.004, program="safety"),
    "inspection-bench": Kind(240, stations=3, fails=0.01),
    "kitting-area": Kind(1500),
    "leak-tester": Kind(420, stations=2, fails=0.025, golden=True, wears=0.006, program="decay"),
    "link-tester": Kind(900, fails=0.05, errs=0.03, program="links"),
    "port-tester": Kind(420, stations=2, fails=0.02, errs=0.02, golden=True, program="loopback"),
    "power-bay": Kind(900, stations=4, fails=0.02, program="rack-soak"),
    "provisioning-bench": Kind(420, stations=2, slots=2, fails=0.015, errs=0.03, program="provision"),
    "psu-tester": Kind(150, stations=2, fails=0.03, golden=True, wears=0.008, program="psu"),
    "rack-bay": Kind(2400, stations=3, fails=0.0),
    "shelf-tester": Kind(900, fails=0.02, golden=True, program="shelf"),
    "wire-cutter": Kind(90, stations=2, fails=0.01, wears=0.02),
}
"""Those that the delivered definitions name. One that is not here is `OTHER`."""
OTHER: Final = Kind(300, fails=0.01)
SOAK_MIN_S: Final = 3600.0
"""From this demanded duration on, a tester's step is a soak: telemetry is taken while it lasts."""

REPAIR: Final = "repair-bench"
DOCK: Final = "receiving-dock"
PACKING: Final = "packing-bench"


def kind_of(name: str) -> Kind:
    """What a kind of station is like."""
    return KINDS.get(name, OTHER)
