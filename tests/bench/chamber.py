"""What burn-in chambers tell of the racks in them: telemetry of many channels, the same at every call."""

import json
import random
from datetime import datetime, timedelta
from typing import Final

from tests.bench import floor

PERIOD_S: Final = 5
PER_MESSAGE: Final = 120
STATION: Final = "ft-00"


def messages(racks: int, channels: int, hours: int, digits: int | None = 1, each: int = PER_MESSAGE) -> list[bytes]:
    """Walks around a mean of channels of each rack, at tenths or with every digit; `each` samples a message."""
    seeded = random.Random(20261122)
    names = [f"U{number // 40 + 1:02d}/GPU{number % 4}/sensor_{number % 40 // 4}" for number in range(channels)]
    levels = {rack: [seeded.uniform(20, 90) for _ in names] for rack in floor.serials(racks)}
    told = []
    for number in range(hours * 3600 // (PERIOD_S * each)):
        start = floor.BEGIN + timedelta(seconds=number * PERIOD_S * each)
        for rack, of in levels.items():
            walks = {name: [_walk(seeded, of, index, digits) for _ in range(each)] for index, name in enumerate(names)}
            told.append(_event(f"{rack}-{each}-{digits}-{number}", rack, start, walks))
    return told


def _walk(seeded: random.Random, levels: list[float], index: int, digits: int | None) -> float:
    levels[index] += seeded.gauss(0, 0.3)
    return levels[index] if digits is None else round(levels[index], digits)


def _event(id: str, rack: str, start: datetime, channels: dict[str, list[float]]) -> bytes:
    data = {"unit": rack, "step": "test-0", "run": f"burn-{rack}", "start": start.isoformat()}
    event = {"specversion": "1.0", "id": id, "source": f"stations/{STATION}", "type": "mes.samples.taken"}
    return json.dumps(
        {**event, "time": start.isoformat(), "data": {**data, "period_s": PERIOD_S, "channels": channels}}
    ).encode()
