"""What a station keeps until its receipt comes."""

from datetime import UTC, datetime, timedelta

import pytest

from mes.formats.messages import SettledMessage
from stations.spool import MemorySpool, Posted, SpoolFull

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def posted(id: str) -> Posted:
    return Posted(id, "mes/v1/s1/run", b"{}")


def spool(*ids: str, **limits: int) -> MemorySpool:
    made = MemorySpool(**limits)
    for id in ids:
        made.keep(posted(id))
    return made


def test_what_waits_is_kept_in_order() -> None:
    kept = spool("a", "b", "c")
    kept.settle(SettledMessage("applied", id="b"), NOW)
    assert [one.id for one in kept.unsettled()] == ["a", "c"]


def test_pending_is_not_final() -> None:
    kept = spool("a")
    kept.settle(SettledMessage("pending", id="a"), NOW)
    assert [one.id for one in kept.unsettled()] == ["a"]
    kept.settle(SettledMessage("applied", id="a"), NOW)
    assert kept.fate("a") == SettledMessage("applied", id="a")
    assert kept.unsettled() == []


def test_the_first_final_fate_stays() -> None:
    kept = spool("a")
    for fate in ("applied", "duplicate"):
        kept.settle(SettledMessage(fate, id="a"), NOW)  # type: ignore[arg-type]
    assert kept.fate("a") == SettledMessage("applied", id="a")


def test_receipts_of_others_are_nothing_to_us() -> None:
    kept = spool("a")
    kept.settle(SettledMessage("applied", id="z"), NOW)
    kept.settle(SettledMessage("rejected", sha256="0" * 64), NOW)
    assert kept.fate("z") is None


def test_a_full_spool_says_so() -> None:
    with pytest.raises(SpoolFull):
        spool("a", "b", "c", waiting_max=2)


def test_what_was_settled_is_remembered_for_a_while() -> None:
    kept = spool("a", "b", "c", kept_max=2)
    for minutes, id in enumerate("abc"):
        kept.settle(SettledMessage("applied", id=id), NOW + timedelta(minutes=minutes))
    assert [one.id for one in kept.settled_between(NOW, None)] == ["b", "c"]
    assert [one.id for one in kept.settled_between(NOW, NOW + timedelta(minutes=1))] == ["b"]
    assert kept.fate("a") is None
