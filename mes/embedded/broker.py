"""The embedded MQTT broker: Mosquitto if the machine has it, else amqtt in a process of its own.

It listens on this machine only and lets everyone in: it is for a first day and for tests. A real floor runs its own
broker, with certificates and accounts, and names it in MES_MQTT_URL.
"""

import asyncio
import errno
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from mes.embedded import ports
from mes.embedded.child import POLITELY, Child, Process
from mes.embedded.mosquitto import MESSAGE_MAX_BYTES, keeping
from mes.embedded.problems import PartError, PortTakenError
from mes.embedded.shared_server import SharedServer

DEFAULT_PORT = 1883
PORT_RECORD = "broker.port"
START_S = 30.0
ANSWER_S = 2.0
PORT_TAKEN = os.strerror(errno.EADDRINUSE).lower()

# A clean-session CONNECT of MQTT 3.1.1 with client id `mes-probe`, the CONNACK that welcomes it, and a DISCONNECT.
CONNECT = b"\x10\x15\x00\x04MQTT\x04\x02\x00\x0a\x00\x09mes-probe"
CONNACK = b"\x20\x02\x00\x00"
DISCONNECT = b"\xe0\x00"


def find_mosquitto() -> str | None:
    """The program, also where an ordinary user's PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


def configuration(port: int, persistence: Path, message_max_bytes: int) -> str:
    """Mosquitto's configuration: nothing is dropped silently, and little is lost when it is killed."""
    lines = [
        f"listener {port} {ports.HOST}",
        "allow_anonymous true",
        f"persistence_location {persistence}/",
        *(line.text for line in keeping(message_max_bytes)),
        "sys_interval 0",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
    ]
    if os.geteuid() == 0:
        # Otherwise it becomes the user `mosquitto`, who can neither enter our folder nor save there.
        lines.append("user root")
    return "\n".join(lines) + "\n"


def remembered_url(data_dir: Path, default_port: int = DEFAULT_PORT) -> str:
    """Where the broker of a data folder listens, or did last, for a program that knows no more than the folder."""
    return f"mqtt://{ports.HOST}:{ports.remembered(data_dir / PORT_RECORD, default_port)}"


class Broker(SharedServer):
    """The broker of one data folder. Mosquitto saves its state when it is stopped."""

    def __init__(
        self,
        data_dir: Path,
        port: int = DEFAULT_PORT,
        *,
        exact: bool = True,
        mosquitto: str | bool = True,
        message_max_bytes: int = MESSAGE_MAX_BYTES,
    ) -> None:
        """The port is had or refused; with `exact=False` it is that of last time, or the next free one from `port` on.

        `mosquitto` is a path, True to look for one, or False for amqtt.
        """
        super().__init__(
            data_dir, "broker", "The MQTT broker", start_s=START_S, turn_s=2 * START_S, stop=POLITELY, at_once=POLITELY
        )
        self._mosquitto = find_mosquitto() if mosquitto is True else mosquitto or None
        self._message_max_bytes = message_max_bytes
        self._first_port = port
        self._exact = exact
        self._record = self.data_dir / "broker.process"

    @property
    def url(self) -> str:
        """Its address; only while it runs."""
        return f"mqtt://{ports.HOST}:{self.port}"

    @property
    def kind(self) -> str:
        """Which broker it would start: `mosquitto` or `amqtt`."""
        return "mosquitto" if self._mosquitto else "amqtt"

    def _found(self) -> Process | None:
        return Process.read(self._record)

    async def _port_of_found(self) -> int | None:
        port, found = self._remembered_port(self._first_port), self._found()
        return port if found and await _is_at(found, port) else None

    async def _launch(self) -> None:
        """Start; when the port may be chosen and is snatched meanwhile, on the next one."""
        while True:
            port = self._choose_port()
            child = Child("broker", self._argv(port), self.log)
            if await self._comes_up(child, port, partial(_is_at, child.process, port)):
                child.process.write(self._record)
                return
            if PORT_TAKEN not in child.said().lower():
                raise PartError(f"{self.kind} ended at once (status {child.status}):\n{child.last_lines()}")

    def _choose_port(self) -> int:
        if not self._exact and self._port is None:
            return ports.next_free(self._remembered_port(self._first_port))
        port = self._port or self._first_port
        if not ports.is_free(port):
            raise PortTakenError(
                f"Port {port} is taken by another program, so the MQTT broker can not listen there. "
                "Choose another with --mqtt-port or MES_MQTT_PORT, or use that broker with MES_MQTT_URL."
            )
        return port

    def _argv(self, port: int) -> list[str]:
        if self._mosquitto is None:
            return [sys.executable, "-W", "ignore", "-m", "mes.embedded.amqtt_process", str(port)]
        persistence = self.data_dir / "broker"
        persistence.mkdir(mode=0o700, exist_ok=True)
        file = persistence / "mosquitto.conf"
        file.write_text(configuration(port, persistence, self._message_max_bytes))
        return [self._mosquitto, "-c", str(file)]


async def _is_at(process: Process, port: int) -> bool:
    """Whether it is this process that welcomes us: the broker of another folder may have snatched the port."""
    return process.listens_on(port) and await answers(port)


async def answers(port: int, host: str = ports.HOST) -> bool:
    """Whether a broker on this port welcomes an MQTT connection."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(CONNECT)
                welcome = await reader.readexactly(len(CONNACK))
                writer.write(DISCONNECT)
                return welcome == CONNACK
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
