"""How much is on its way at a time, and when it is sent again."""

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from mes.formats.messages import SettledMessage
from stations import window as window_module
from stations.alarms import Alarm, Alarms
from stations.link import BACK_OFF_MAX_S, BackOff
from stations.spool import Posted, Spool
from stations.window import AGAIN_MAX_S, AT_ONCE, PENDING_AGAIN_S, Window

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
LOTS = 65_535


@pytest.fixture
def spool() -> Iterator[Spool]:
    with closing(Spool(Path(":memory:"), "s1")) as spool:
        yield spool


def keep(spool: Spool, count: int, size: int = 1, start: int = 0) -> list[str]:
    ids = [f"{number:04}" for number in range(start, start + count)]
    spool.keep([Posted(id, "t", b"x" * size) for id in ids])
    return ids


def settle(spool: Spool, window: Window, ids: list[str], fate: str = "applied", now: float = 0) -> None:
    window.settled(spool.settle([SettledMessage(fate, id=id) for id in ids], NOW), now)  # type: ignore[arg-type]


def due(window: Window, now: float, room: int = LOTS) -> list[str]:
    """All that is due at a moment."""
    found = []
    while some := window.due(now, room - len(found)):
        found += [one.id for one in some]
    return found


def test_so_many_are_on_their_way_and_no_more(spool: Spool) -> None:
    window = Window(spool, Alarms("s1", None), max_messages=500)
    window.begin(0)
    ids = keep(spool, 2000)
    assert len(window.due(0, LOTS)) == AT_ONCE
    assert due(window, 0) == ids[AT_ONCE:500]
    settle(spool, window, ids[:100])
    assert due(window, 0) == ids[500:600]
    assert len(window) == 500


def test_so_many_bytes_are_on_their_way_and_one_message_more(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module, "MAX_BYTES", 1000)
    window = Window(spool, Alarms("s1", None))
    window.begin(0)
    ids = keep(spool, 3, size=600)
    assert due(window, 0) == ids[:2]
    settle(spool, window, ids[:1])
    assert due(window, 0) == ids[2:]
    spool.keep([Posted("large", "t", b"x" * 5000)])
    settle(spool, window, ids[1:])
    assert due(window, 0) == ["large"]


def test_the_brokers_own_bound_is_kept(spool: Spool) -> None:
    window = Window(spool, Alarms("s1", None))
    window.begin(0)
    ids = keep(spool, 50)
    assert due(window, 0, room=0) == []
    assert due(window, 0, room=20) == ids[:20]
    assert due(window, 0, room=5) == ids[20:25]


def test_a_new_connection_begins_with_the_oldest(spool: Spool) -> None:
    window = Window(spool, Alarms("s1", None))
    window.begin(0)
    ids = keep(spool, 10)
    due(window, 0)
    settle(spool, window, [ids[4]])
    window.begin(1)
    assert due(window, 1) == ids[:4] + ids[5:]


def test_what_has_no_receipt_is_sent_again_less_and_less_often(spool: Spool) -> None:
    alarms: list[Alarm] = []
    window = Window(spool, Alarms("s1", alarms.append), max_messages=300, again_s=30)
    window.begin(0)
    ids = keep(spool, 400)
    assert due(window, 0) == ids[:300]
    assert due(window, 29) == []
    times = [now for now in range(30, 6000, 2) if due(window, now) == ids[:300]]
    pauses = [after - before for before, after in pairwise(times)]
    assert 50 <= pauses[0] <= 70
    assert all(AGAIN_MAX_S * 0.85 < pause < AGAIN_MAX_S * 1.15 for pause in pauses[5:])
    assert [one.code for one in alarms] == ["no_receipts"]
    settle(spool, window, ids[:1], now=6000)
    assert due(window, 6001)[-1] == ids[300]
    settle(spool, window, ids[300:301], now=6002)  # the MES is back, and quick: what it missed comes soon
    assert due(window, 6100)[:10] == ids[1:11]


def test_one_lost_receipt_is_nobodys_trouble(spool: Spool) -> None:
    alarms: list[Alarm] = []
    window = Window(spool, Alarms("s1", alarms.append), again_s=30)
    window.begin(0)
    for number in range(0, 6, 2):
        began = number * 1000
        lost, heard = keep(spool, 2, start=number)
        assert due(window, began) == [lost, heard]
        settle(spool, window, [heard], now=began + 1)
        assert due(window, began + 31) == [lost]
        settle(spool, window, [lost], "duplicate", now=began + 32)
    assert alarms == []
    keep(spool, 1, start=6)
    assert [len(due(window, 9000 + seconds)) for seconds in (0, 70, 230)] == [1, 1, 1]
    assert [one.code for one in alarms] == ["no_receipts"]


@pytest.mark.parametrize("stations", [1, 10])
def test_a_slow_mes_is_not_sent_everything_over_and_over(stations: int) -> None:
    floor = []
    for number in range(stations):
        spool = Spool(Path(":memory:"), f"s{number}")
        floor.append((spool, Window(spool, Alarms(f"s{number}", None), max_messages=1000 // stations, again_s=30)))
        keep(spool, 5000 // stations)
        floor[-1][1].begin(0)
    queue: deque[tuple[int, str]] = deque()
    sent, now = 0, 0
    while any(spool.waiting_messages for spool, _ in floor):  # it takes ten a second, so a receipt takes 100 s
        done = [queue.popleft() for _ in range(min(10, len(queue)))]
        for number, (spool, window) in enumerate(floor):
            settle(spool, window, [id for of, id in done if of == number], now=now)
            some = due(window, now)
            sent += len(some)
            queue += [(number, id) for id in some]
        now += 1
        assert now < 1000
    assert sent < 1.4 * 5000
    for spool, _ in floor:
        spool.close()


def test_pending_messages_are_asked_after_now_and_then(spool: Spool) -> None:
    window = Window(spool, Alarms("s1", None))
    window.begin(0)
    ids = keep(spool, 3)
    due(window, 0)
    settle(spool, window, ids[:2], "pending")
    settle(spool, window, ids[2:])
    assert due(window, PENDING_AGAIN_S - 1) == []
    assert due(window, PENDING_AGAIN_S + 1) == ids[:2]
    settle(spool, window, ids[:2], "pending")
    assert due(window, PENDING_AGAIN_S + 2) == []


def test_what_is_wanted_is_sent_though_newer_ones_were(spool: Spool) -> None:
    window = Window(spool, Alarms("s1", None))
    window.begin(0)
    ids = keep(spool, 5)
    due(window, 0)
    settle(spool, window, ids[:3])
    assert spool.want(NOW, None) == 3
    window.rewind()
    assert due(window, 1) == ids[:3]


def test_back_off_grows_differs_and_begins_anew() -> None:
    pauses = [[back_off.after(0) for _ in range(10)] for back_off in (BackOff(), BackOff())]
    for some in pauses:
        assert some[0] <= 0.5
        assert BACK_OFF_MAX_S / 2 <= some[-1] <= BACK_OFF_MAX_S
    assert pauses[0] != pauses[1]
    back_off = BackOff()
    for _ in range(10):
        back_off.after(0)
    assert back_off.after(60) <= 0.5
