"""A sheet of limits never says anything else than judging each measurement by itself."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from mes.domain.facts import FAIL, PASS, SKIPPED
from mes.domain.limits import UNSET, Measurement
from mes.domain.product import Characteristic, Definition, Step
from mes.domain.run import Criteria, Report, judge

TRAY = Definition(
    "TRAY",
    "A",
    "Tray",
    "compute",
    route=(Step("test", "tester", needs=("volts", "load")), Step("look", "bench")),
    characteristics=(
        Characteristic("volts", "V", 11.5, 12.5),
        Characteristic("load", "A", None, 40.0),
        Characteristic("idle", "A", 0.5),
        Characteristic("heat", "Cel", high=60.0, position="U1"),
        Characteristic("word", equals="ok"),
    ),
)


class OneByOne(Criteria):
    """Criteria without sheets."""

    def sheet(self, report: Report) -> None:
        return None


VALUES = st.one_of(
    st.sampled_from([11.5, 12.5, 12.0, 40.0, 0.5, 12, True, None, "ok", math.nan, math.inf, -math.inf, 1e308]),
    st.floats(0, 60),
)
MEASUREMENTS = st.builds(
    Measurement,
    st.sampled_from(["volts", "load", "idle", "heat", "word", "stray"]),
    VALUES,
    st.sampled_from([None, "V", "A", "mV", "Cel"]),
    outcome=st.sampled_from([None, PASS, FAIL, UNSET, SKIPPED]),
    position=st.sampled_from([None, "U1"]),
)
GOOD = (Measurement("volts", 12.0, "V"), Measurement("load", 3.0, None, outcome=PASS))


@given(st.sampled_from(["test", "look", "other"]), st.lists(MEASUREMENTS, max_size=5).map(tuple))
@example("test", GOOD)
@example("test", (*GOOD, Measurement("idle", math.inf, "A")))
@example("test", GOOD[:1])
@example("look", (Measurement("load", 40.000000000000001, "A"),))
def test_a_sheet_judges_as_one_by_one(step: str, measurements: tuple[Measurement, ...]) -> None:
    criteria, report = Criteria(TRAY), Report(step, PASS, measurements)
    assert repr_of(criteria, report) == repr_of(OneByOne(TRAY), report)
    assert repr_of(criteria, report) == repr_of(OneByOne(TRAY), report), "also when the sheet is there already"


def repr_of(criteria: Criteria, report: Report) -> str:
    """NaN differs from itself; its text does not."""
    judgement = judge(criteria, report)
    return repr((judgement.verdict, list(judgement.measured), judgement.reasons, judgement.deviations))


def test_what_is_remembered_of_shapes_is_bounded() -> None:
    criteria = Criteria(TRAY)
    for number in range(1200):
        judge(criteria, Report("test", PASS, (Measurement(f"stray-{number}", 1.0),)))
    assert len(criteria._sheets) <= 500
    assert criteria.sheet(Report("test", PASS, GOOD)) is not None, "or all of this tests nothing"
