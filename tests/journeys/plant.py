"""The real MES as its own processes on a real database and broker, seen only through its doors: REST, MQTT, `mes`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx
import pytest

from tests import parts
from tests.journeys.teller import Said

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0


def program(name: str) -> str:
    """A program of Mosquitto; the test is skipped where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def comes_true(true: Callable[[], bool], wait_s: float = WAIT_S) -> bool:
    """Wait until something is so; whether it was in time."""
    end = time.monotonic() + wait_s
    while not (done := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return done


def until(true: Callable[[], bool], what: str, why_not: Callable[[], Any] = lambda: "") -> None:
    """Wait until something is so; fails saying what never was."""
    assert comes_true(true), f"{what}: not within {WAIT_S} s {why_not()}"


class Plant:
    """Processes on a database and broker, with settings from `MES_*` variables; use it with `with`."""

    def __init__(self, database_url: str, broker_url: str, folder: Path, **settings: str) -> None:
        self.folder, self.broker = folder, urlsplit(broker_url)
        self.port = parts.any_port()
        mine = {"MES_DATABASE_URL": database_url, "MES_MQTT_URL": broker_url, "MES_PORT": str(self.port)}
        mine |= {"MES_DATA_DIR": str(folder / "data"), "MES_PENDING_RETRY_S": "0.3"}
        self.environment = os.environ | mine | settings
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.logs: dict[str, BinaryIO] = {}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=20)

    def __enter__(self) -> "Plant":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        for log in self.logs.values():
            log.close()
        self.client.close()

    def run(self, name: str, *command: str) -> None:
        """Start a program; what it writes goes to a file of its name."""
        if name not in self.logs:
            self.logs[name] = (self.folder / f"{name}.log").open("wb")
        log = self.logs[name]
        self.processes[name] = subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=log, stderr=log)

    def mes(self, *names: str) -> None:
        """Start processes of the MES."""
        for name in names:
            self.run(name, sys.executable, "-m", "mes", name)

    def kill(self, name: str) -> None:
        """End a process without a word, as a power cut would."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def log_in(self, role: str = "admin") -> None:
        """Make a token with the command and use it from now on."""
        command = [sys.executable, "-m", "mes", "tokens", "add", "--role", role]
        made = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=True)
        self.client.headers["Authorization"] = f"Bearer {made.stdout.strip()}"

    # MQTT, by programs that are not ours

    def listen(self) -> None:
        """Write down every receipt from now on."""
        where = ["-h", str(self.broker.hostname), "-p", str(self.broker.port)]
        self.run("receipts", program("mosquitto_sub"), *where, "-q", "1", "-t", "mes/v1/+/receipts")

    def publish(self, said: Said) -> None:
        """Publish one message with `mosquitto_pub`; returns when the broker has it."""
        where = ["-h", str(self.broker.hostname), "-p", str(self.broker.port)]
        command = [program("mosquitto_pub"), *where, "-q", "1", "-t", said.topic, "-s"]
        subprocess.run(command, input=said.payload, check=True, timeout=20)

    @property
    def receipts(self) -> dict[str, list[str]]:
        """The fates told so far of each message, by its id or digest, in the order in which they were told."""
        found: dict[str, list[str]] = defaultdict(list)
        for line in (self.folder / "receipts.log").read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break  # it is still being written
            for one in json.loads(line)["data"]["settled"]:
                found[one.get("id") or one["sha256"]].append(one["fate"])
        return found

    def await_ingest(self, station: str) -> None:
        """Wait until ingest listens, which its receipt for a status shows."""
        sent: list[str] = []

        def answered() -> bool:
            now = datetime.now(UTC).isoformat()
            sent.append(f"probe-{time.monotonic_ns()}")
            data = {"state": "idle", "since": now}
            event = {"specversion": "1.0", "id": sent[-1], "source": f"stations/{station}", "time": now, "data": data}
            payload = json.dumps({**event, "type": "mes.station.status"}).encode()
            self.publish(Said(station, f"mes/v1/{station}/status", payload))
            return any(one in self.receipts for one in sent)

        until(answered, "ingest listens")

    # REST

    def await_rest(self) -> None:
        """Wait until REST answers that all is well."""

        def ready() -> bool:
            assert self.processes["serve"].poll() is None, "serve ended"
            with suppress(httpx.TransportError):
                return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
            return False

        until(ready, "REST is ready")

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON that a request which must succeed is answered with."""
        answer = self.client.request(method, path, json=body, params=query)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, limit=7, **cursor, **query)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    def journal(self, after: int = -1, limit: int = 17) -> list[dict[str, Any]]:
        """The journal from a position on, page by page."""
        entries: list[dict[str, Any]] = []
        while page := self.get("/journal", after=after, limit=limit)["items"]:
            entries += page
            after = page[-1]["position"]
        return entries
