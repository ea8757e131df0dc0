"""A real Mosquitto on the configuration that deploy/ ships, with the paths and ports of a test."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from mes.embedded.broker import find_mosquitto
from mes.formats.broker_passwords import BrokerAccount, hashed, mosquitto_file
from mes.mqtt.address import Broker
from tests import parts

DEPLOY = Path(__file__).parents[2] / "deploy"
START_S = 10.0


class FloorBroker(NamedTuple):
    """A running broker: the port of the MES's door and of the stations', and the file of its passwords."""

    mes_port: int
    station_port: int
    passwords: Path
    process: subprocess.Popen[bytes]

    def mes(self, password: str = "of-the-mes") -> Broker:
        """The MES at its own door."""
        return Broker("127.0.0.1", self.mes_port, "mes", password, tls=False)

    def station(self, name: str, secret: str) -> Broker:
        """A station at its door."""
        return Broker("127.0.0.1", self.station_port, name, secret, tls=False)

    def reload(self) -> None:
        """Have it read its passwords again."""
        self.process.send_signal(signal.SIGHUP)
        time.sleep(1.0)  # it reads them between two rounds of its work, and says nothing of it


def passwords(**secrets: str) -> str:
    """A password file with the MES and these stations, underscores in their names standing for hyphens."""
    users = {"mes": "of-the-mes", **{name.replace("_", "-"): secret for name, secret in secrets.items()}}
    return mosquitto_file(BrokerAccount(name, hashed(secret)) for name, secret in users.items())


@contextmanager
def floor_broker(
    folder: Path, password_text: str, replaced: Mapping[str, str] | None = None, acl: str | None = None
) -> Iterator[FloorBroker]:
    """Mosquitto on the shipped files; `replaced` are patterns in the configuration and what stands there instead."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed")
    mes_port, station_port = parts.any_port(), parts.any_port()
    text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
    changes = {
        r"(?m)^listener 1883$": f"listener {mes_port} 127.0.0.1",
        r"(?m)^listener 1884$": f"listener {station_port} 127.0.0.1",
        r"/mosquitto/(accounts|config|data)": str(folder),
        **(replaced or {}),
    }
    for pattern, instead in changes.items():
        text, count = re.subn(pattern, instead, text)
        assert count, f"nothing in mosquitto.conf matches {pattern}"
    file, kept = folder / "mosquitto.conf", folder / "passwords"
    file.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
    kept.write_text(password_text)
    (folder / "acl").write_text(acl or (DEPLOY / "mosquitto" / "acl").read_text())
    with started(program, file, mes_port) as process:
        yield FloorBroker(mes_port, station_port, kept, process)


@contextmanager
def started(program: str, file: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Mosquitto on a configuration, answering on the port, for as long as the block lasts."""
    with (file.parent / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(file)], stdout=log, stderr=log)
    try:
        parts.wait_for_port(port, START_S)
        yield process
    finally:
        process.terminate()
        process.wait(10)
