"""A unit's trace grows by what is recorded: nothing told is ever taken back, what was wrong is told again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mes.domain.facts import (
    PartInstalled,
    PartReceived,
    RunInterrupted,
    RunRecorded,
    RunReported,
    Station,
    StepCompleted,
    StepStarted,
    What,
    entry,
)
from mes.domain.trace import Recorded, Relation, Span, Status, UnitTrace, span_id, station_link
from mes.domain.trace.attempts import ENDED_KEPT_MAX
from mes.domain.trace.telling import TEXT_MAX

UNIT = "019a0000-0000-7000-8000-00000000000a"
PARENT = "019a0000-0000-7000-8000-00000000000b"
ST1, ST2 = Station("st-1", "tester"), Station("st-2", "tester")
DAY = datetime(2026, 11, 2, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return DAY + timedelta(minutes=minutes)


class Journal:
    """A unit's entries, recorded a minute after each other from 10:00 on."""

    def __init__(self) -> None:
        self.trace = UnitTrace(UNIT)
        self.recorded: list[Recorded] = []
        self.spans: list[Span] = []
        self.other("mes.unit.created", part="TRAY-1", revision="A")

    def say(self, minutes: float, what: What, **data: Any) -> list[Span]:
        """A fact of some minute after midnight."""
        number = str(len(self.recorded))
        return self._add("fact", entry(at(minutes), "stations/st-1", number, what), data)

    def other(self, type: str, *subjects: tuple[str, str], **data: Any) -> list[Span]:
        """An entry that is no fact."""
        told = [{"kind": kind, "id": id, "name": id} for kind, id in subjects]
        return self._add(type, None, {"subjects": [{"kind": "unit", "id": UNIT, "name": "T1"}, *told], **data})

    def _add(self, type: str, fact: Any, data: dict[str, Any]) -> list[Span]:
        one = Recorded(f"entry-{len(self.recorded)}", type, at(600 + len(self.recorded)), data, fact)
        self.recorded.append(one)
        new = self.trace.add(one)
        self.spans += new
        return new


def started(station: Station = ST1, run: str | None = None) -> StepStarted:
    return StepStarted(UNIT, "test", station, run)


def completed(outcome: str = "pass", station: Station = ST1, run: str | None = None) -> StepCompleted:
    return StepCompleted(UNIT, "test", station, outcome, run)


def reported(begin: float, end: float, verdict: str = "pass", run: str | None = None, **more: Any) -> RunReported:
    return RunReported(UNIT, "test", ST1, f"run-{end}", at(begin), at(end), "pass", verdict, run, **more)


def shown(spans: Sequence[Span]) -> list[tuple[str, float, float, str]]:
    """Name, begin and end in minutes, and how it ended."""
    return [
        (one.name, (one.started_at - DAY).seconds / 60, (one.ended_at - DAY).seconds / 60, one.status.value)
        for one in spans
    ]


def corrected(span: Span) -> list[str]:
    return [link.span_id for link in span.links if link.relation is Relation.CORRECTS]


def test_the_root_is_short_and_first() -> None:
    journal = Journal()
    (root,) = journal.spans
    assert (root.kind, root.parent_id, root.started_at) == ("release", None, root.ended_at)
    assert root.attributes["mes.serial"] == "T1"
    assert root.trace_id == UNIT.replace("-", "")


def test_a_bought_part_begins_with_its_receipt_or_its_first_scan() -> None:
    for what, kinds in (
        (PartReceived("GPU-1", UNIT), ["receipt"]),
        (PartInstalled(PARENT, "GPU1", UNIT, None, "GPU-1"), ["first_seen", "installation"]),
    ):
        trace = UnitTrace(UNIT)
        spans = trace.add(Recorded("e", "fact", at(1), {}, entry(at(0), "s", "1", what)))
        assert [one.kind for one in spans] == kinds
        assert spans[0].attributes["mes.part"] == "GPU-1"


def test_a_step_is_told_when_it_ends() -> None:
    journal = Journal()
    assert journal.say(10, started()) == []
    assert [(one.name, one.started_at) for one in journal.trace.open] == [("step test", at(10))]
    assert shown(journal.say(20, completed())) == [("step test", 10, 20, "ok")]
    assert journal.trace.open == []


def test_a_run_hangs_on_its_step() -> None:
    journal = Journal()
    journal.say(10, started())
    step, run = journal.say(20, reported(12, 20, "fail"), values=3, failed=["power"])
    assert shown([step, run]) == [("step test", 10, 20, "error"), ("run test", 12, 20, "error")]
    assert run.parent_id == step.span_id
    assert run.attributes["mes.failed"] == ("power",)
    assert step.parent_id == journal.spans[0].span_id


def test_a_golden_run_is_no_step() -> None:
    journal = Journal()
    (run,) = journal.say(20, reported(12, 20, purpose="golden"))
    assert (run.name, run.parent_id) == ("run test", journal.spans[0].span_id)


def test_a_late_start_is_told_as_a_correction() -> None:
    journal = Journal()
    step, run = journal.say(20, reported(12, 20))
    (again,) = journal.say(10, started())
    assert shown([again]) == [("step test", 10, 20, "ok")]
    assert corrected(again) == [step.span_id]
    assert again.span_id != step.span_id
    assert run.parent_id == step.span_id, "what was told stays"
    assert journal.trace.open == []


