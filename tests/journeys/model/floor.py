"""The whole floor: all messages to their fates, all events to places, runs and units."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.journeys.model.fates import Gate
from tests.journeys.model.life import Unit
from tests.journeys.model.order import Key, key_of, station_of
from tests.journeys.model.places import stays_of
from tests.journeys.model.verdicts import verdict


class Floor:
    """What messages (station, bytes) come to; of two that conflict, the first counts.

    `kinds` are the stations', `serials` the made units' parts, by name; `arrival` is the latest time that counts.
    """

    def __init__(
        self,
        products: list[dict[str, Any]],
        kinds: dict[str, str],
        serials: dict[str, str],
        messages: Iterable[tuple[str, bytes]],
        arrival: datetime,
    ) -> None:
        known = {one["part"]: one for one in products}
        gate = Gate(known, kinds, serials)
        for station, payload in messages:
            gate.take(station, payload)
        self.fates, self.pending = gate.fates, gate.pending
        self.events = sorted(((key_of(one, arrival), one) for one in gate.applied), key=lambda pair: pair[0])
        self.stays = stays_of(self.events)
        self.units = {serial: self._life(serial, Unit(known[part], kinds)) for serial, part in serials.items()}

    def _life(self, serial: str, unit: Unit) -> Unit:
        own = [(key, event) for key, event in self.events if event["data"].get("unit") == serial]
        here = [one for one in self.stays if one.parent == serial]
        changes = {(key, one.position) for one in here for key in (one.opened, one.closed) if key}
        ordered: list[tuple[Key, Any]] = sorted([*own, *changes], key=lambda pair: pair[0])
        for key, what in ordered:
            if isinstance(what, str):
                there = [one for one in here if one.position == what]
                content = [one for one in there if one.opened <= key and (one.closed is None or one.closed > key)]
                unit.changed(key, what, content, [one for one in there if one.closed == key])
            else:
                unit.happened(key, what)
        return unit

    @property
    def runs(self) -> list[dict[str, Any]]:
        """All runs, each with its verdict."""
        found = [event for _, event in self.events if event["type"] == "mes.run.reported"]
        products = {serial: unit.product for serial, unit in self.units.items()}
        return [
            {**one["data"], "station": station_of(one), "verdict": verdict(products[one["data"]["unit"]], one["data"])}
            for one in found
        ]

    @property
    def applied(self) -> Counter[str]:
        """How many events of each type changed the record."""
        return Counter(event["type"] for _, event in self.events)
