"""Lines of OCP Test & Validation output that came and can't be read: kept, told of, and no pass rests on them."""

import json
from typing import Any

import msgspec
import pytest

from mes.formats.ocptv.lines import place
from tests.formats.test_ocptv import SCHEMA, end, recorded, run_of, step, value, whole

DOUBT = "The diagnostic claims a pass; a measured value may have been in line 2, which can't be read."


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (step(measurement={"name": "x", "value": None}), "measurement.value is null"),
        (step(measurement={"name": "x", "value": [1]}), "measurement.value is a list"),
        (step(measurementSeriesStart={"name": "x"}), "measurementSeriesId is null"),
        (step(measurementSeriesElement={"index": True, "value": 1, "measurementSeriesId": "s"}), "index is true"),
        ({"testStepArtifact": [1]}, "testStepArtifact is a list"),
        (value(1) | SCHEMA, "it has 2 of"),
        (value(1) | {"timestamp": "2026-11-22T09:00:00"}, "timestamp"),
    ],
)
def test_a_pass_is_not_believed_where_a_value_breaks_the_schema(line: dict[str, Any], says: str) -> None:
    run = run_of(whole(line))
    assert (run.outcome, run.doubts) == ("pass", (DOUBT,))
    assert any(says in problem for problem in run.notes["problems"]), run.notes["problems"]


class TestNoJson:
    """Texts in the place of line 2 that JSON can't read: what `json.dumps` writes of NaN, lines too long or cut off."""

    NAN = json.dumps(whole(value(float("nan")))[2])
    CASES = (
        (NAN, "it holds NaN, which is no JSON"),
        (f"[log] {NAN}", "it holds NaN, which is no JSON"),
        (NAN.replace("NaN", "-Infinity"), "it holds -Infinity, which is no JSON"),
        (NAN.replace("NaN", "1e309"), "it holds the number 1e309, which fits no double"),
        (NAN.replace("NaN", "9" * 5000), f"it holds the number {'9' * 40}, which fits no double"),
        (NAN.replace("NaN", '"\\ud800"'), "it holds half a surrogate pair"),
        (json.dumps(whole(value("x" * 300_000))[2]), "characters; at most 262144 are read"),
        (NAN.replace("NaN", "[" * 100_000), "it is nested too deeply"),
        (NAN[:-20], "it is not JSON; it may have been cut off"),
    )

    @pytest.mark.parametrize(("text", "says"), CASES)
    def test_the_line_came_and_says_what_is_wrong_with_it(self, text: str, says: str) -> None:
        lines: list[Any] = whole(value(1), value(2, "other"))
        recording = recorded([*lines[:2], text, *lines[3:]])
        run = recording.read().run
        assert run
        assert (run.outcome, run.doubts) == ("pass", (DOUBT,))
        assert [one.name for one in run.measurements] == ["other"]
        assert recording.gaps == ()
        assert run.notes["problems"][0].startswith("Line 2 can't be read: it ")
        assert says in run.notes["problems"][0]

    @pytest.mark.parametrize(("text", "says"), CASES)
    def test_what_is_kept_of_it_tells_the_same(self, text: str, says: str) -> None:
        assert any(says in problem for problem in recorded([text]).problems)
        kept = place(text)
        assert isinstance(kept, dict)
        stored = msgspec.json.encode(kept).decode()
        assert "\\u0000" not in stored
        assert recorded([stored]).lines == recorded([text]).lines
        assert recorded([text, stored, text]).problems == recorded([text]).problems  # the same line again

    def test_other_texts_under_its_number_are_other_lines(self) -> None:
        other = self.NAN.replace("temp", "volt")
        for order in ([self.NAN, other], [other, self.NAN]):
            recording = recorded(order)
            assert "Line 2 came with different contents; the earliest counts." in recording.problems
            assert recording.lines == recorded([other, self.NAN]).lines

    def test_a_line_that_was_cut_off_counts_only_until_it_comes_whole(self) -> None:
        lines: list[Any] = whole(value(1))
        for order in ([*lines, self.NAN[:-20]], [self.NAN[:-20], *lines]):
            run = run_of(order)
            assert (run.outcome, run.measurements[0].value) == ("pass", 1)

    @pytest.mark.parametrize(
        "artifact", [step(log={"severity": "INFO", "message": 1.5}), step(file={"displayName": "x"}), {"other": 1.5}]
    )
    def test_a_line_that_surely_holds_no_value_leaves_the_pass(self, artifact: dict[str, Any]) -> None:
        lines: list[Any] = whole(artifact | {"metadata": float("nan")})
        lines[2] = json.dumps(lines[2])
        run = run_of(lines)
        assert (run.outcome, run.doubts) == ("pass", ())
        assert [one[:20] for one in run.notes["problems"]] == ["Line 2 can't be read"]

    @pytest.mark.parametrize("ending", [end(result="FAIL"), end("ERROR", "NOT_APPLICABLE"), None])
    def test_other_ends_stay_what_they_are(self, ending: dict[str, Any] | None) -> None:
        lines: list[Any] = whole(value(1), ending=ending)[: None if ending else -1]
        expected = run_of(lines).outcome
        lines[2] = self.NAN
        run = run_of(lines)
        assert run.outcome == expected != "pass"
        assert run.doubts == ()
        assert [one[:20] for one in run.notes["problems"]] == ["Line 2 can't be read"]

    def test_without_a_first_line_that_can_be_read_it_is_no_older_dialect(self) -> None:
        lines: list[Any] = whole(value(1))
        lines[0] = json.dumps(lines[0] | {"metadata": float("nan")})
        assert run_of(lines).outcome == "pass"

    @pytest.mark.parametrize("talk", ["[log] {NaN}", '{"other": NaN}', "{", '{"sequenceNumber": 2', "NaN", "[1e309]"])
    def test_what_has_no_number_is_no_line(self, talk: str) -> None:
        assert recorded([talk]).lines == {}
        assert not isinstance(place(talk), dict)

    def test_alone_it_is_told_as_what_it_is(self) -> None:
        reading = recorded([self.NAN]).read()
        assert reading.run is None
        assert "Line 2 can't be read: it holds NaN" in reading.reasons[0].text
        assert "OCP" not in reading.reasons[0].text