def test_a_new_start_interrupts_the_old_one_and_its_end_may_still_come() -> None:
    journal = Journal()
    journal.say(10, started(run="a"))
    (given_up,) = journal.say(20, started(run="b"))
    assert shown([given_up]) == [("step test", 10, 20, "error")]
    end, run = journal.say(30, reported(12, 30, run="a"))
    assert shown([end]) == [("step test", 10, 30, "ok")]
    assert corrected(end) == [given_up.span_id]
    assert run.parent_id == end.span_id
    assert [one.attributes["mes.run"] for one in journal.trace.open] == ["b"]


def test_a_start_older_than_the_next_attempt_was_interrupted_by_it() -> None:
    journal = Journal()
    journal.say(20, started(ST2))
    (late,) = journal.say(10, started())
    assert shown([late]) == [("step test", 10, 20, "error")]


def test_an_end_said_in_two_ways_is_one_step() -> None:
    journal = Journal()
    journal.say(10, started(run="a"))
    (step,) = journal.say(20, completed(run="a"))
    (run,) = journal.say(20, reported(12, 20, run="a"))
    assert run.parent_id == step.span_id


def test_a_nonconformance_is_told_when_it_is_settled() -> None:
    journal = Journal()
    *_, failed = journal.say(20, reported(12, 20, "fail"))
    key = journal.recorded[-1].fact.key  # type: ignore[union-attr]
    by = {"source": key.source, "id": key.id}
    assert journal.other("mes.nonconformance.opened", ("nonconformance", "n1"), step="test", opened_by=by) == []
    assert [one.kind for one in journal.trace.open] == ["nonconformance"]
    *_, passed, flaw = journal.say(40, reported(30, 40), settled=["n1"])
    assert shown([flaw]) == [("nonconformance test", 20, 40, "unset")]
    assert {(link.relation, link.span_id) for link in flaw.links} == {
        (Relation.OPENED_BY, failed.span_id),
        (Relation.SETTLED_BY, passed.span_id),
    }


@pytest.mark.parametrize(
    ("now", "state", "is_open"),
    [({}, "withdrawn", False), ({"n1": None}, "open", True), ({"n1": "2026-11-02T00:40:00Z"}, None, False)],
)
def test_what_a_late_fact_shows_of_a_settled_nonconformance(now: Any, state: str | None, is_open: bool) -> None:
    journal = Journal()
    journal.say(20, reported(12, 20, "fail"))
    journal.other("mes.nonconformance.opened", ("nonconformance", "n1"), step="test")
    *_, flaw = journal.say(40, reported(30, 40), settled=["n1"])
    correction, *told = journal.other(
        "mes.unit.refolded", state={"before": "completed", "after": "completed"}, nonconformances=now
    )
    assert correction.kind == "correction"
    assert [one.attributes["mes.state"] for one in told] == ([state] if state else [])
    assert all(corrected(one) == [flaw.span_id] for one in told)
    assert bool(journal.trace.open) is is_open


def test_a_run_that_is_recorded_line_by_line() -> None:
    journal = Journal()
    told = RunRecorded(UNIT, "test", ST1, "a", "r", 3, at(10))
    assert journal.say(10, told) == []
    assert journal.say(12, told._replace(lines=5)) == []
    (given_up,) = journal.say(30, RunInterrupted(UNIT, "test", ST1, "a", "r", 5))
    assert shown([given_up]) == [("step test", 10, 30, "error")]
    ended = told._replace(lines=9, ended_at=at(25), claim="pass", verdict="pass")
    step, run = journal.say(25, ended)
    assert corrected(step) == [given_up.span_id]
    assert shown([step, run]) == [("step test", 10, 25, "ok"), ("run test", 10, 25, "ok")]
    assert journal.say(25, ended._replace(lines=9)) == []
    again, run_again = journal.say(25, ended._replace(lines=11, verdict="fail"))
    assert (corrected(again), corrected(run_again)) == ([step.span_id], [run.span_id])
    assert run_again.status is Status.ERROR


def test_holds_are_told_when_they_end() -> None:
    journal = Journal()
    assert journal.other("mes.hold.placed", ("hold", "h1"), hold="h1", reason="bad lot", by=3) == []
    assert [one.kind for one in journal.trace.open] == ["hold"]
    (hold,) = journal.other("mes.hold.released", ("hold", "h1"), hold="h1", by=4)
    assert (hold.ended_at - hold.started_at) == timedelta(minutes=1)
    assert hold.attributes["mes.reason"] == "bad lot"


def test_ids_follow_from_the_record_alone() -> None:
    def life() -> list[Span]:
        journal = Journal()
        journal.say(10, started())
        journal.say(20, reported(12, 20, "fail"))
        journal.say(5, started(ST2))
        return journal.spans

    assert life() == life()
    assert len({one.span_id for one in life()}) == len(life())
    assert span_id(UNIT, "e") != span_id(PARENT, "e") != span_id(PARENT, "e", "run")


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", False),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("nonsense", False),
        (None, False),
    ],
)
def test_only_a_valid_trace_context_is_linked(given: str | None, linked: bool) -> None:
    assert (station_link(given) is not None) is linked


def test_what_is_long_is_cut_and_what_is_old_is_let_go() -> None:
    journal = Journal()
    (said,) = journal.other("mes.nonconformance.diagnosed", ("nonconformance", "n1"), diagnosis="x" * 5000)
    assert len(str(said.attributes["mes.text"])) == TEXT_MAX
    for number in range(ENDED_KEPT_MAX + 1):
        journal.say(20 + number, reported(20 + number, 20 + number + 0.5, run=f"r{number}"))
    (late,) = journal.say(19, started(run="r0"))
    assert corrected(late) == [], "its end is too long ago to be told again"
