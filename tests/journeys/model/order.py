"""The order of the floor: by effective time, then by the natural order of work, then by source and id."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

RANKS = ["mes.part.received", "mes.unit.identified", "answer", "mes.step.started", "mes.samples.taken"]
RANKS += ["mes.part.removed", "mes.part.installed", "mes.step.completed", "mes.run.reported", "dispose"]
RANKS += ["mes.unit.packed", "mes.unit.shipped"]
FOREVER = datetime.max.replace(tzinfo=UTC)


class Key(NamedTuple):
    """Where an event stands."""

    at: datetime
    rank: int
    source: str
    id: str


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def key_of(event: dict[str, Any], arrival: datetime) -> Key:
    """A station's time counts, but never a later one than that of the arrival."""
    data = event["data"]
    at = moment(data.get("at") or data.get("ended_at") or event["time"])
    return Key(min(at, arrival), RANKS.index(event["type"]), event["source"], event["id"])


def station_of(event: dict[str, Any]) -> str:
    return str(event["source"]).removeprefix("stations/")
