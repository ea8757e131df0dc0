"""The MES as stations see it, played by a test: hears what they say and answers as the test wants."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from mes.formats.messages import Message, SettledMessage, StepAnswered, decode, encode_event, encode_settled
from mes.mqtt.address import parse_url
from stations.client import Station

Opener: TypeAlias = Callable[..., Station]


class PlayedMes:
    """Hears what stations say and answers as a test wants."""

    def __init__(self, url: str) -> None:
        self.heard: list[tuple[str, Message]] = []
        self.retained: list[bool] = []
        self.answer: Callable[[str], StepAnswered | None] = lambda asked: StepAnswered(asked, True, "g1", 300.0)
        self.ahead = timedelta()
        self.subscribed = threading.Event()
        self.fate: Callable[[Message], str | None] = lambda message: "applied"
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="played-mes", clean_session=False)
        self.client.on_connect = lambda client, *_: client.subscribe("mes/v1/+/#", qos=1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self.hear
        address = parse_url(url)
        self.client.connect(address.host, address.port)
        self.client.loop_start()
        assert self.subscribed.wait(10)

    def hear(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        _, _, station, kind = message.topic.split("/", 3)
        if kind in ("answers", "receipts", "wanted"):
            return
        for one in decode(station, kind, bytes(message.payload)):
            assert isinstance(one, Message), one
            self.heard.append((kind, one))
            if kind == "ask":
                if answer := self.answer(one.id):
                    self.say(station, "answers", "mes.step.answered", answer)
            elif fate := self.fate(one):
                self.settle(station, one.id, fate)

    def settle(self, station: str, id: str, fate: Any) -> None:
        payload = encode_settled(
            "mes/main", f"receipt-{time.monotonic_ns()}", self.now(), (SettledMessage(fate, id=id),)
        )
        self.client.publish(f"mes/v1/{station}/receipts", payload, qos=1)

    def say(self, station: str, kind: str, type_: str, data: Any) -> None:
        payload = encode_event(type_, "mes/main", f"said-{time.monotonic_ns()}", self.now(), data)
        self.client.publish(f"mes/v1/{station}/{kind}", payload, qos=1)

    def now(self) -> datetime:
        """What time the MES thinks it is."""
        return datetime.now(UTC) + self.ahead

    def ids(self, kind: str) -> list[str]:
        return [one.id for heard, one in self.heard if heard == kind]

    def statuses(self) -> list[Any]:
        return [one.data for heard, one in self.heard if heard == "status"]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def cut(station: Station) -> None:
    """The network breaks: no goodbye is said."""
    connection = station._link._connection
    assert connection is not None
    sock = connection._client.socket()
    assert sock is not None
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
