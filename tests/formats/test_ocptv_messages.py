"""OCP Test & Validation output as messages: any lines of a run, and the run that all of them tell of."""

import json
from typing import Any

import pytest

from mes.domain.run import Criteria, Report, judge
from mes.formats.messages import Message, OcptvLines, RunOfLines, UnitRef, Unreadable, recorded_run
from tests.formats.test_ocptv import end, numbered, run_of, start, value, whole, wire


def test_any_lines_of_a_run_are_a_message() -> None:
    one = wire([json.dumps(line) for line in whole(value(3))[1:3]], purpose="golden")
    assert isinstance(one, Message), one
    assert isinstance(one.data, OcptvLines)
    assert (one.data.run, one.data.purpose, len(one.data.lines)) == ("r1", "golden", 2)


def test_a_run_that_breaks_our_limits_is_the_programs_error() -> None:
    about = RunOfLines(UnitRef("T1"), "test", "r1")
    told = recorded_run(about, run_of(whole(value("x" * 5000))))
    assert (told.outcome, told.measurements) == ("pass", ())
    assert "measurements" in told.notes["problems"][0]
    assert judge(Criteria(None), Report("test", told.outcome, doubts=told.doubts)).verdict == "error"
    assert recorded_run(about, run_of(whole(value(3))[:-1])).outcome == "interrupted"


def test_a_line_that_is_no_json_may_come_alone() -> None:
    one = wire([json.dumps(whole(value(float("nan")))[2])])
    assert isinstance(one, Message), one


def test_a_pass_with_values_that_nobody_can_read_is_doubted() -> None:
    lines: list[Any] = whole(value(3))
    lines[2] = json.dumps(lines[2]).replace('"value": 3', '"value": NaN')
    told = recorded_run(RunOfLines(UnitRef("T1"), "test", "r1"), run_of(lines))
    assert told.outcome == "pass"
    assert "line 2" in told.doubts[0]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (numbered(start(), end()), "older dialect"),
        (["talk"], "none of them is a line of OCP Test & Validation output"),
        (['{"cut'], "none of them is a line that tells of a run: A line was skipped: it is not JSON."),
        ([{"sequenceNumber": "2"}], "its sequenceNumber is '2'"),
        ([], "length"),
        (7, "array"),
    ],
)
def test_on_the_wire_a_mistake_is_unreadable(lines: Any, says: str) -> None:
    one = wire(lines)
    assert isinstance(one, Unreadable)
    assert one.reasons[0].facts["field"] == "data.lines"
    assert says in one.reasons[0].text
