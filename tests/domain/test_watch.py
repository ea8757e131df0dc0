"""How long a channel is beyond its limits, however its telemetry is cut into messages."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mes.domain.product import Characteristic
from mes.domain.watch import Excursion, Stay, excursions, joined, stay_of, watched
from tests.domain.floor_stories import at

HOT = Characteristic("temperature", "Cel", low=10, high=85, beyond_s=20)
PERIOD_S = 5.0
Values = Sequence[float | None]


def shown(values: Values, offsets_s: Sequence[float] | None = None, period_s: float = PERIOD_S) -> list[Excursion]:
    """The excursions in samples of one channel."""
    channels = {"U1/GPU3/temperature": values}
    if offsets_s is not None:
        return list(excursions(channels, watched([HOT]), offsets_s))
    return list(excursions(channels, watched([HOT]), [period_s * at for at in range(len(values))], period_s))


def stays(*told: tuple[float, list[Excursion]]) -> list[Stay]:
    """What messages come to, in the order in which they arrive: each when it began, and its excursions."""
    known: list[Stay] = []
    for number, (begun_s, some) in enumerate(told):
        for one in some:
            met, stay = joined(known, stay_of(one, at(0) + timedelta(seconds=begun_s), "stations/s", f"m{number}"))
            known = [*(other for other in known if other not in met), stay]
    return known


def longest(some: Iterable[Stay]) -> float:
    """The longest stay, in seconds; -1: none."""
    return max((one.lasted_s for one in some if one.first), default=-1.0)


def seconds(one: Excursion) -> tuple[float | None, float | None, float | None]:
    return one.first_s, one.last_s, one.value


def test_what_touches_an_edge_or_is_too_long_is_told_with_its_furthest_value() -> None:
    found = shown([90, 20, 86, 90, 88, 85, 10, 9, 7, 8, 6, 9, 50, 91])
    assert [seconds(one) for one in found] == [(0, 0, 90), (35, 55, 6), (65, 65, 91)]
    assert (found[0].low, found[0].high, found[0].allowed_s) == (10, 85, 20)
    assert [(one.cooled_before, one.cooled_after) for one in found] == [(False, True), (True, True), (True, False)]


def test_of_a_channel_that_breaks_its_limits_time_and_again_the_first_are_told() -> None:
    assert len(shown([20, *([90] * 5 + [20]) * 1000])) == 10


def test_a_gap_does_not_end_a_stay() -> None:
    assert [seconds(one) for one in shown([90, None, None, 91, None])] == [(0, 15, 91)]
    (silent,) = shown([None, None])
    assert seconds(silent) == (None, None, None)
    assert shown([20, None]) == shown([None, 20]) == []


@pytest.mark.parametrize(
    "parts",
    [
        [[90, 90, None, None], [None, 90, 90, None], [None, 90, 90, None]],
        [[90, 90, None, None], [None, None, None, None], [None, 90, 90, None]],
    ],
)
def test_a_gap_at_the_edge_of_a_message_does_not_end_a_stay_either(parts: list[Values]) -> None:
    assert longest(stays(*((20.0 * number, shown(some)) for number, some in enumerate(parts)))) == 50


def test_a_channel_is_watched_by_its_name_and_position() -> None:
    here = Characteristic("flow", low=1, beyond_s=0, position="U7")
    anywhere = Characteristic("flow", low=2, beyond_s=0)
    of = watched([here, anywhere, Characteristic("speed", high=3)])
    assert of("U7/flow") is here
    assert of("U8/flow") is of("flow") is anywhere
    assert of("speed") is of("U7/flow/rate") is None
    assert watched([here])("U8/flow") is None


@given(st.lists(st.sampled_from([20.0, 90.0, 95.0, None]), min_size=1, max_size=30), st.data())
def test_it_is_as_long_as_it_was_wherever_messages_are_cut_and_however_they_come(
    values: list[float | None], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(values) - 1)), max_size=5))) if len(values) > 1 else []
    edges = [0, *cuts, len(values)]
    parts = [(first * PERIOD_S, shown(values[first:last])) for first, last in pairwise(edges)]
    arrived = data.draw(st.permutations(parts))
    whole = longest(stays((0, shown(values))))
    # What is bounded within one message and short is told of the parts at most.
    assert max(longest(stays(*arrived)), HOT.beyond_s or 0) == max(whole, HOT.beyond_s or 0)
    if whole >= (HOT.beyond_s or 0):
        assert longest(stays(*arrived)) == whole


def test_single_samples_are_joined_by_their_period_and_by_nothing_else() -> None:
    """Hot at every half minute is one stay, and hot twice with three cool samples between is none."""
    assert longest(stays(*((30.0 * n, shown([110], period_s=30)) for n in range(20)))) == 19 * 30
    blips = [90, 40, 40, 40, 90]
    assert longest(stays(*((5.0 * n, shown([value])) for n, value in enumerate(blips)))) == 0
    assert longest(stays(*((5.0 * n, shown([value], offsets_s=[0])) for n, value in enumerate(blips)))) == 0


def test_a_pause_within_a_message_joins_nothing_that_was_cool_between() -> None:
    assert shown([40, 90, 40, 40, 40, 90, 40], offsets_s=[0, 5, 10, 15, 20, 25, 65]) == []
    hot, cool_between = shown([40, 90]), shown([90, 40, 40], offsets_s=[0, 5, 65])
    assert longest(stays((0, hot), (35, cool_between))) == 0


def test_a_change_of_period_does_not_end_a_stay() -> None:
    assert longest(stays((0, shown([90, 90], period_s=15)), (30, shown([90, 90], period_s=1)))) == 31


def test_stretches_that_overlap_are_one() -> None:
    sparse, dense = shown([40, 90, 90], offsets_s=[0, 100, 105]), shown([90] * 9)
    for told in ([(110.0, sparse), (160.0, dense)], [(160.0, dense), (110.0, sparse)]):
        assert longest(stays(*told)) == 55


def test_a_message_that_is_missing_joins_nothing_until_it_comes() -> None:
    hot = shown([90] * 2)
    assert longest(stays((0, hot), (20, hot))) == 5
    assert longest(stays((0, hot), (20, hot), (10, hot))) == 25
