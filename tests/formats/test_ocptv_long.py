"""Runs of days: more values than a run can hold, and no broken limit lost among them."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest

from mes.formats.foreign_run import MEASUREMENTS_MAX, SERIES_MAX
from mes.formats.messages import RunOfLines, UnitRef, recorded_run
from mes.formats.ocptv import Reader, measured
from mes.formats.ocptv.lines import line_of
from mes.formats.ocptv.series import Series, share, telling
from tests.formats.test_ocptv import BEGAN, end, named_step, recorded, run_of, step, validator, value, whole

ABOUT = RunOfLines(UnitRef("T1"), "test", "r1")


def series(name: str, values: list[Any], id: str = "s", **more: Any) -> list[dict[str, Any]]:
    """A series from its start to its end."""
    content = {"name": name, "measurementSeriesId": id} | more
    told = [
        step(measurementSeriesElement={"index": at, "value": one, "measurementSeriesId": id})
        for at, one in enumerate(values)
    ]
    stop = step(measurementSeriesEnd={"measurementSeriesId": id, "totalCount": len(values)})
    return [step(measurementSeriesStart=content), *told, stop]


def stored(lines: list[Any]) -> list[tuple[int, str, str]]:
    """Lines as the database has them."""
    return [(one["sequenceNumber"], line_of(one).artifact, json.dumps(one)) for one in lines]


class TestReader:
    def test_lines_read_in_parts_tell_the_same_as_all_at_once(self) -> None:
        order = random.Random(3)
        at = (BEGAN - timedelta(hours=1)).isoformat()
        artifacts = [named_step("soak"), value(3, "power"), *series("temp", [4, 5.5, True, "x", 6]), {"odd": 1}]
        lines = whole(*artifacts)
        lines[5]["testStepArtifact"]["measurementSeriesElement"]["timestamp"] = at
        lines[6]["testStepArtifact"]["measurementSeriesElement"]["index"] = 9
        lines[7]["testStepArtifact"]["measurementSeriesElement"]["timestamp"] = "soon"
        other = step(measurementSeriesElement={"index": 0, "value": 99, "measurementSeriesId": "s"})
        contested = sorted([*lines, lines[6] | other], key=lambda one: int(one["sequenceNumber"]))
        for _ in range(20):
            reader, cut = Reader(), order.choice([2, 5, 9])
            reader.feed(stored(contested[:cut]))
            reader.feed(stored(contested[cut:]))
            expected = recorded(contested).read()
            assert reader.read() == expected
        assert expected.run
        assert len(expected.run.measurements) == 3

    def test_an_element_that_no_series_began_is_told_once_for_its_series(self) -> None:
        run = run_of(whole(*series("temp", [1, 2, 3])[1:]))
        assert run.notes["problems"] == ["Line 2 belongs to the series s, which never started."]

    def test_values_that_were_left_out_are_told_and_no_pass_rests_on_them(self) -> None:
        lines = stored(whole(value(3)))
        reader = Reader(left_out_to=7)
        reader.feed(lines)
        run = reader.read().run
        assert run
        said = "Values of series up to line 7 were left out: there are too many."
        assert run.doubts == (f"The diagnostic claims a pass; not all that it measured was looked at. {said}",)
        assert (run.cuts, run.notes["problems"]) == ((said,), [said])
        failed = Reader(left_out_to=7)
        failed.feed(stored(whole(value(3), ending=end(result="FAIL"))))
        assert failed.read().run.doubts == ()  # type: ignore[union-attr]


class TestSeries:
    def test_values_stand_by_their_index_and_the_first_of_one_counts(self) -> None:
        one = Series()
        for index, given in ((0, "a"), (1, "b"), (5, "f"), (3, "d"), (1, "again"), (2**70, "z")):
            one.add(index, given, BEGAN + timedelta(seconds=len(one)))
        values, moments = one.in_order()
        assert values == ["a", "b", "d", "f", "z"]
        assert len(one) == len(moments) == 5

    @pytest.mark.parametrize("length", [0, 5, 30, 31, 100, 1001])
    def test_those_that_are_kept_show_every_broken_limit(self, length: int) -> None:
        order = random.Random(length)
        values: list[Any] = [order.gauss(50, 9) for _ in range(length)]
        for at in range(7, length, 300):
            values[at] = order.choice([True, "x"])
        kept = [values[at] for at in telling(values, 30)]
        assert len(kept) <= 30
        assert kept == values or length > 30
        numbers = [one for one in values if isinstance(one, float)]
        assert {min(numbers), max(numbers)} <= set(kept) if numbers else not kept
        assert any(not isinstance(one, float) for one in kept) == any(not isinstance(one, float) for one in values)
        assert telling(values, 30) == sorted(set(telling(values, 30)))

    def test_short_series_stay_whole_where_long_ones_give_way(self) -> None:
        assert share([10, 20, 30], 60, 100) == 100
        assert share([10, 20, 30], 50, 100) == 20
        assert share([1000, 10, 1000], 210, 500) == 100
        assert share([1000], 2000, 500) == 500
        assert share([], 2000, 500) == 500


class TestLong:
    def test_a_long_series_is_judged_on_every_value_and_keeps_those_that_tell(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(measured, "SERIES_MAX", 9)
        values = [40.0] * 50
        values[23] = 99
        run = run_of(whole(*series("temp", values, validators=[validator("LESS_THAN", 90)])))
        temp, offset = run.measurements
        assert (temp.name, temp.outcome, len(temp.value), 99 in temp.value) == ("temp", "fail", 4, True)
        assert offset.value[temp.value.index(99)] == 23
        said = (
            "Of the 50 values of temp, 4 are kept: the lowest and the highest of each stretch, "
            "so that any value beyond a limit shows."
        )
        assert (run.outcome, run.doubts, run.cuts, run.notes["problems"]) == ("pass", (), (said,), [said])

    def test_several_series_share_what_a_run_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(measured, "VALUES_MAX", 60)
        some = [series(f"t{at}", [float(one) for one in range(length)], f"s{at}") for at, length in enumerate([9, 500])]
        run = run_of(whole(*some[0], *some[1]))
        assert len(run.measurements[0].value) == 9
        assert 9 < len(run.measurements[2].value) <= 51
        assert len(run.cuts) == 1

    def test_a_series_beyond_the_wires_limit_is_no_error(self) -> None:
        values = [40.0 + at % 7 for at in range(SERIES_MAX + 1)]
        told = recorded_run(ABOUT, run_of(whole(*series("temp", values), value(999, "power"))))
        assert told.outcome == "pass"
        assert [one.name for one in told.measurements] == ["temp", "temp.offset_s", "power"]
        assert told.measurements[2].value == 999
        assert {40.0, 46.0} <= set(told.measurements[0].value)  # type: ignore[arg-type]
        whole_run = recorded_run(ABOUT, run_of(whole(*series("temp", values[:-1]))))
        assert (len(whole_run.measurements[0].value), whole_run.cuts) == (SERIES_MAX, ())  # type: ignore[arg-type]


class TestManyMeasurements:
    def test_numbers_that_repeat_become_a_series(self) -> None:
        many = [value(150 + at % 3, "power", unit="W") for at in range(MEASUREMENTS_MAX)]
        run = run_of(whole(named_step("soak"), *many, value(999, "power", unit="W"), value("1.2", "firmware")))
        assert [one.name for one in run.measurements] == ["power", "power.offset_s", "firmware"]
        assert run.measurements[0].value[-1] == 999
        assert len(run.measurements[0].value) == MEASUREMENTS_MAX + 1
        assert (run.doubts, run.cuts) == ((), ())

    def test_what_is_still_too_much_is_left_out_but_nothing_that_failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(measured, "MEASUREMENTS_MAX", 4)
        below = [validator("LESS_THAN", 90)]
        many = [*series("temp", [1, 2]), *(value(at, f"m{at}") for at in range(4)), value(99, "hot", validators=below)]
        run = run_of(whole(*many))
        assert [one.name for one in run.measurements] == ["temp", "m0", "m1", "hot"]
        said = "3 of its 7 measurements were left out: a run holds 4."
        assert run.cuts == (said,)
        assert run.doubts == (f"The diagnostic claims a pass; not all that it measured was looked at. {said}",)

    def test_offsets_go_first_and_cost_no_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(measured, "MEASUREMENTS_MAX", 3)
        run = run_of(whole(*series("a", [1], "a"), *series("b", [2], "b")))
        assert [one.name for one in run.measurements] == ["a", "a.offset_s", "b"]
        assert (run.doubts, len(run.cuts)) == ((), 1)


class TestUnfit:
    def test_a_value_that_breaks_a_limit_of_ours_costs_no_other(self) -> None:
        lines = whole(value("x" * 5000), value(999, "power"), ending=end(result="FAIL"))
        told = recorded_run(ABOUT, run_of(lines))
        assert (told.outcome, [one.name for one in told.measurements]) == ("fail", ["power"])
        assert told.cuts[0].startswith("Measurements were left out, 1 of 2: data.measurements[0].value: expected `str`")
        assert told.notes["problems"][0] == told.cuts[0]
        assert told.doubts == ()

    def test_a_run_that_fits_even_so_in_no_message_keeps_its_claim_unless_it_is_a_pass(self) -> None:
        long = "/".join(["a" * 60] * 10)  # as a path of positions it is one; on the wire it is too long
        for result, outcome in (("PASS", "error"), ("FAIL", "fail")):
            run = run_of(whole(value(3), ending=end(result=result)))
            defect = run_of(whole(step(error={"symptom": "x"}))).defects[0]._replace(position=long)
            told = recorded_run(ABOUT, run._replace(defects=(defect,)))
            assert (told.outcome, told.measurements) == (outcome, ())
            assert "data.defects" in told.notes["problems"][-1]
