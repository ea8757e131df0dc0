"""A station to be killed: `python -m tests.stations.killable_client URL SPOOL POSTED LIFE [FOR_S]`.

It sends what its spool holds and receives parts meanwhile; a serial is appended to the file POSTED once its post
returned. Without FOR_S it goes on until it is killed; with it, it leaves when all of it is settled.
"""

import sys
import time
from pathlib import Path

from stations.client import Station
from stations.facts import serialized
from stations.spool import Spool


def main(url: str, spool: str, posted: str, life: str, for_s: str = "") -> None:
    kept = Spool(Path(spool), "as-1", durable=False)
    with Station(url, "as-1", spool=kept) as station, Path(posted).open("a") as said:
        assert station.connected(20)
        print("up", flush=True)
        number = 0
        while not for_s:
            serial = f"NEW-{life}-{number:05}"
            station.receive(serialized("GPU-1", serial))
            said.write(f"{serial}\n")
            said.flush()
            number += 1
            time.sleep(0.002)
        until = time.monotonic() + float(for_s)
        while station.waiting[0] and time.monotonic() < until:
            time.sleep(0.02)
        assert station.waiting == (0, 0), station.waiting


if __name__ == "__main__":
    main(*sys.argv[1:])
