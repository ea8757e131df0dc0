"""What a station keeps on disk until its receipt comes."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mes.formats.messages import SettledMessage, WireReason
from stations.beside import left, take_place
from stations.spool import Posted, Spool, SpoolError, SpoolFullError, SpoolInUseError

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ALL = (0, 1000, 10**9)


def posted(id: str, payload: bytes = b"{}") -> Posted:
    return Posted(id, "mes/v1/s1/run", payload)


def settled(id: str, fate: Any = "applied", *reasons: WireReason) -> SettledMessage:
    return SettledMessage(fate, id=id, reasons=reasons)


def waiting(spool: Spool) -> list[str]:
    return [one.id for one in spool.waiting(*ALL)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "s1.spool"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    with closing(Spool(path, "s1")) as opened:
        yield opened


def test_what_waits_is_kept_in_order_by_the_next_process_too(spool: Spool, path: Path) -> None:
    spool.keep([posted("b"), posted("a", b'{"x": 1}')])
    spool.keep([posted("c")])
    assert spool.settle([settled("b")], NOW) == ["b"]
    spool.close()
    with closing(Spool(path, "s1")) as again:
        assert [(one.id, one.payload) for one in again.waiting(*ALL)] == [("a", b'{"x": 1}'), ("c", b"{}")]
        assert (again.waiting_messages, again.waiting_bytes) == (2, 10)
        assert again.fate("b") == settled("b")


def test_what_was_kept_outlives_a_kill(path: Path) -> None:
    program = (
        "import os, signal, sys; from stations.spool import Posted, Spool; s = Spool(sys.argv[1], 's1', durable=False);"
        "[s.keep([Posted(f'{n:03}', 't', b'x')]) for n in range(300)]; os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == -9
    with closing(Spool(path, "s1")) as spool:
        assert waiting(spool) == [f"{number:03}" for number in range(300)]


def test_it_is_read_in_portions_of_messages_and_bytes(spool: Spool) -> None:
    spool.keep([posted(id, b"x" * 100) for id in "abcd"])
    first = spool.waiting(0, 3, 10**9)
    assert [one.id for one in first] == ["a", "b", "c"]
    assert [one.id for one in spool.waiting(first[0].seq, 9, 250)] == ["b", "c"]
    assert [one.id for one in spool.waiting(first[2].seq, 9, 1)] == ["d"]  # one always, however large


def test_pending_ends_the_wait_and_is_not_final(spool: Spool) -> None:
    spool.keep([posted("a"), posted("b")])
    why = WireReason("unknown_unit", "No such unit.", {"serial": "X"})
    spool.settle([settled("a", "pending", why)], NOW)
    assert waiting(spool) == ["b"]
    assert spool.unsettled() == ["a", "b"]
    assert spool.fate("a") == settled("a", "pending", why)
    assert spool.doubt_pending() == 1  # it is said again now and then: the second receipt may have been missed
    assert waiting(spool) == ["a", "b"]
    assert spool.without_receipt() == {"b"}
    spool.settle([settled("a")], NOW)
    assert spool.fate("a") == settled("a")
    assert spool.unsettled() == ["b"]


def test_the_first_final_fate_stays(spool: Spool) -> None:
    spool.keep([posted("a")])
    for fate in ("applied", "duplicate", "pending"):
        spool.settle([settled("a", fate)], NOW)
    assert spool.fate("a") == settled("a")


def test_receipts_of_others_are_nothing_to_us(spool: Spool) -> None:
    spool.keep([posted("a")])
    assert spool.settle([settled("z"), SettledMessage("rejected", sha256="0" * 64)], NOW) == []
    assert spool.fate("z") is None


def test_the_same_id_is_kept_once(spool: Spool) -> None:
    spool.keep([posted("a", b"1")])
    spool.keep([posted("a", b"22"), posted("b")])
    assert [one.payload for one in spool.waiting(*ALL)] == [b"1", b"{}"]
    assert (spool.waiting_messages, spool.waiting_bytes) == (2, 3)


def test_what_was_settled_waits_again_when_it_is_wanted(spool: Spool) -> None:
    spool.keep([posted(id) for id in "abc"])
    for minutes, id in enumerate("abc"):
        spool.settle([settled(id)], NOW + timedelta(minutes=minutes))
    assert spool.want(NOW + timedelta(minutes=1), NOW + timedelta(minutes=1)) == 1
    assert spool.want(NOW + timedelta(minutes=2), None) == 1
    assert waiting(spool) == ["b", "c"]
    assert spool.unsettled() == []
    spool.settle([settled("b", "duplicate")], NOW + timedelta(hours=1))
    assert waiting(spool) == ["c"]
    assert spool.fate("b") == settled("b")


def test_what_is_settled_is_kept_some_days(path: Path) -> None:
    with closing(Spool(path, "s1", kept_days=2)) as spool:
        spool.keep([posted(id) for id in "abc"])
        spool.settle([settled("a")], NOW)
        spool.settle([settled("b")], NOW + timedelta(days=1.9))
        spool.settle([settled("c")], NOW + timedelta(days=2.1))
        assert set(spool.fates("abc")) == {"b", "c"}


def test_a_full_spool_says_so_and_takes_nothing_by_halves(path: Path) -> None:
    with closing(Spool(path, "s1", max_messages=2)) as spool:
        spool.keep([posted("a")])
        with pytest.raises(SpoolFullError, match="1 messages wait for receipts; 2 may"):
            spool.keep([posted("b"), posted("c")])
        assert waiting(spool) == ["a"]
        spool.keep([posted("b")])
        assert spool.filled == 1.0
        spool.settle([settled("a")], NOW)
        spool.keep([posted("c")])


def test_what_is_settled_makes_room_for_what_waits(path: Path) -> None:
    with closing(Spool(path, "s1", max_bytes=1000)) as spool:
        for number in range(30):
            spool.keep([posted(f"{number}", b"x" * 100)])
            spool.settle([settled(f"{number}")], NOW + timedelta(seconds=number))
        assert 0 < len(spool.fates(str(number) for number in range(30))) <= 10
        for number in range(10):
            spool.keep([posted(f"w{number}", b"x" * 100)])
        with pytest.raises(SpoolFullError, match="1000 bytes wait for receipts; 1000 may"):
            spool.keep([posted("more", b"x")])
        assert len(waiting(spool)) == 10


def test_a_full_disk_is_a_full_spool(spool: Spool) -> None:
    spool.keep([posted("a")])
    (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
    spool._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolFullError, match="disk"):
        spool.keep([posted("b", b"x" * 100_000)])
    assert (waiting(spool), spool.waiting_messages) == (["a"], 1)


def test_one_process_has_it(spool: Spool, path: Path) -> None:
    told = opened_elsewhere(path)
    assert "SpoolInUseError" in told
    assert "open in another process" in told
    with pytest.raises(SpoolInUseError):  # nor twice in the same
        Spool(path, "s1", wait_s=0)


def test_opening_it_again_lets_no_other_process_in(spool: Spool, path: Path) -> None:
    """Closing any descriptor of a file drops all locks that a process has on it."""
    linked = path.with_name("other-name.spool")
    linked.symlink_to(path)
    for again in (path, linked, path.parent / ".." / path.parent.name / path.name):
        with pytest.raises(SpoolInUseError, match="open in this process already"):
            Spool(again, "s1", wait_s=0)
    assert "open in another process" in opened_elsewhere(path)
    spool.close()
    assert opened_elsewhere(path) == ""


def test_programs_of_one_process_take_places_and_keep_them(tmp_path: Path) -> None:
    with closing(take_place("s1", "push", tmp_path).spool) as first:
        with closing(take_place("s1", "push", tmp_path).spool) as second:
            assert (first.path.name, second.path.name) == ("push-0.spool", "push-1.spool")
        assert list(left("s1", tmp_path)) == []
        assert "open in another process" in opened_elsewhere(first.path)


def test_a_spool_that_could_not_be_opened_may_be_opened_again(path: Path) -> None:
    Spool(path, "s1").close()
    with pytest.raises(SpoolError, match="needs a spool of its own"):
        Spool(path, "s2")
    with sqlite3.connect(path) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SpoolInUseError, match="another process"):
            Spool(path, "s1", wait_s=0)
    holder.close()
    with closing(Spool(path, "s1")) as spool:
        spool.keep([posted("a")])


def test_of_many_threads_one_opens_it(path: Path) -> None:
    def opened(_: int) -> Spool | None:
        with suppress(SpoolInUseError):
            return Spool(path, "s1", wait_s=0)
        return None

    with ThreadPoolExecutor(8) as threads:
        (spool,) = [one for one in threads.map(opened, range(32)) if one]
    assert "open in another process" in opened_elsewhere(path)
    spool.close()


def opened_elsewhere(path: Path) -> str:
    """What another process hears when it opens the spool; nothing where it may."""
    program = "import sys; from stations.spool import Spool; Spool(sys.argv[1], 's1', wait_s=0.2).close()"
    return subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True).stderr


def test_it_is_one_stations(spool: Spool, path: Path) -> None:
    spool.close()
    with pytest.raises(SpoolError, match="holds what s1 said; s2 needs"):
        Spool(path, "s2")


def test_what_is_no_spool_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("my thesis, the only copy")
    with pytest.raises(SpoolError, match="is no spool"):
        Spool(path, "s1")
    assert path.read_text() == "my thesis, the only copy"
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipe (name TEXT)")
    with pytest.raises(SpoolError, match="is no spool"):
        Spool(path, "s1")


def test_a_damaged_spool_is_set_aside_and_taken_over_as_far_as_it_can_be_read(path: Path) -> None:
    with closing(Spool(path, "s1")) as spool:
        spool.keep([posted(f"{number:03}", b"x" * 2000) for number in range(400)])
        spool.settle([settled("000")], NOW)
    with path.open("r+b") as file:  # somewhere in the middle the disk forgot
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 3 * 4096)
    with closing(Spool(path, "s1")) as mended:
        assert mended.salvaged
        kept = waiting(mended)
        assert {"001", "399"} <= set(kept)
        assert 380 <= len(kept) < 400
        assert kept == sorted(kept)
        assert mended.fate("000") == settled("000")
        mended.keep([posted("new")])
        assert waiting(mended)[-1] == "new"
    assert len(list(path.parent.glob("s1.spool.damaged-*"))) >= 1


def test_a_file_that_a_power_cut_left_empty_or_of_zeros_is_begun_anew(path: Path) -> None:
    for content in (b"", b"\0" * 8192):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        with closing(Spool(path, "s1")) as spool:
            spool.keep([posted("a")])
        path.unlink()


def test_it_says_when_it_is_closed(spool: Spool) -> None:
    spool.close()
    with pytest.raises(SpoolError, match="closed"):
        spool.keep([posted("a")])
