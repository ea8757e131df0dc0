"""A product that nobody has seen: part numbers, positions, route and limits from a seed."""

from dataclasses import dataclass
from random import Random
from typing import Any

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
UNITS = ("V", "W", "Ohm")


@dataclass
class Catalogue:
    """All parts by role, and their documents. `kinds` of work by the letter that routes below use."""

    top: dict[str, Any]
    inner: dict[str, Any]
    chip: str
    other_chip: str
    supply: str
    screw: str
    stranger: str
    kinds: dict[str, str]

    @property
    def made(self) -> list[dict[str, Any]]:
        return [self.top, self.inner]

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What is put over REST, children first. The screw is known from the bills of materials alone."""
        serials = [bought(one, "serial") for one in (self.chip, self.other_chip, self.supply, self.stranger)]
        return [*serials, self.inner, self.top]

    def tracking(self, part: str) -> str:
        return "lot" if part == self.screw else "serial"


def word(rng: Random, length: int = 4) -> str:
    return "".join(rng.choices(LETTERS, k=length))


def part_number(rng: Random) -> str:
    return f"{rng.randint(100, 999)}-{word(rng)}-{rng.randint(0, 99):02}"


def bought(part: str, tracking: str) -> dict[str, Any]:
    """A part that comes as it is."""
    head = {"part": part, "revision": "1", "name": f"Part {part}", "family": "component"}
    return {**head, "source": "bought", "tracking": tracking}


def catalogue(rng: Random) -> Catalogue:
    """A top unit that holds two inner units and a supply; each inner unit holds two or three chips and screws."""
    kinds = {letter: word(rng).lower() for letter in "ATF"}
    inner, top, chip, other_chip, supply, screw, stranger = (part_number(rng) for _ in range(7))
    chips, slots = positions(rng, rng.randint(2, 3)), positions(rng, 2)
    inner_bom = [
        {"positions": chips, "part": chip, "alternates": [other_chip], "retest_from": "s-test"},
        {"positions": ["SCREWS"], "part": screw, "quantity": rng.randint(2, 9)},
    ]
    top_bom = [
        {"positions": slots, "part": inner, "retest_from": "t-test"},
        {"positions": ["SUPPLY"], "part": supply},
        {"positions": ["SCREWS"], "part": screw, "quantity": 4},
    ]
    return Catalogue(
        made(rng, top, "rack", top_bom, top_route(rng, kinds, slots)),
        made(rng, inner, "compute", inner_bom, inner_route(rng, kinds, chips)),
        *(chip, other_chip, supply, screw, stranger, kinds),
    )


def positions(rng: Random, count: int) -> list[str]:
    stem = word(rng, 2)
    return [f"{stem}{number}" for number in rng.sample(range(20), count)]


def inner_route(rng: Random, kinds: dict[str, str], chips: list[str]) -> list[dict[str, Any]]:
    place = {"step": "s-place", "station_kind": kinds["A"], "installs": chips[:1] if rng.random() < 0.5 else chips}
    rest = [*(one for one in chips if one not in place["installs"]), "SCREWS"]
    close = {"step": "s-close", "station_kind": kinds["A"], "after": ["s-place"], "installs": rest}
    test = {"step": "s-test", "station_kind": kinds["T"], "after": ["s-close"], "needs": ["x", "y"], "attempts": 2}
    return [place, close, {**test, "min_s": rng.choice([0, 30])}]


def top_route(rng: Random, kinds: dict[str, str], slots: list[str]) -> list[dict[str, Any]]:
    place = {"step": "t-place", "station_kind": kinds["A"], "installs": [*slots, "SCREWS"]}
    power = {"step": "t-power", "station_kind": kinds["A"], "installs": ["SUPPLY"]}
    test = {"step": "t-test", "station_kind": kinds["T"], "after": ["t-place", "t-power"], "needs": ["x"]}
    final = {"step": "t-final", "station_kind": kinds["F"], "after": ["t-test"]}
    if rng.random() < 0.5:
        power["after"] = ["t-place"]
    return [place, power, test, final]


def made(rng: Random, part: str, family: str, bom: list[dict[str, Any]], route: list[dict[str, Any]]) -> dict[str, Any]:
    """A made part with two characteristics: x has both limits, y one of them."""
    low = rng.randint(1, 500) / rng.choice([1, 8])
    x = {"name": "x", "unit": rng.choice(UNITS), "low": low, "high": low + rng.randint(1, 400) / 4}
    y = {"name": "y", "unit": rng.choice(UNITS), rng.choice(["low", "high"]): rng.randint(-50, 50)}
    head = {"part": part, "revision": word(rng, 1), "name": f"Unit {part}", "family": family, "source": "made"}
    return {**head, "tracking": "serial", "bom": bom, "route": route, "characteristics": [x, y]}
