"""The embedded brokers: they answer, lose nothing silently, and are found, ended and started again."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from mes.embedded import ports
from mes.embedded.broker import Broker, answers, find_mosquitto
from mes.embedded.child import Process
from mes.embedded.problems import PartError, PortTakenError
from tests.embedded.programs import line, running, wait_until
from tests.parts import any_port

HOLD = """
import asyncio, sys
from pathlib import Path
from mes.embedded.broker import Broker
async def hold():
    async with Broker(Path(sys.argv[1]), exact=False, mosquitto=sys.argv[2] == "mosquitto").running() as url:
        print(url, flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""

Start = Callable[..., Broker]


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@pytest.fixture(params=["mosquitto", "amqtt"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed on this machine")
    return str(request.param)


@pytest.fixture
def make(tmp_path: Path, kind: str) -> Start:
    """Makes the broker of the test's folder, of either kind."""

    def broker(**options: object) -> Broker:
        folder = options.pop("data_dir", tmp_path)
        return Broker(folder, **{"exact": False, "mosquitto": kind == "mosquitto", **options})  # type: ignore[arg-type]

    return broker


@contextmanager
def client(
    url: str, name: str, topics: str | None = None, clean: bool = True
) -> Iterator[tuple[mqtt.Client, list[bytes]]]:
    """A connected MQTT client and what it received."""
    received: list[bytes] = []
    one = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=clean)
    ready: list[object] = []
    one.on_message = lambda _client, _data, message: received.append(message.payload)
    one.on_subscribe = lambda *_: ready.append(True)
    one.on_connect = lambda *_: one.subscribe(topics, qos=1) if topics else ready.append(True)
    one.connect(ports.HOST, port_of(url))
    one.loop_start()
    try:
        wait_until(lambda: ready)
        yield one, received
    finally:
        one.disconnect()
        one.loop_stop()


def publish(url: str, topic: str, payloads: list[bytes], retain: bool = False) -> None:
    with client(url, "publisher") as (one, _):
        for info in [one.publish(topic, payload, qos=1, retain=retain) for payload in payloads]:
            info.wait_for_publish(timeout=20)


async def test_delivers_a_message_of_the_largest_size(make: Start) -> None:
    async with make(message_max_bytes=300_000).running() as url:
        with client(url, "reader", "mes/#") as (_, received):
            publish(url, "mes/v1/x", [b"x" * 300_000])
            wait_until(lambda: received)
            assert [len(payload) for payload in received] == [300_000]


async def test_queues_more_than_mosquittos_default_for_a_reader_that_is_away(make: Start) -> None:
    payloads = [str(number).encode() for number in range(3000)]
    async with make().running() as url:
        with client(url, "reader", "mes/#", clean=False):
            pass
        publish(url, "mes/v1/x", payloads)
        with client(url, "reader", "mes/#", clean=False) as (_, received):
            wait_until(lambda: len(received) == len(payloads))
            assert received == payloads


async def test_mosquitto_keeps_retained_messages_over_a_stop(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed on this machine")
    broker = Broker(tmp_path, exact=False)
    async with broker.running() as url:
        publish(url, "mes/v1/x", [b"kept"], retain=True)
    async with broker.running() as url:
        with client(url, "reader", "mes/#") as (_, received):
            wait_until(lambda: received == [b"kept"])


async def test_taken_port_is_refused_by_name(make: Start) -> None:
    taken = any_port()
    async with await asyncio.start_server(lambda *_: None, ports.HOST, taken):
        with pytest.raises(PortTakenError, match=f"Port {taken} is taken"):
            await make(port=taken, exact=True).start()


async def test_taken_port_makes_it_take_the_next_when_it_may(make: Start) -> None:
    taken = any_port()
    async with await asyncio.start_server(lambda *_: None, ports.HOST, taken), make(port=taken).running() as url:
        assert port_of(url) > taken
    async with make(port=taken).running() as again:
        assert again == url


async def test_takes_no_other_broker_for_its_own_where_its_port_is_snatched(
    make: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make(data_dir=tmp_path / "other")
    async with other.running():
        seen_free = iter([True])
        really_free = ports.is_free
        monkeypatch.setattr(ports, "is_free", lambda port, *host: next(seen_free, False) or really_free(port, *host))
        async with make(port=other.port).running() as url:
            assert port_of(url) != other.port
            assert await answers(port_of(url))


async def test_joins_no_other_broker_at_its_port(make: Start, tmp_path: Path) -> None:
    """Its process is found alive, but the port that it is known to have is another's."""
    other, broker = make(data_dir=tmp_path / "other"), make()
    async with other.running(), broker.running() as url:
        (tmp_path / "broker.port").write_text(str(other.port))
        joined = make()
        joining = asyncio.create_task(joined.start())
        await asyncio.sleep(0.2)
        assert not joining.done()
        (tmp_path / "broker.port").write_text(str(port_of(url)))
        assert await joining == url
        await joined.stop()


async def test_second_start_joins_and_does_not_end_it(make: Start) -> None:
    async with make().running() as url:
        second = make()
        async with second.running() as joined:
            assert joined == url
            assert not second.started_here
        assert await answers(port_of(url))
    assert not await answers(port_of(url))


async def test_killed_broker_is_started_again_at_its_port(make: Start, tmp_path: Path) -> None:
    broker = make()
    url = await broker.start()
    found = Process.read(tmp_path / "broker.process")
    assert found is not None
    found.send(signal.SIGKILL)
    wait_until(lambda: not broker.alive)
    assert await broker.start() == url
    await broker.stop()


async def test_dies_with_the_process_that_started_it_and_starts_again(make: Start, tmp_path: Path, kind: str) -> None:
    with running(HOLD, str(tmp_path), kind) as holder:
        url = line(holder)
        found = Process.read(tmp_path / "broker.process")
        assert found is not None
        holder.kill()
        holder.wait()
        wait_until(lambda: not found.alive)
    async with make().running() as again:
        assert again == url


async def test_start_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(PartError, match="can not run"):
        await Broker(tmp_path, exact=False, mosquitto=str(tmp_path / "nothing")).start()


async def test_what_is_no_broker_does_not_answer() -> None:
    port = any_port()
    assert not await answers(port)
    async with await asyncio.start_server(lambda _, writer: writer.close(), ports.HOST, port):
        assert not await answers(port)
