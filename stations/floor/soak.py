"""Telemetry of a soak: what its characteristics are about, sampled while it lasts."""

import math
from random import Random
from typing import Final

from stations.floor.products import Catalog, Characteristic, Product, Step

PERIOD_S: Final = 60.0
RACK_PERIOD_S: Final = 300.0
"""Resolution of what has thousands of sensors: at the source, it is rolled up."""
CHANNELS_FINE: Final = 24
CHUNK_S: Final = 6 * 3600.0
_PEAKS: Final = ("_peak", "_worst")
WARM_UP_S: Final = 1800.0


def channels(catalog: Catalog, product: Product, step: Step) -> dict[str, Characteristic]:
    """What is sampled in a step, by channel. What a peak is taken over is sampled in every part that has it, too."""
    found: dict[str, Characteristic] = {}
    for one in product.required(step):
        if isinstance(one.equals, bool | str) or one.unit is None or one.unit == "h":
            continue
        found[_channel(one.name, one.position)] = one
        if one.position is None and one.name.endswith(_PEAKS):
            found |= _inside(catalog, product, one.name)
    return found


def _channel(name: str, position: str | None) -> str:
    for ending in _PEAKS:
        name = name.removesuffix(ending)
    return f"{position}/{name}" if position else name


def _inside(catalog: Catalog, product: Product, name: str) -> dict[str, Characteristic]:
    found: dict[str, Characteristic] = {}
    for line in product.bom:
        same = [one for one in catalog[line.part].characteristics if one.name == name and one.position]
        found |= {_channel(name, f"{place}/{one.position}"): one for place in line.positions for one in same}
    return found


def period_s(count: int) -> float:
    """Seconds between samples of so many channels."""
    return PERIOD_S if count <= CHANNELS_FINE else RACK_PERIOD_S


def samples(one: Characteristic, die: Random, began_s: float, count: int, every_s: float) -> list[float | None]:
    """A channel's values from `began_s` after the soak's start on: it warms up, then breathes with the load."""
    level, swing = _level(one, die)
    if one.equals is not None:
        return [level] * count
    phase = die.uniform(0, 2 * math.pi)
    values: list[float | None] = []
    for index in range(count):
        at = began_s + index * every_s
        warm = 1 - math.exp(-at / WARM_UP_S)
        value = level + swing * (0.4 * math.sin(at / 2700 + phase) + die.gauss(0, 0.12)) - (1 - warm) * 3 * swing
        values.append(round(value, 3))
    if count > 10 and die.random() < 0.02:
        values[die.randrange(count)] = None  # a reading that was lost
    return values


def _level(one: Characteristic, die: Random) -> tuple[float, float]:
    """Around which value a channel lies, and how far it swings."""
    if isinstance(one.equals, int | float):
        return float(one.equals), 0.0
    if one.low is not None and one.high is not None:
        return (one.low + one.high) / 2 + (one.high - one.low) * die.uniform(-0.1, 0.1), (one.high - one.low) * 0.08
    limit = one.high if one.high is not None else one.low or 1.0
    away = abs(limit) * die.uniform(0.12, 0.18)
    return (limit - away if one.high is not None else limit + away), abs(limit) * 0.04
