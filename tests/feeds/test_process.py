"""The feeds process as it is run: killed, started again, set back, told where to send."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mes.db import sequencer
from mes.db.feeds import position_of
from mes.feeds.traces import NAME
from mes.queries.health import vitals
from mes.settings import OpenTelemetry
from tests.embedded.programs import wait_until
from tests.feeds.floor import build_and_fail, trace
from tests.feeds.receiver import Receiver
from tests.stage import Stage

MES = [sys.executable, "-m", "mes"]


@pytest.fixture
def environment(stage: Stage, receiver: Receiver) -> dict[str, str]:
    """Of a process that works on the test's database and sends to its receiver."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MES_", "OTEL_"))}
    return {**kept, "MES_DATABASE_URL": stage.database.url, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}


@contextmanager
def feeds(environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A feeds process, killed at the end as a power cut would."""
    with subprocess.Popen([*MES, "feeds"], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def mes(environment: dict[str, str], *words: str, status: int = 0) -> str:
    done = subprocess.run([*MES, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return (done.stdout + done.stderr).strip()


async def test_a_killed_feed_sends_on_with_the_same_ids(
    stage: Stage, receiver: Receiver, environment: dict[str, str]
) -> None:
    await build_and_fail(stage, "T0")
    with feeds(environment):  # killed as soon as something arrived, most likely before its cursor moved
        wait_until(lambda: receiver.ids, within_s=30)
    await build_and_fail(stage, "T1")
    said = await ids(stage, "T0") | await ids(stage, "T1")
    with feeds(environment):
        wait_until(lambda: len(receiver.ids) >= len(said), within_s=30)
    assert receiver.ids == said
    receiver.clear()
    assert f"{len(said)} spans were sent" in mes(environment, "traces", "export")
    assert receiver.ids == said, "the same again, by hand"
    assert len(receiver.spans) == len(said)


async def ids(stage: Stage, tray: str) -> set[tuple[str, str]]:
    """The spans of a tray and its GPUs, as the record says them."""
    views = [await trace(stage, serial) for serial in (tray, f"{tray}-A", f"{tray}-B")]
    return {(view.trace_id, span.span_id) for view in views for span in view.spans}


async def test_where_the_feed_stands_can_be_set(stage: Stage, receiver: Receiver, environment: dict[str, str]) -> None:
    await build_and_fail(stage)
    await sequencer.number(stage.database)
    end = int(mes(environment, "traces", "position", "end"))
    async with stage.database.reading() as connection:
        assert (await position_of(connection, NAME)) == end == (await vitals(connection)).journal_entries - 1
    mes(environment, "traces", "export", "T1")
    assert {span.trace_id for span in receiver.spans} == {(await trace(stage, "T1")).trace_id}
    nowhere = {name: value for name, value in environment.items() if not name.startswith("OTEL_")}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in mes(nowhere, "traces", "export", status=1)


@pytest.mark.parametrize(
    ("variables", "wanted", "fine"),
    [
        ({}, False, True),
        ({"ENDPOINT": "http://c:4318"}, True, True),
        ({"TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True, True),
        ({"ENDPOINT": "http://c:4317", "PROTOCOL": "grpc"}, True, False),
        ({"ENDPOINT": "http://c:4317", "PROTOCOL": "grpc", "TRACES_PROTOCOL": "http/protobuf"}, True, True),
    ],
)
def test_the_standard_variables_decide(
    variables: dict[str, str], wanted: bool, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    assert OpenTelemetry().wanted is wanted
    assert (OpenTelemetry().problem is None) is fine
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    assert not OpenTelemetry().wanted
    monkeypatch.setenv("OTEL_SDK_DISABLED", "perhaps")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert not OpenTelemetry().wanted
