"""Merging telemetry changes nothing of it: the same samples at the same times. Its extremes are finite."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from sys import float_info

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mes.domain.telemetry import SAMPLES_MAX, Stretch, extremes, merged

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
VALUES = st.lists(st.none() | st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=6)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def regular(begin: float, *values: float | None, period_s: float = 5.0) -> Stretch:
    return Stretch(at(begin), period_s, None, values)


def samples(stretches: list[Stretch]) -> list[tuple[datetime, float | None]]:
    """Every sample with its time, in order."""
    found = []
    for one in stretches:
        offsets = one.offsets_s or [index * (one.period_s or 0) for index in range(len(one.values))]
        found += [
            (one.start + timedelta(seconds=offset), value) for offset, value in zip(offsets, one.values, strict=True)
        ]
    return sorted(found, key=lambda one: (one[0], str(one[1])))


@st.composite
def stretches(draw: st.DrawFn) -> list[Stretch]:
    """Stretches at whole seconds that may continue, overlap, or pause."""
    told = []
    for _ in range(draw(st.integers(1, 6))):
        begin, values = draw(st.integers(0, 60)), draw(VALUES)
        if draw(st.booleans()):
            told.append(regular(begin, *values, period_s=draw(st.sampled_from([1.0, 5.0]))))
        else:
            steps = draw(st.lists(st.integers(0, 9), min_size=len(values), max_size=len(values)))
            told.append(Stretch(at(begin), None, [float(sum(steps[: i + 1])) for i in range(len(steps))], values))
    return told


@settings(max_examples=300)
@given(stretches(), st.randoms())
def test_merging_keeps_every_sample_whatever_the_order(told: list[Stretch], random) -> None:  # type: ignore[no-untyped-def]
    found = list(merged(told))
    assert samples(found) == samples(told)
    assert len(found) <= len(told)
    shuffled = list(told)
    random.shuffle(shuffled)
    assert samples(list(merged(shuffled))) == samples(told)


def test_what_follows_on_becomes_one() -> None:
    (one,) = merged([regular(10, 3, 4), regular(0, 1, 2), regular(20, None, 6)])
    assert one == Stretch(START, 5.0, None, [1, 2, 3, 4, None, 6])


def test_a_clock_that_is_off_by_milliseconds_makes_no_pause() -> None:
    (one,) = merged([regular(0, 1, 2), regular(10.04, 3)])
    assert one.values == [1, 2, 3]
    assert len(list(merged([regular(0, 1, 2), regular(10.06, 3)]))) == 2


def test_small_differences_do_not_add_up() -> None:
    """Each stretch is compared with the first one's clock: an hour of 40 ms late messages is not one stretch."""
    drifting = [regular(10.04 * number, 1, 2) for number in range(5)]
    assert len(list(merged(drifting))) == 3


def test_pauses_overlaps_and_other_periods_stay_apart() -> None:
    for other in (regular(15, 9), regular(5, 9), regular(10, 9, period_s=1)):
        assert len(list(merged([regular(0, 1, 2), other]))) == 2


def test_a_merged_stretch_has_a_bound() -> None:
    told = [regular(number * 3000, *([1.0] * 600)) for number in range(20)]
    found = list(merged(told))
    assert [len(one.values) for one in found] == [4800, 4800, 2400]
    assert max(len(one.values) for one in found) <= SAMPLES_MAX


HUGE = float_info.max


@settings(max_examples=300)
@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
@example([HUGE] * 9)
@example([-HUGE, None, -HUGE, -HUGE])
@example([HUGE, HUGE, -HUGE, -HUGE])
@example([5e-324, 0.0])
def test_extremes_of_any_finite_doubles(values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    found = extremes(values)
    if found is None:
        assert known == []
        return
    exact = float(sum(map(Fraction, known)) / len(known))
    assert (found.low, found.high) == (min(known), max(known))
    assert found.mean == pytest.approx(exact, rel=1e-12, abs=1e-12 * max(map(abs, known)))
