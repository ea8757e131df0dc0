"""A station to be killed, as a process: `python -m tests.faults.sender CLIENT URL FOLDER MESSAGES PER_S POISONOUS`.

CLIENT is `sdk`, the station client with its spool, or `plain`: a publisher that forgets what the broker acknowledged.
PER_S 0: the station is offline until it has posted everything.
In FOLDER are the spool and `sent`, the numbers that were posted or acknowledged; after a kill it goes on from there.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from mes.formats.messages import RunReported, UnitRef
from mes.mqtt.address import parse_url
from stations.client import Station
from stations.spool import Spool
from tests.faults import plan

IN_FLIGHT_MAX = 200
OFFLINE = 0.0


class Pace:
    """So many a second, from when it was made."""

    def __init__(self, per_s: float) -> None:
        self._step_s = 1 / per_s
        self._next = time.monotonic()

    def wait(self) -> None:
        self._next += self._step_s
        time.sleep(max(0.0, self._next - time.monotonic()))


def numbers_sent(folder: Path) -> list[int]:
    """What was sent before; the last line may have been cut off by a kill."""
    file = folder / "sent"
    return (
        [int(line) for line in file.read_text().splitlines(keepends=True) if line[-1] == "\n"] if file.exists() else []
    )


def sdk(url: str, folder: Path, messages: int, per_s: float, poisonous: int) -> None:
    """Posts what was not posted yet, then stays until nothing waits for a receipt."""
    spool = folder / "station.spool"
    if per_s == OFFLINE:
        _fill(url, folder, spool, messages)
    first = len(numbers_sent(folder))
    with Station(url, plan.STATION, spool=spool, receipt_s=1.0) as station, (folder / "sent").open("a") as sent:
        pace = Pace(per_s or 1.0)
        for number in range(first, messages):
            station.post(_report(number, poisonous), id=f"m{number}")
            sent.write(f"{number}\n")
            sent.flush()
            pace.wait()
        while station.waiting[0]:
            time.sleep(0.1)


def _fill(url: str, folder: Path, spool: Path, messages: int) -> None:
    """Post all that was not posted yet without a network."""
    station = Station(url, plan.STATION, spool=Spool(spool, plan.STATION, durable=False))
    with (folder / "sent").open("a") as sent:
        for number in range(len(numbers_sent(folder)), messages):
            station.post(_report(number, 0), id=f"m{number}")
            sent.write(f"{number}\n")
    station.close(linger_s=0)


def _report(number: int, poisonous: int) -> RunReported:
    return msgspec.convert(plan.run(number, poisonous), RunReported, dec_hook=lambda _, value: UnitRef(value))


def plain(url: str, folder: Path, messages: int, per_s: float, poisonous: int) -> None:
    """Publishes everything with QoS 1, as often as paho thinks it must, until the broker has acknowledged it."""
    broker = parse_url(url)
    acknowledged: SimpleQueue[int] = SimpleQueue()  # paho holds locks of its own while it calls back
    numbers: dict[int, int] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="plain-station", clean_session=False)
    client.reconnect_delay_set(1, 1)
    client.on_publish = lambda _c, _u, mid, *_: acknowledged.put(mid)
    client.connect_async(broker.host, broker.port, 5)
    client.loop_start()
    with (folder / "sent").open("a") as sent:

        def forget_one() -> None:
            sent.write(f"{numbers.pop(acknowledged.get())}\n")
            sent.flush()

        pace = Pace(per_s)
        for number in range(messages):
            mid = client.publish(f"mes/v1/{plan.STATION}/run", _event(number, poisonous), qos=1).mid
            numbers[mid] = number
            while len(numbers) >= IN_FLIGHT_MAX or (numbers and not acknowledged.empty()):
                forget_one()
            pace.wait()
        while numbers:
            forget_one()
    client.disconnect()


def _event(number: int, poisonous: int) -> bytes:
    event = {"specversion": "1.0", "id": f"m{number}", "source": f"stations/{plan.STATION}"}
    told = {"type": "mes.run.reported", "time": datetime.now(UTC).isoformat(), "data": plan.run(number, poisonous)}
    return json.dumps(event | told).encode()


if __name__ == "__main__":
    kind, url, folder, messages, per_s, poisonous = sys.argv[1:]
    {"sdk": sdk, "plain": plain}[kind](url, Path(folder), int(messages), float(per_s), int(poisonous))
