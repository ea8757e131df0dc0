"""A station to be killed, as a process: `python -m tests.faults.sender CLIENT URL FOLDER MESSAGES PER_S POISONOUS`.

CLIENT is `sdk`, the station client with its spool, or `plain`: a publisher that forgets what the broker acknowledged.
In FOLDER are the spool and `sent`, the numbers that were posted or acknowledged; after a kill it goes on from there.
"""

import json
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from mes.formats.messages import RunReported, UnitRef
from mes.mqtt.address import parse_url
from stations.client import Station
from tests.faults import plan

IN_FLIGHT_MAX = 200


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
    first = len(numbers_sent(folder))
    spool = folder / "station.spool"
    with Station(url, plan.STATION, spool=spool, receipt_s=1.0) as station, (folder / "sent").open("a") as sent:
        pace = Pace(per_s)
        for number in range(first, messages):
            station.post(_report(number, poisonous), id=f"m{number}")
            sent.write(f"{number}\n")
            sent.flush()
            pace.wait()
        while station.waiting[0]:
            time.sleep(0.1)


def _report(number: int, poisonous: int) -> RunReported:
    return msgspec.convert(plan.run(number, poisonous), RunReported, dec_hook=lambda _, value: UnitRef(value))


def plain(url: str, folder: Path, messages: int, per_s: float, poisonous: int) -> None:
    """Publishes everything with QoS 1, as often as paho thinks it must, until the broker has acknowledged it."""
    broker = parse_url(url)
    numbers: dict[int, int] = {}
    room, left = threading.Semaphore(IN_FLIGHT_MAX), threading.Semaphore(0)
    lock = threading.Lock()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="plain-station", clean_session=False)
    client.reconnect_delay_set(1, 1)
    with (folder / "sent").open("a") as sent:

        def acknowledged(_c: object, _u: object, mid: int, *_: object) -> None:
            with lock:
                number = numbers.pop(mid, None)
            if number is not None:
                sent.write(f"{number}\n")
                sent.flush()
                room.release()
                left.release()

        client.on_publish = acknowledged
        client.connect_async(broker.host, broker.port, 5)
        client.loop_start()
        pace = Pace(per_s)
        for number in range(messages):
            room.acquire()
            with lock:
                told = client.publish(f"mes/v1/{plan.STATION}/run", _event(number, poisonous), qos=1)
                numbers[told.mid] = number
            pace.wait()
        for _ in range(messages):
            left.acquire()
    client.disconnect()


def _event(number: int, poisonous: int) -> bytes:
    event = {"specversion": "1.0", "id": f"m{number}", "source": f"stations/{plan.STATION}"}
    told = {"type": "mes.run.reported", "time": datetime.now(UTC).isoformat(), "data": plan.run(number, poisonous)}
    return json.dumps(event | told).encode()


if __name__ == "__main__":
    kind, url, folder, messages, per_s, poisonous = sys.argv[1:]
    {"sdk": sdk, "plain": plain}[kind](url, Path(folder), int(messages), float(per_s), int(poisonous))
