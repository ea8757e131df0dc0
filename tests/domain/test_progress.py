"""A unit's progress as plain values and back."""

import json

from mes.domain.as_built import PositionChanged
from mes.domain.facts import FAIL
from mes.domain.unit import Progress, apply, new_progress
from tests.domain.floor_stories import (
    TESTER,
    TESTER_2,
    TRAY,
    at,
    grant,
    packed,
    run,
    shipment,
    start,
)

EVENTS = [
    grant(1, "test", TESTER),
    PositionChanged(packed(1).key, "t1", "B1", "b1", True, False),
    PositionChanged(packed(1).key, "t1", "B2", "b2", False, False),
    start(2, "test", TESTER, run="r1"),
    start(3, "test", TESTER_2, run="r2"),
    run(4, "test", FAIL, station=TESTER_2, run="r2"),
    PositionChanged(packed(4).key, "t1", "B1", None, False, True),
    start(5, "build"),
    shipment(6),
]


def test_every_progress_survives_json() -> None:
    progress = new_progress(TRAY)
    for event in EVENTS:
        assert Progress.from_plain(json.loads(json.dumps(progress.to_plain()))) == progress
        apply(progress, TRAY, event)
    assert Progress.from_plain(json.loads(json.dumps(progress.to_plain()))) == progress
    assert (progress.shipped_at, progress.unfit) == (at(6), {"B2"})


def test_a_progress_read_from_values_changes_alone() -> None:
    plain = new_progress(TRAY).to_plain()
    for event in EVENTS:
        before = json.dumps(plain)
        progress = Progress.from_plain(plain)
        apply(progress, TRAY, event)
        assert json.dumps(plain) == before
        plain = progress.to_plain()
        kept = json.dumps(plain)
        apply(progress, TRAY, shipment(7))
        assert json.dumps(plain) == kept


def test_a_unit_to_which_nothing_happened_is_small() -> None:
    assert new_progress(TRAY).to_plain() == {"state": "created"}


def test_an_ended_attempt_leaves_little_behind() -> None:
    progress = new_progress(TRAY)
    for minute in range(100):
        apply(progress, TRAY, start(minute, "test", TESTER))
        apply(progress, TRAY, run(minute + 0.5, "test"))
    assert len(json.dumps(progress.to_plain())) < 200
    assert progress.steps["test"].attempts == 100
