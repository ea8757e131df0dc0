"""The stations' connections to the MES: real clients, each with its own spool."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Condition
from typing import Final

from msgspec import Struct

from mes.formats.messages import RunStop, SettledMessage, StepAnswered
from stations.client import Station
from stations.floor.deeds import Question
from stations.spool import Spool

CONNECTED_S: Final = 60.0
RECEIPT_S: Final = 120.0
"""How long a receipt or an answer may take."""
STOP_S: Final = 30.0
"""How long a station goes on that waits to be stopped."""
KEPT_DAYS: Final = 3650.0
"""What was said is remembered as long as the demo's folder may be used."""


class LineStopped(Exception):  # noqa: N818 - what happened on the floor
    """A station may not go on, or got no answer."""


class Switchboard:
    """The stations of a floor, in one process. Its methods block, and may be called from any thread.

    What a station that is away has to say stays in its spool until it is back.
    """

    def __init__(self, url: str, names: Iterable[str], spools: Path) -> None:
        self._url = url
        self._names = list(names)
        self._spools = spools
        self._stations: dict[str, Station] = {}
        self._away: set[str] = set()
        self._came_back = Condition()
        self._stops = _Stops(spools / "stops")

    def open(self) -> None:
        """Connect every station. Raises `LineStopped` if one can't be."""
        self._spools.mkdir(parents=True, exist_ok=True)
        self._stops.read()
        for name in self._names:
            self._stations[name] = self._station(name)
        for name, station in self._stations.items():
            if not station.connected(CONNECTED_S):
                raise LineStopped(f"{name} can't reach the broker at {self._url}.")

    def close(self) -> None:
        """Each says goodbye."""
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(_leave, self._stations.values()))

    def _station(self, name: str) -> Station:
        spool = Spool(self._spools / f"{name}.spool", name, durable=False, kept_days=KEPT_DAYS)
        return Station(self._url, name, spool=spool, on_stop=self._stops.note).__enter__()

    def post(self, name: str, data: Struct, at: datetime, id: str) -> None:
        """A station says a fact, unless it said it before."""
        self._stations[name].post(data, at=at, id=id)

    def receipts(self, name: str, ids: Sequence[str]) -> dict[str, SettledMessage]:
        """Wait for the receipts of a station's messages; those that came."""
        with self._came_back:
            self._came_back.wait_for(lambda: name not in self._away)
        return self._stations[name].await_receipts(ids, timeout_s=RECEIPT_S)

    def ask(self, what: Question, at: datetime, id: str) -> StepAnswered | None:
        """The answer to a station's question; None if none comes."""
        station = self._stations[what.station]
        return station.ask(what.unit, what.step, what.parts, timeout_s=RECEIPT_S, at=at, id=id)

    def stopped(self, run: str) -> bool:
        """Wait until the MES says that a run should end; whether it did."""
        return self._stops.wait(run)

    @property
    def stops(self) -> int:
        """How many runs the MES stopped."""
        return self._stops.count

    def status(self, name: str, state: str) -> None:
        """A station says what it is doing."""
        self._stations[name].status(state)

    def leave(self, name: str) -> None:
        """A station loses its connection."""
        with self._came_back:
            self._away.add(name)
        self._stations[name].close()

    def come_back(self, name: str) -> None:
        """A station is connected again."""
        self._stations[name] = self._station(name)
        with self._came_back:
            self._away.discard(name)
            self._came_back.notify_all()


class _Stops:
    """The runs that the MES stopped, kept in a file: it says so once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: set[str] = set()
        self._heard = Condition()

    @property
    def count(self) -> int:
        return len(self._runs)

    def read(self) -> None:
        if self._path.exists():
            self._runs.update(self._path.read_text().splitlines())

    def note(self, stop: RunStop) -> None:
        with self._heard:
            if stop.run and stop.run not in self._runs:
                self._runs.add(stop.run)
                with self._path.open("a") as file:
                    file.write(f"{stop.run}\n")
            self._heard.notify_all()

    def wait(self, run: str) -> bool:
        with self._heard:
            return self._heard.wait_for(lambda: run in self._runs, STOP_S)


def _leave(station: Station) -> None:
    with suppress(OSError):
        station.close()
