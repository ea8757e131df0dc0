"""The plant: a line for each product family, with as many stations of each kind as its routes need."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from stations.floor.kinds import DOCK, PACKING, REPAIR, SOAK_MIN_S, kind_of, short_lines, short_word
from stations.floor.products import Catalog, Product, Step
from stations.floor.schedule import Pool, Schedule

CALIBRATED_AFTER: Final = 60
"""Uses after which a worn fixture is set right again."""
BIAS_MAX: Final = 0.6
LOGISTICS: Final = "logistics"


@dataclass
class Bench:
    """One station. `shift`: the last in which it was checked; `uses`: of its fixture since that was set right.

    `back_at`: until when it can't reach the MES; `backlog` is what it has to tell then.
    """

    name: str
    kind: str
    line: str
    shift: int = -1
    uses: int = 0
    fixtures: int = 1

    def wear(self) -> float:
        """How far its readings are off by now, from -1 to 1; counts as a use."""
        self.uses += 1
        if self.uses > CALIBRATED_AFTER:
            self.uses, self.fixtures = 1, self.fixtures + 1
        return min(BIAS_MAX, self.uses * kind_of(self.kind).wears)

    @property
    def fixture(self) -> str:
        """The name of what holds the unit."""
        return f"FX-{self.name}-{self.fixtures}"


@dataclass
class Plant:
    """The stations of a floor that builds `top` and all that is in it."""

    schedule: Schedule
    catalog: Catalog
    top: str
    benches: list[Bench] = field(default_factory=list)
    pools: dict[tuple[str, str], Pool[Bench]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds_by_line = {**self._kinds_by_family(), LOGISTICS: [DOCK, PACKING]}
        short = short_lines(kinds_by_line)
        for line, kinds in kinds_by_line.items():
            words = [short_word(kind) for kind in kinds]
            for kind, word in zip(kinds, words, strict=True):
                self._furnish(line, kind, f"{short[line]}-{word if words.count(word) == 1 else kind}")

    def _kinds_by_family(self) -> dict[str, list[str]]:
        found: dict[str, dict[str, None]] = {}
        for part in self.catalog.inside(self.top):
            product = self.catalog[part]
            kinds = found.setdefault(product.family, {})
            kinds.update(dict.fromkeys(step.station_kind for step in product.route))
        return {family: [*kinds, REPAIR] for family, kinds in sorted(found.items())}

    def _furnish(self, line: str, kind: str, name: str) -> None:
        """Stations called `name`, from 1 on."""
        like = kind_of(kind)
        benches = [Bench(f"{name}-{number}", kind, line) for number in range(1, like.stations + 1)]
        self.benches += benches
        self.pools[line, kind] = Pool([bench for _ in range(like.slots) for bench in benches])

    def pool(self, line: str, kind: str) -> Pool[Bench]:
        """The stations of a line that do a kind of work."""
        return self.pools[line, kind]

    def lines(self) -> dict[str, list[Bench]]:
        """The stations of each line."""
        found: dict[str, list[Bench]] = {}
        for bench in self.benches:
            found.setdefault(bench.line, []).append(bench)
        return found


def is_soak(step: Step) -> bool:
    """Whether a unit stays in the step for hours while telemetry is taken."""
    return step.min_s >= SOAK_MIN_S and kind_of(step.station_kind).program is not None and bool(step.needs)


def checked_parts(products: Iterable[Product]) -> list[str]:
    """Parts of which a known good unit is kept, because testers are checked with it every shift."""
    return [one.part for one in products if any(kind_of(step.station_kind).golden for step in one.route)]
