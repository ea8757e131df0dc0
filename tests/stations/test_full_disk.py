"""A spool that filled its disk empties when receipts come, and takes new messages then."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mes.formats.messages import WireReason
from stations.alarms import Alarm
from stations.spool import Spool, SpoolDamagedError, SpoolError
from tests.embedded.programs import wait_until
from tests.stations.played_mes import Opener, PlayedMes
from tests.stations.test_spool import NOW, posted, settled, waiting


@pytest.fixture
def mqtt() -> str:
    """The version of MQTT makes no difference here."""
    return "3.1.1"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path / "s1.spool", "s1")) as opened:
        yield opened


def fill_disk(spool: Spool) -> None:
    """From now on nothing can be written to the file."""
    spool._db.execute("PRAGMA query_only = ON")


def free_disk(spool: Spool) -> None:
    spool._db.execute("PRAGMA query_only = OFF")


def test_receipts_that_can_not_be_noted_end_the_wait_and_are_noted_later(spool: Spool) -> None:
    spool.keep([posted(id, b"x" * 10) for id in "abcd"])
    spool.settle([settled("d", "rejected")], NOW)
    fill_disk(spool)
    why = WireReason("unknown_unit", "No such unit.")
    assert spool.settle([settled("a"), settled("b", "pending", why), settled("z"), settled("d")], NOW) == [
        "a",
        "b",
        "d",
    ]
    assert spool.settle([settled("b"), settled("a", "duplicate")], NOW) == ["b", "a"]
    for _ in range(2):
        assert waiting(spool) == spool.unsettled() == ["c"]
        assert (spool.waiting_messages, spool.waiting_bytes) == (1, 10)
        assert spool.without_receipt() == spool.without_receipt("abc") == {"c"}
        assert spool.fates("abcd") == {"a": settled("a"), "b": settled("b"), "d": settled("d", "rejected")}
        if spool.held:
            free_disk(spool)
            spool.keep([])
            assert spool.held == 0
    spool.close()
    with closing(Spool(spool.path, "s1")) as again:
        assert again.fates("ab") == {"a": settled("a"), "b": settled("b")}


def test_what_is_held_is_passed_over_and_what_waits_behind_it_is_sent(spool: Spool) -> None:
    spool.keep([posted(f"{number:02}") for number in range(20)])
    fill_disk(spool)
    spool.settle([settled(f"{number:02}") for number in range(15)], NOW)
    assert [one.id for one in spool.waiting(0, 3, 10**9)] == ["15", "16", "17"]
    free_disk(spool)
    spool.settle([settled("15")], NOW)
    assert (spool.held, waiting(spool)) == (0, ["16", "17", "18", "19"])


def test_a_station_whose_disk_is_full_tells_it_and_hears_its_receipts(open_station: Opener, mes: PlayedMes) -> None:
    alarms: list[Alarm] = []
    with open_station(on_alarm=alarms.append) as station:
        mes.fate = lambda message: None
        ids = [station.start("CB-1", "crimp", run=f"r{number}") for number in range(3)]
        wait_until(lambda: len(mes.ids("step")) == 3)
        fill_disk(station._spool)
        for id in ids:
            mes.settle("s1", id, "applied")
        assert [one.fate for one in station.await_receipts(ids).values()] == ["applied"] * 3
        assert [one.code for one in alarms] == ["spool_full"]
        assert "receipts are kept in memory until it has room" in alarms[0].text
        free_disk(station._spool)


def test_a_spool_that_is_deleted_while_it_is_open_takes_nothing_more(open_station: Opener, tmp_path: Path) -> None:
    alarms: list[Alarm] = []
    station = open_station(on_alarm=alarms.append)
    station.start("CB-1", "crimp")
    for path in tmp_path.glob("s1.spool*"):
        path.unlink()
    with pytest.raises(SpoolDamagedError, match="was deleted or replaced while it was open"):
        station.start("CB-1", "crimp")
    assert [one.code for one in alarms] == ["spool_damaged"]
    (tmp_path / "s1.spool").write_text("another file")
    with pytest.raises(SpoolDamagedError):
        station.start("CB-1", "crimp")
    station.close(linger_s=0)


def test_a_folder_that_can_not_be_made_or_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match=r"The folder /proc/zz can't be made: .*; name another with --spools"):
        Spool("/proc/zz/s1.spool", "s1")
    with pytest.raises(SpoolError, match="can't be read: Is a directory"):
        Spool(tmp_path, "s1")


ON_A_SMALL_DISK = """
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from mes.formats.messages import SettledMessage
from stations.spool import Posted, Spool, SpoolFullError

size, others = int(sys.argv[2]), sys.argv[3] == "others"
spool = Spool(Path(sys.argv[1]) / "s1.spool", "s1")
now = datetime(2026, 11, 22, 10, tzinfo=UTC)
count = 0

def fill():
    global count
    begun = count
    with suppress(SpoolFullError):
        while True:
            spool.keep([Posted(f"m{count}", "t", b"x" * size)])
            count += 1
    return count - begun

first = fill()
if others:  # what is left of the disk is taken by another program
    with suppress(OSError), open(Path(sys.argv[1]) / "log", "wb", buffering=0) as log:
        while True:
            log.write(b"x" * 512)
assert first and spool.waiting_messages == first, first
while batch := spool.waiting(0, 7, 10**9):
    now += timedelta(seconds=1)
    settled = [SettledMessage("applied", id=one.id) for one in batch]
    assert spool.settle(settled, now) == [one.id for one in batch]
    assert len(spool.fates(one.id for one in batch)) == len(batch)
assert (spool.waiting_messages, spool.unsettled()) == (0, [])
assert others or spool.held == 0, spool.held
again = fill()
print(first, again, spool.held)
spool.close()
spool = Spool(Path(sys.argv[1]) / "s1.spool", "s1")
print(spool.waiting_messages)
"""


@pytest.mark.parametrize("size", [300, 5000, 40_000])
@pytest.mark.parametrize("others", ["alone", "others"])
def test_a_spool_that_filled_its_disk_empties(tmp_path: Path, size: int, others: str) -> None:
    """On a real small disk, which needs the right to mount one."""
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=600k tmpfs "$0" && exec "$@"', str(tmp_path)]
    if subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    script = [sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path), str(size), others]
    done = subprocess.run([*mount, *script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, again, held, left = map(int, done.stdout.split())
    assert held == 0
    assert left == again
    if others == "alone":
        assert again >= (first // 2 if size < 10_000 else 1)
