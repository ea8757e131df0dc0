"""OCP Test & Validation output as messages: any lines of a run, and the run that all of them tell of."""

import json
from typing import Any

import pytest

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
    assert (told.outcome, told.measurements) == ("error", ())
    assert "measurements" in told.notes["problems"][0]
    assert recorded_run(about, run_of(whole(value(3))[:-1])).outcome == "interrupted"


@pytest.mark.parametrize(
    ("lines", "says"),
    [(numbered(start(), end()), "older dialect"), (["talk"], "none of them"), ([], "length"), (7, "array")],
)
def test_on_the_wire_a_mistake_is_unreadable(lines: Any, says: str) -> None:
    one = wire(lines)
    assert isinstance(one, Unreadable)
    assert one.reasons[0].facts["field"] == "data.lines"
    assert says in one.reasons[0].text
