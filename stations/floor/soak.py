"""Telemetry of a soak: what its characteristics are about, sampled while it lasts."""

import math
from random import Random
from typing import Final

from stations.floor.faults import Excursion
from stations.floor.products import Catalog, Characteristic, Product, Step

PERIOD_S: Final = 60.0
RACK_PERIOD_S: Final = 300.0
"""Resolution of what has thousands of sensors: at the source, it is rolled up."""
CHANNELS_FINE: Final = 24
CHUNK_S: Final = 6 * 3600.0
_PEAKS: Final = ("_peak", "_worst")
WARM_UP_S: Final = 1800.0
TOLD_EVERY_S: Final = 120.0
"""How often telemetry is told while people watch."""
CREEPS_UP_S: Final = 1800.0


def channels(catalog: Catalog, product: Product, step: Step) -> dict[str, Characteristic]:
    """What is sampled in a step, by channel. What a peak is taken over is sampled in every part that has it, too."""
    found: dict[str, Characteristic] = {}
    for one in product.required(step):
        if isinstance(one.equals, bool | str) or one.unit is None or is_duration(one):
            continue
        found[channel(one.name, one.position)] = one
        if one.position is None and one.name.endswith(_PEAKS):
            found |= _inside(catalog, product, one.name)
    return found


def is_duration(one: Characteristic) -> bool:
    """Whether a characteristic is how long the soak was, in hours."""
    return one.unit == "h"


def channel(name: str, position: str | None) -> str:
    """The channel over which a characteristic is taken: `GPU3/gpu_temperature` for `gpu_temperature_peak` at GPU3."""
    return f"{position}/{sampled(name)}" if position else sampled(name)


def sampled(name: str) -> str:
    """What is sampled for a characteristic: a peak is taken over it."""
    for ending in _PEAKS:
        name = name.removesuffix(ending)
    return name


def _inside(catalog: Catalog, product: Product, name: str) -> dict[str, Characteristic]:
    found: dict[str, Characteristic] = {}
    for line in product.bom:
        same = [one for one in catalog[line.part].characteristics if one.name == name and one.position]
        found |= {channel(name, f"{place}/{one.position}"): one for place in line.positions for one in same}
    return found


def period_s(count: int) -> float:
    """Seconds between samples of so many channels."""
    return PERIOD_S if count <= CHANNELS_FINE else RACK_PERIOD_S


def stretch_s(now: float, watched_from: float, every_s: float) -> float:
    """How long telemetry is collected before it is told: often while people watch."""
    left_s = watched_from - now
    if left_s >= CHUNK_S:
        return CHUNK_S
    return left_s // every_s * every_s if left_s >= every_s else max(TOLD_EVERY_S, every_s)


def broken_after_s(live: Excursion, every_s: float) -> float:
    """When, after a soak's start, the sample is in that shows a watched channel beyond its limit for too long."""
    return live.begins_s + (math.ceil((live.limit.beyond_s or 0.0) / every_s) + 1) * every_s


def samples(
    one: Characteristic, die: Random, began_s: float, count: int, every_s: float, live: Excursion | None = None
) -> list[float | None]:
    """A channel's values from `began_s` after the soak's start on: it warms up, then breathes with the load.

    With `live` it creeps up to what it is watched by, and beyond.
    """
    level, swing = _level(one, die)
    if one.equals is not None:
        return [level] * count
    phase = die.uniform(0, 2 * math.pi)
    die = Random(f"{phase}/{began_s}")
    values: list[float | None] = []
    for index in range(count):
        at = began_s + index * every_s
        cold = 3 * swing * math.exp(-at / WARM_UP_S) if one.high is not None else 0.0
        value = level + swing * (0.4 * math.sin(at / 2700 + phase) + die.gauss(0, 0.12)) - cold
        values.append(round(_beyond(value, at, live) if live else value, 3))
    if count > 10 and live is None and die.random() < 0.02:
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


def _beyond(value: float, at: float, live: Excursion) -> float:
    """A value on its way to its limit; from `begins_s` on it is beyond it."""
    high = live.limit.high or 0.0
    since_s = at - live.begins_s
    if since_s >= 0:
        return high + abs(high) * (0.01 + 0.02 * (1 - math.exp(-since_s / 300)))
    crept = max(0.0, 1 + since_s / CREEPS_UP_S)
    return min(value + (high - value) * crept, high - abs(high) * 0.002)
