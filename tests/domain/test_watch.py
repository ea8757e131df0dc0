"""How long a channel is beyond its limits, however its telemetry is cut into messages."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mes.domain.product import Characteristic
from mes.domain.watch import Excursion, Stay, excursions, joined, watched
from tests.domain.floor_stories import at

HOT = Characteristic("temperature", "Cel", low=10, high=85, beyond_s=20)
PERIOD_S = 5.0


def shown(values: list[float | None], begin_s: float = 0, channel: str = "U1/GPU3/temperature") -> list[Excursion]:
    """The excursions in samples of one channel."""
    start, offsets = at(0) + timedelta(seconds=begin_s), [PERIOD_S * index for index in range(len(values))]
    return list(excursions({channel: values}, watched([HOT]), start, offsets))


def seconds(one: Excursion) -> tuple[float, float, float]:
    begin = [(datetime.fromisoformat(when) - at(0)).total_seconds() for when in (one.first, one.last)]
    return begin[0], begin[1], one.value


def test_each_stay_beyond_the_limits_is_told_with_its_furthest_value() -> None:
    found = shown([20, 86, 90, 88, 85, 10, 9, 7, 8, 50, 91])
    assert [seconds(one) for one in found] == [(5, 15, 90), (30, 40, 7), (50, 50, 91)]
    assert (found[0].low, found[0].high, found[0].allowed_s) == (10, 85, 20)


def test_a_gap_does_not_end_a_stay() -> None:
    assert [seconds(one) for one in shown([90, None, None, 91, None])] == [(0, 15, 91)]
    assert shown([None, None]) == []


def test_a_channel_is_watched_by_its_name_and_position() -> None:
    here = Characteristic("flow", low=1, beyond_s=0, position="U7")
    anywhere = Characteristic("flow", low=2, beyond_s=0)
    of = watched([here, anywhere, Characteristic("speed", high=3)])
    assert of("U7/flow") is here
    assert of("U8/flow") is of("flow") is anywhere
    assert of("speed") is of("U7/flow/rate") is None
    assert watched([here])("U8/flow") is None


@given(st.lists(st.sampled_from([20.0, 90.0, 95.0, None]), min_size=2, max_size=30), st.data())
def test_it_is_as_long_as_it_was_wherever_messages_are_cut(values: list[float | None], data: st.DataObject) -> None:
    """Cut anywhere where a value is known on both sides: the longest stay is that of the whole."""
    cuts = [index for index in range(1, len(values)) if values[index - 1] is not None and values[index] is not None]
    chosen = sorted(set(data.draw(st.lists(st.sampled_from(cuts), max_size=4)))) if cuts else []
    parts = [(first, values[first:last]) for first, last in zip([0, *chosen], [*chosen, len(values)], strict=True)]
    told = [one for first, some in parts for one in shown(some, first * PERIOD_S)]
    assert longest(told, PERIOD_S) == longest(shown(values), PERIOD_S)


def longest(told: list[Excursion], period_s: float) -> float:
    """The longest stay, in seconds; -1: none. A message of one sample does not show its period."""
    stay: Stay | None = None
    lasted = -1.0
    for one in told:
        stay = joined(stay, one._replace(joined_s=1.5 * period_s))
        lasted = max(lasted, stay.lasted_s)
    return lasted
