"""OCP Test & Validation output: a run gathered from its lines, however they arrive, and validators evaluated."""

import copy
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mes.domain.limits import Measurement
from mes.domain.run import Defect
from mes.formats.messages import Message, Unreadable, decode
from mes.formats.ocptv import Recording, recordings
from tests.formats.examples import event
from tests.formats.test_openhtf import json_values, places

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "ocptv"
BEGAN = datetime(2026, 11, 22, 9, tzinfo=UTC)
GPU = {"hardwareInfoId": "h1", "name": "gpu", "location": "U12/GPU3", "serialNumber": "G-1"}
SCHEMA = {"schemaVersion": {"major": 2, "minor": 0}}


def start(**more: Any) -> dict[str, Any]:
    dut = {"dutInfoId": "dut0", "hardwareInfos": [GPU, {"hardwareInfoId": "h2", "name": "x", "serialNumber": "S-9"}]}
    run = {"name": "mlc", "version": "3.6", "commandLine": "mlc -x", "parameters": {"n": 1}, "dutInfo": dut}
    return {"testRunArtifact": {"testRunStart": run | more}}


def end(status: str = "COMPLETE", result: str = "PASS") -> dict[str, Any]:
    return {"testRunArtifact": {"testRunEnd": {"status": status, "result": result}}}


def step(id: str = "0", **artifact: Any) -> dict[str, Any]:
    return {"testStepArtifact": {"testStepId": id} | artifact}


def named_step(name: str, id: str = "0") -> dict[str, Any]:
    return step(id, testStepStart={"name": name})


def value(value: Any, name: str = "temp", id: str = "0", **more: Any) -> dict[str, Any]:
    return step(id, measurement={"name": name, "value": value} | more)


def validator(type: str, value: Any) -> dict[str, Any]:
    return {"type": type, "value": value}


def numbered(*artifacts: dict[str, Any]) -> list[dict[str, Any]]:
    """Artifacts as lines, one a second."""
    return [
        {"sequenceNumber": at, "timestamp": (BEGAN + timedelta(seconds=at)).isoformat()} | one
        for at, one in enumerate(artifacts)
    ]


