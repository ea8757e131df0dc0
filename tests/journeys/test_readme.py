"""The README's example, run word for word in a shell against `mes up`."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import parts

ROOT = Path(__file__).parents[2]


def _block(name: str) -> str:
    """What stands in the README between marks of this name."""
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- /{name} -->", text, re.S)
    assert found, f"the README has no block between the marks {name}"
    return found.group(1)


@pytest.fixture
def mes_up(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """`mes up` in an empty folder; its ports of REST and MQTT."""
    rest, mqtt = parts.any_port(), parts.any_port()
    argv = [sys.executable, "-m", "mes", "up", "--port", str(rest), "--mqtt-port", str(mqtt)]
    log = tmp_path / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            argv, cwd=tmp_path, stdout=out, stderr=out, env={**os.environ, "MES_DATA_DIR": ".mes"}
        )
    try:
        deadline = time.monotonic() + 90
        while "The MES runs" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield rest, mqtt
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()


def test_the_examples_take_two_cables_through_their_route(tmp_path: Path, mes_up: tuple[int, int]) -> None:
    for program in ("mosquitto_pub", "mosquitto_rr", "curl"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    rest, mqtt = mes_up
    script = _block("example").replace("8460", str(rest)).replace("mosquitto_pub", f"mosquitto_pub -p {mqtt}")
    # Two seconds instead of one before looking: the machine may be busy with other tests.
    script = "set -e\n" + script.replace("sleep 1", "sleep 10")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    first, failures = [line for line in done.stdout.splitlines() if line][-2:]
    assert '"state":"completed"' in first
    assert "B2 and B3 are swapped: A2 reaches B3, A3 reaches B2." in failures

    opening = script[: script.index("rest PUT")]
    ask = opening + _block("ask").replace("mosquitto_rr", f"mosquitto_rr -p {mqtt}")
    ask = ask.replace("mosquitto_sub", f"mosquitto_sub -p {mqtt}")
    asked = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert asked.returncode == 0, asked.stderr
    answer, receipts = asked.stdout.strip().splitlines()
    assert '"granted":false' in answer
    assert "has already passed" in answer
    assert '"fate":"applied"' in receipts

    station = _block("station").replace("1883", str(mqtt))
    said = subprocess.run([sys.executable, "-c", station], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert "fate='applied'" in said.stdout
    lookup = opening + "rest GET /units/C4-0002"
    done = subprocess.run(["bash", "-c", lookup], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert '"state":"completed"' in done.stdout
