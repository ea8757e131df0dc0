"""An ingest process to be killed: `python -m tests.mqtt.killable URL FILE PAUSE_S` appends the ids it settles.

The file stands for the database: what is in it was committed. After the write it dawdles, so that a kill often hits
between the commit and the acknowledgement.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mes.formats.messages import Arrived
from mes.mqtt import consumer, topics
from mes.mqtt.bridge import Bridge
from tests.mqtt.floor import V311, Fact, Record


class FileRecord(Record):
    """A record that outlives its process."""

    def __init__(self, path: Path, pause_s: float) -> None:
        super().__init__()
        self.path = path
        self.dawdle_s = pause_s

    async def __call__(self, arrived: Sequence[Arrived], at: datetime) -> list[Fact]:
        with self.path.open("a") as file:
            file.writelines(f"{one.id}\n" for one in arrived)
            file.flush()
            os.fsync(file.fileno())
        await asyncio.sleep(self.dawdle_s)
        return [self.fate(one) for one in arrived]


async def main(url: str, path: Path, pause_s: float) -> None:
    async with Bridge(url, "mes-ingest-test-0", topics.ingest_subscriptions(), protocols=V311) as bridge:
        await bridge.connected()
        sys.stdout.write("up\n")
        sys.stdout.flush()
        await consumer.run(bridge, consumer.here(FileRecord(path, pause_s), source="mes/test"), batch_max_messages=50)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
