"""The supervisor: what it starts lives, is started again when it dies, and ends with it, however it ends."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from mes.embedded.child import Child, Process, born
from mes.embedded.folder import sole_use
from mes.embedded.problems import FolderInUseError, PartError
from mes.embedded.processes import Backoff, Supervisor
from tests.embedded.programs import COUNTER, SLEEPER, line, process, running, wait_until

SUPERVISE = """
import asyncio, json, sys
from pathlib import Path
from mes.embedded.folder import sole_use
from mes.embedded.processes import Supervisor, until_signalled
from tests.embedded.programs import COUNTER, SLEEPER, STUBBORN

def argv(kind):
    if kind.startswith("counter:"):
        return [*COUNTER, kind.partition(":")[2]]
    return STUBBORN if kind == "stubborn" else SLEEPER

async def main(data_dir, kinds):
    async with until_signalled():
        with sole_use(data_dir):
            async with Supervisor(data_dir) as services:
                for number, kind in enumerate(kinds):
                    await services.start(f"{kind.partition(':')[0]}_{number}", argv(kind))
                print(json.dumps(services.pids()), flush=True)
                await services.watch()
    print("left in good order", flush=True)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
"""


def children(told: str) -> list[Process]:
    return [process(pid) for pid in json.loads(told).values()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_every_process(tmp_path: Path, number: signal.Signals) -> None:
    with running(SUPERVISE, str(tmp_path), "one", "two", "three") as supervisor:
        started = children(line(supervisor))
        began = time.monotonic()
        supervisor.send_signal(number)
        assert line(supervisor) == "left in good order"
        assert supervisor.wait(timeout=20) == 0
    assert time.monotonic() - began < 8
    assert not any(one.alive for one in started)


def test_second_ctrl_c_ends_what_does_not_want_to(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), "one", "stubborn") as supervisor:
        started = children(line(supervisor))
        log = tmp_path / "logs" / "stubborn_1.log"
        wait_until(lambda: "deaf" in log.read_text())
        supervisor.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert supervisor.poll() is None, "the first Ctrl-C gives the child time"
        supervisor.send_signal(signal.SIGINT)
        supervisor.wait(timeout=9)
    wait_until(lambda: not any(one.alive for one in started))


def test_killed_supervisor_takes_its_children_along(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), "one", "two") as supervisor:
        started = children(line(supervisor))
        for log in ("one_0", "two_1"):
            wait_until(lambda log=log: "awake" in (tmp_path / f"logs/{log}.log").read_text())
        supervisor.kill()
        supervisor.wait()
        wait_until(lambda: not any(one.alive for one in started))


def test_next_start_ends_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), "stubborn") as supervisor:
        (left,) = children(line(supervisor))
        wait_until(lambda: "deaf" in (tmp_path / "logs" / "stubborn_0.log").read_text())
        supervisor.kill()
        supervisor.wait()
    assert left.alive, "it is deaf to the signal that the kernel sent it"
    with running(SUPERVISE, str(tmp_path), "one") as supervisor:
        assert "was left by an earlier run" in line(supervisor)
        line(supervisor)
        assert not left.alive
        supervisor.send_signal(signal.SIGINT)
        supervisor.wait(timeout=20)


def test_second_supervisor_of_the_folder_is_refused(tmp_path: Path) -> None:
    with running(SUPERVISE, str(tmp_path), "one") as supervisor:
        line(supervisor)
        with pytest.raises(FolderInUseError, match=f"process {supervisor.pid}"), sole_use(tmp_path):
            pass
        supervisor.send_signal(signal.SIGINT)
        supervisor.wait(timeout=20)
    with sole_use(tmp_path):
        pass


def test_child_hears_of_a_terminals_ctrl_c_once(tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to every process of its job; only the supervisor's word may reach the child."""
    said = tmp_path / "said"
    with running(SUPERVISE, str(tmp_path), f"counter:{said}") as supervisor:
        line(supervisor)
        wait_until(said.exists)
        os.killpg(supervisor.pid, signal.SIGINT)
        supervisor.wait(timeout=20)
    assert said.read_text() == f"{int(signal.SIGTERM)}\n"


async def test_children_end_in_reverse_order(tmp_path: Path) -> None:
    said = tmp_path / "said"
    async with Supervisor(tmp_path) as services:
        for name in ("first", "second", "third"):
            said.unlink(missing_ok=True)
            await services.start(name, [*COUNTER, str(said), name])
            wait_until(said.exists)
    assert said.read_text().split() == ["third", "second", "first"]


async def test_child_that_dies_is_started_again(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as services:
        await services.start("one", SLEEPER)
        first = services.pids()["one"]
        watch = asyncio.create_task(services.watch())
        os.kill(first, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: services.pids()["one"] != first)
        assert born(services.pids()["one"])
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_child_that_is_done_is_not_started_again(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as services:
        await services.start("once", [SLEEPER[0], "-c", "raise SystemExit(3)"], restart=False)
        async with asyncio.timeout(10):
            await services.watch()
        assert await services.ended("once") == 3


async def test_child_that_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path) as services:
        with pytest.raises(PartError, match="the reason"):
            await services.start("one", [SLEEPER[0], "-c", "raise SystemExit('the reason')"], ready=never)


async def test_child_gets_the_environment_and_its_output_goes_to_its_log(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, {"MES_SITE": "aarhus"}) as services:
        show = [SLEEPER[0], "-c", "import os; print(os.environ['MES_SITE'], os.environ['EXTRA'], 'PATH' in os.environ)"]
        await services.start("one", show, env={"EXTRA": "more"}, restart=False)
        await services.ended("one")
    assert (tmp_path / "logs" / "one.log").read_text().strip() == "aarhus more True"


async def test_grandchildren_end_too(tmp_path: Path) -> None:
    source = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    log = tmp_path / "logs" / "parent.log"
    async with Supervisor(tmp_path) as services:
        await services.start("parent", [SLEEPER[0], "-c", source])
        wait_until(lambda: log.exists() and log.read_text().strip())
        grandchild = process(int(log.read_text()))
    wait_until(lambda: not grandchild.alive)


async def test_log_that_grew_large_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with log.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    child = Child("one", [SLEEPER[0], "-c", "print('fresh')"], log)
    await child.ended(10)
    assert log.read_text() == "fresh\n"
    assert (tmp_path / "one.log.1").exists()


def test_patience_grows_and_is_bounded() -> None:
    backoff = Backoff()
    waits = [backoff.next_s() for _ in range(12)]
    assert waits[0] < 1 < waits[3]
    assert max(waits) <= 36
    backoff.began -= 100
    assert backoff.next_s() < 1
