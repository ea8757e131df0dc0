"""A line that asks: the process that answers, stations that speak plain JSON, and a floor to ask about."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from mes.mqtt import topics
from mes.mqtt.bridge import Bridge
from tests.embedded.programs import wait_until
from tests.mqtt.floor import V311, send
from tests.stage import GPU, TRAY, Stage

MADE_GPU = {**GPU, "part": "GPU-M", "source": "made", "route": [{"step": "bake", "station_kind": "oven"}]}
TRAY_OF_MADE = {
    **TRAY,
    "part": "TRAY-2",
    "bom": [{"position": "GPU1", "part": "GPU-M"}],
    "route": [{"step": "build", "station_kind": "assembly", "installs": ["GPU1"]}],
    "characteristics": [],
}


class Answerer:
    """`mes answer` as a process of its own, that can be killed and started again."""

    def __init__(self, database_url: str, broker_url: str, ready: Path) -> None:
        self.env = {**os.environ, "MES_DATABASE_URL": database_url, "MES_MQTT_URL": broker_url}
        self.ready = ready
        self.process: Process | None = None

    async def start(self) -> None:
        self.ready.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "mes", "answer", "--ready-file", str(self.ready)]
        self.process = await asyncio.create_subprocess_exec(*argv, env=self.env)
        try:
            await asyncio.to_thread(wait_until, self.ready.exists)
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


class Asker:
    """A station at its topic of answers, that speaks plain JSON."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.waiting: dict[str, dict[str, Any]] = {}
        self.heard: list[str] = []
        self.receipts: list[dict[str, Any]] = []
        self.bridge = Bridge(url, name, topics.station_subscriptions(name), protocols=V311)

    def event(self, id: str, unit: str, step: str, **more: Any) -> bytes:
        event = {
            "specversion": "1.0",
            "id": id,
            "source": f"stations/{self.name}",
            "type": "mes.step.asked",
            "time": datetime.now(UTC).isoformat(),
            "data": {"unit": unit, "step": step, **more},
        }
        return json.dumps(event).encode()

    async def say(self, payload: bytes) -> None:
        await asyncio.to_thread(send, self.url, [(f"mes/v1/{self.name}/ask", payload, None)])

    async def hear(self, id: str, within_s: float = 15) -> dict[str, Any]:
        """The next answer to an ask; others that come before it are kept for whoever waits for them."""
        async with asyncio.timeout(within_s):
            while id not in self.waiting:
                (one,) = await self.bridge.get_batch(1)
                self.bridge.ack([one])
                event = json.loads(one.payload)
                if event["type"] == "mes.messages.settled":
                    self.receipts += event["data"]["settled"]
                    continue
                assert (event["type"], event["source"]) == ("mes.step.answered", "mes/main")
                self.waiting[event["data"]["asked"]] = event["data"]
                self.heard.append(event["data"]["asked"])
        return self.waiting.pop(id)

    async def ask(self, id: str, unit: str, step: str, **more: Any) -> dict[str, Any]:
        await self.say(self.event(id, unit, step, **more))
        return await self.hear(id)


def codes(answer: dict[str, Any]) -> list[str]:
    return [one["code"] for one in answer.get("reasons", [])]


async def entries(stage: Stage) -> int:
    async with stage.database.reading() as connection:
        found = await connection.scalar(text("SELECT count(*) FROM journal WHERE type = 'mes.step.answered'"))
    return int(found or 0)
