"""A tray and its rack from the first scan to the truck, with nothing odd on the way."""

from mes.domain.facts import PASS
from mes.domain.floor import fold_floor
from mes.domain.unit import State
from tests.domain.floor_stories import (
    BENCH,
    BOARD,
    RACK,
    TESTER,
    TRAY,
    done,
    grant,
    install,
    lot,
    packed,
    run,
    shipped,
    start,
)

BUILD_A_TRAY = [
    run(0, "flash", unit="b1"),
    run(0, "flash", unit="b2"),
    grant(0.5, "build", BENCH),
    start(1, "build"),
    install(2, "t1", "B1", "b1"),
    install(3, "t1", "B2", "b2"),
    lot(4, "t1", "SCREWS", "lot7"),
    done(5, "build"),
    grant(5, "test", TESTER),
    start(6, "test", TESTER, run="r1"),
    run(7, "test", run="r1"),
    grant(7, "audit", BENCH),
    start(8, "audit"),
    done(9, "audit", operator="ann"),
]


def test_a_tray_is_built_tested_packed_and_shipped() -> None:
    floor = fold_floor({"t1": TRAY, "b1": BOARD, "b2": BOARD}, [*BUILD_A_TRAY, packed(10, into="crate"), shipped(11)])
    progress, attempts = floor.units["t1"]
    assert progress.state is State.SHIPPED
    assert [(one.step, one.number, one.outcome, one.counted) for one in attempts] == [
        ("build", 1, PASS, True),
        ("test", 1, PASS, True),
        ("audit", 1, PASS, True),
    ]
    assert [one for one in attempts if one.deviations] == []
    assert {key.rank for key in floor.deviations} == {next(e.key.rank for e in BUILD_A_TRAY[:1])}
    assert progress.positions == {"B1": "b1", "B2": "b2", "SCREWS": "lot7"}


def test_a_tray_is_completed_before_it_is_packed() -> None:
    floor = fold_floor({"t1": TRAY, "rack": RACK}, [*BUILD_A_TRAY, install(12, "rack", "U1", "t1", "TRAY")])
    assert floor.units["t1"][0].state is State.COMPLETED
    assert floor.units["rack"][0].state is State.IN_PROCESS