def whole(*artifacts: dict[str, Any], ending: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The lines of a run from start to end."""
    return numbered(SCHEMA, start(), *artifacts, ending or end())


def recorded(lines: Any) -> Recording:
    recording = Recording()
    recording.feed(lines)
    return recording


def run_of(lines: Any) -> Any:
    reading = recorded(lines).read()
    assert reading.run, reading.reasons
    return reading.run


def test_a_run_from_start_to_end() -> None:
    run = run_of(whole(named_step("soak"), step(testStepEnd={"status": "COMPLETE"})))
    assert (run.started_at, run.ended_at) == (BEGAN + timedelta(seconds=1), BEGAN + timedelta(seconds=4))
    assert (run.outcome, run.program, run.unit) == ("pass", ("mlc", "3.6"), None)
    assert run.notes["steps"] == [{"name": "soak", "status": "COMPLETE"}]
    assert "problems" not in run.notes


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (end(), "pass"),
        (end(result="FAIL"), "fail"),
        (end("ERROR", "NOT_APPLICABLE"), "error"),
        (end("SKIP", "NOT_APPLICABLE"), "skipped"),
        (end("COMPLETE", "NOT_APPLICABLE"), "error"),
        (end("ERROR", "PASS"), "error"),
    ],
)
def test_ends_are_claims_on_our_scale(ending: dict[str, Any], outcome: str) -> None:
    assert run_of(whole(ending=ending)).outcome == outcome


def test_without_an_end_a_run_is_interrupted() -> None:
    recording = recorded(whole(value(1))[:-1])
    run = recording.read().run
    assert run
    assert (run.outcome, run.ended_at) == ("interrupted", BEGAN + timedelta(seconds=2))
    later = recording.read(BEGAN + timedelta(hours=1)).run
    assert later
    assert later.ended_at == BEGAN + timedelta(hours=1)


def test_measurements_with_limits_and_place() -> None:
    within = [validator("GREATER_THAN_OR_EQUAL", 10), validator("LESS_THAN_OR_EQUAL", 70)]
    run = run_of(
        whole(
            value(71.5, unit="C", validators=within, hardwareInfoId="h1"),
            value(20, unit="C", validators=within, hardwareInfoId="h2"),
            value("on", "led", validators=[validator("IN_SET", ["on", "off"])]),
            value(1.2, "clock", unit="ghz", hardwareInfoId="h1", subcomponent={"name": "core", "location": "C0"}),
        )
    )
    assert run.measurements == (
        Measurement("temp", 71.5, "C", 10, 70, "fail", "U12/GPU3"),
        Measurement("temp", 20, "C", 10, 70, "pass", "S-9"),
        Measurement("led", "on", outcome="pass"),
        Measurement("clock", 1.2, "GHz", position="U12/GPU3/C0"),
    )
    assert run.outcome == "pass"  # what the diagnostic claims, whatever its own validators say


def test_a_name_in_several_steps_is_told_apart() -> None:
    lines = whole(named_step("cold"), named_step("hot", "1"), value(1), value(2, id="1"), value(3, id="1"))
    assert [(one.name, one.value) for one in run_of(lines).measurements] == [
        ("cold.temp", 1),
        ("hot.temp", 2),
        ("hot.temp#2", 3),
    ]


def test_a_series_is_its_values_and_their_moments() -> None:
    def element(index: int, value: Any, second: int) -> dict[str, Any]:
        at = (BEGAN + timedelta(seconds=second)).isoformat()
        content = {"index": index, "value": value, "timestamp": at, "measurementSeriesId": "s"}
        return step(measurementSeriesElement=content)

    lines = whole(
        step(
            measurementSeriesStart={
                "name": "fan",
                "measurementSeriesId": "s",
                "unit": "rpm",
                "validators": [validator("LESS_THAN", 2000)],
            }
        ),
        element(1, 2500, 20),
        element(0, 1000, 10),
        step(measurementSeriesEnd={"measurementSeriesId": "s", "totalCount": 3}),
    )
    run = run_of(lines)
    assert run.measurements == (
        Measurement("fan", [1000, 2500], "rpm", outcome="fail"),
        Measurement("fan.offset_s", [0, 10], "s"),
    )
    assert run.notes["problems"] == ["The series s has 2 values of 3."]


def test_failed_diagnoses_and_errors_are_defects() -> None:
    run = run_of(
        whole(
            step(diagnosis={"verdict": "gpu-lost", "type": "FAIL", "message": "0 lanes", "hardwareInfoId": "h1"}),
            step(diagnosis={"verdict": "fan-ok", "type": "PASS"}),
            step(error={"symptom": "no-power"}),
        )
    )
    assert run.defects == (Defect("gpu-lost", "U12/GPU3", "0 lanes"), Defect("no-power"))


class TestArrival:
    LINES = whole(
        named_step("soak"), *(value(at, f"m{at}") for at in range(8)), step(testStepEnd={"status": "COMPLETE"})
    )

    def test_lines_may_overlap_and_come_in_any_order(self) -> None:
        expected, order = recorded(self.LINES).read(), random.Random(7)
        for _ in range(20):
            recording = Recording()
            for _ in range(40):
                at = order.randrange(len(self.LINES))
                recording.feed(self.LINES[at : at + 3])
            recording.feed(self.LINES)
            assert recording.read() == expected

    def test_lines_may_be_texts_with_talk_between_and_before_them(self) -> None:
        texts = ["-----", "banner", ""]
        for one in self.LINES:
            texts += [f"[log] {json.dumps(one)}", "talk"]
        recording = Recording()
        assert recording.feed(texts) == len(self.LINES)
        assert recording.read() == recorded(self.LINES).read()

    def test_what_is_missing_is_a_gap(self) -> None:
        recording = recorded(self.LINES[:3] + self.LINES[5:6] + self.LINES[7:])
        assert recording.gaps == ((3, 4), (6, 6))
        run = recording.read().run
        assert run
        assert run.notes["problems"] == ["Lines 3 to 4 are missing.", "Lines 6 to 6 are missing."]

    def test_another_line_under_a_known_number_is_noted(self) -> None:
        recording = recorded(self.LINES)
        later = {"timestamp": (BEGAN + timedelta(hours=1)).isoformat()}
        recording.feed([self.LINES[3] | value(99) | later])
        assert recording.problems == ["Line 3 came with different contents; the earliest counts."]
        assert recording.read().run.measurements == recorded(self.LINES).read().run.measurements  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (step(extension={"name": "x", "content": "text"}), "Line 2 breaks the schema: extension.content is 'text'"),
        (step(testStepEnd={"status": "DONE"}), "testStepEnd.status is 'DONE'"),
        (step(testStepEnd={"status": "ERROR"}, log={}), "has 2 known artifacts"),
        ({"testStepArtifact": {"testStepId": 0, "log": {}}}, "testStepId is 0"),
        ({"testRunArtifact": 7}, "testRunArtifact is 7"),
        ({"unknownArtifact": {}}, "it has 0 of"),
        ({"sequenceNumber": "2"}, "its sequenceNumber is '2'"),
    ],
)
def test_a_line_that_breaks_the_schema_is_noted_and_not_fatal(line: dict[str, Any], says: str) -> None:
    run = run_of(whole(line))
    assert run.outcome == "pass"
    assert any(says in problem for problem in run.notes["problems"]), run.notes["problems"]


def test_a_pass_with_a_failed_step_is_noted() -> None:
    run = run_of(whole(named_step("soak"), step(testStepEnd={"status": "ERROR"}), named_step("left", "1")))
    assert run.notes["problems"] == [
        "The step soak ended with ERROR and the run with PASS.",
        "The step left has no end.",
    ]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (numbered(start(), end()), "older dialect"),
        (numbered({"schemaVersion": {"major": 3, "minor": 0}}, start(), end()), "schemaVersion.major is 3"),
        (numbered({"schemaVersion": {}}, start(), end()), "schemaVersion.major is None"),
        ([], "none of them is a line"),
        (["talk", {"sequenceNumber": "1"}], "none of them is a line"),
    ],
)
def test_other_dialects_are_refused_by_name(lines: Any, says: str) -> None:
    reading = recorded(lines).read()
    assert reading.run is None
    assert says in reading.reasons[0].text


FULL = whole(
    value(3, validators=[validator("EQUAL", 3)], hardwareInfoId="h1"),
    step(measurementSeriesStart={"name": "fan", "measurementSeriesId": "s", "validators": [validator("LESS_THAN", 2)]}),
    step(measurementSeriesElement={"index": 0, "value": 1, "measurementSeriesId": "s"}),
    step(diagnosis={"verdict": "bad", "type": "FAIL"}),
)


@settings(max_examples=400, deadline=None)
@given(place=st.sampled_from(list(places(FULL))[1:]), junk=json_values)
def test_whatever_comes_is_an_answer(place: tuple[Any, ...], junk: Any) -> None:
    lines: Any = copy.deepcopy(FULL)
    inner = lines
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = junk
    reading = recorded(lines).read()
    assert (reading.run is None) == bool(reading.reasons)
    one = wire(lines)
    assert isinstance(one, Message) or one.reasons[0].facts["field"].startswith("data")


def wrapped(lines: Any, **more: Any) -> dict[str, Any]:
    return event("org.opencompute.ocptv", {"unit": "T1", "step": "test", "run": "r1", "lines": lines} | more)


def wire(lines: Any, **more: Any) -> Message | Unreadable:
    (one,) = decode("st-1", "run/ocptv", json.dumps(wrapped(lines, **more)).encode())
    return one


@pytest.mark.parametrize(("ending", "outcome"), [(end(), "error"), (end(result="FAIL"), "fail"), (None, "interrupted")])
def test_a_run_whose_start_is_missing_never_passed(ending: dict[str, Any] | None, outcome: str) -> None:
    run = run_of(whole(value(3), ending=ending)[2:] if ending else whole(value(3))[2:3])
    assert (run.outcome, run.started_at) == (outcome, BEGAN + timedelta(seconds=2))
    assert "No testRunStart came." in run.notes["problems"] or not ending


def test_a_text_with_nul_is_a_line_like_any_other() -> None:
    line = json.dumps(whole(value("a"))[2]).replace('"a"', '"a\\u0000"')
    assert run_of([*whole()[:2], line]).measurements[0].value == "a\ufffd"


def sample(name: str) -> list[str]:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the sample files are not beside this checkout")
    return path.read_text().splitlines()


def test_the_public_librarys_own_output_is_read_run_by_run() -> None:
    found = recordings(sample("ocptv_py_sample_output.txt"))
    runs = [one.read().run for one in found]
    assert [run.outcome if run else None for run in runs].count("interrupted") == 1
    assert {run.outcome for run in runs if run} == {"pass", "skipped", "interrupted"}
    assert [at for at, run in enumerate(runs) if run and not run.program] == [13]  # that one never started
    assert sum("breaks the schema" in problem for one in found for problem in one.problems) == 1
    assert all(one.gaps == () for one in found)
    placed = [measured for run in runs if run for measured in run.measurements if measured.position]
    assert placed[0] == Measurement("temp0", 100.5, "[degF]", position="MB/DIMM_A1")


def test_the_older_dialect_is_refused() -> None:
    reading = recorded(sample("legacy_mlc_test.jsonl")).read()
    assert reading.run is None
    assert "older dialect" in reading.reasons[0].text
