"""The simulated floor by itself: what it plans is a function of its seed, and all that a real floor sees is in it."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from mes.commands.inventories import items_of
from mes.domain.inventory import wrong_firmware
from mes.domain.watch import Excursion, excursions, watched
from mes.formats.messages import (
    InventoryRead,
    PartInstalled,
    PartRemoved,
    RunReported,
    SamplesTaken,
    StepStarted,
    encode_event,
)
from mes.formats.product_document import to_document
from stations.floor.deeds import (
    After,
    Away,
    Back,
    Clock,
    Deed,
    Diagnosed,
    Fact,
    Ordered,
    Pause,
    Question,
    Repaired,
    Stopped,
)
from stations.floor.kinds import short_lines
from stations.floor.production import Production
from tests.deploy.delivered import RACK, definitions

BEGAN = datetime(2026, 11, 2, 12, tzinfo=UTC)
CLOCK = Clock(BEGAN)


@cache
def built(seed: int = 1, racks: int = 1) -> tuple[Production, tuple[Deed, ...]]:
    production = Production(map(to_document, definitions()), RACK, seed=seed, block=seed)
    production.set_up()
    for _ in range(racks):
        production.release(racks)
    production.schedule.run(float("inf"))
    return production, tuple(production.diary.take())


def facts(seed: int = 1, racks: int = 1) -> list[tuple[Deed, Any]]:
    """What stations say, as messages."""
    return [(one, one.what.make(CLOCK)) for one in built(seed, racks)[1] if isinstance(one.what, Fact)]


def kind_of(seed: int, station: str) -> str:
    return next(bench.kind for bench in built(seed)[0].plant.benches if bench.name == station)


def written(seed: int) -> list[bytes]:
    return [encode_event("x", "s", one.id, CLOCK(one.at), data) for one, data in facts(seed)]


def test_the_same_seed_gives_the_same_floor() -> None:
    first = written(1)
    built.cache_clear()
    assert written(1) == first


def test_another_seed_gives_other_serials_and_failures() -> None:
    serials = [{data.child.serial for _, data in facts(seed) if isinstance(data, PartInstalled)} for seed in (1, 2)]
    assert serials[0] & serials[1] == {None}
    failed = [[one.what.step for one in built(seed)[1] if isinstance(one.what, Diagnosed)] for seed in (1, 2)]
    assert failed[0] != failed[1]


def test_every_kind_of_station_reports_values() -> None:
    kinds = {step.station_kind for one in definitions() if one.part != "POD-8R-48" for step in one.route}
    reported = {
        kind_of(1, one.what.station)
        for one, data in facts()
        if isinstance(one.what, Fact) and isinstance(data, RunReported) and (data.measurements or data.connections)
    }
    assert reported == kinds
    assert len(kinds) == 19


@pytest.mark.parametrize("seed", range(1, 9))
def test_every_floor_is_built_to_its_end_and_in_order(seed: int) -> None:
    production, deeds = built(seed)
    assert all(task.done for task in (*production.tops, *production.spares))
    assert not any(pool.waiting for pool in production.plant.pools.values())
    told: dict[str, float] = {}
    done: Counter[str] = Counter()
    for one in deeds:  # as they were noted: each chain in the order in which it is told, after what it comes after
        assert one.told_at >= told.get(one.chain, 0.0)
        assert one.at <= one.told_at
        assert [after for after in one.after if done[after.chain] < after.deeds] == []
        told[one.chain] = one.told_at
        done[one.chain] += 1
    assert len({one.id for one in deeds}) == len(deeds)
    assert any(isinstance(one.what, Repaired) for one in deeds)


def test_a_rack_takes_days_and_is_soaked_for_two_of_them() -> None:
    (serial,) = {one.what.unit for one in built()[1] if isinstance(one.what, Question) and one.what.step == "fill"}
    soaks = [data for _, data in facts() if isinstance(data, RunReported) and data.step == "burn-in"]
    (passed,) = [data for data in soaks if data.unit.serial == serial and data.outcome == "pass"]
    assert passed.ended_at - passed.started_at >= timedelta(hours=48)
    assert timedelta(days=4) < timedelta(seconds=built()[0].diary.ends_at) < timedelta(days=14)


def test_a_soak_says_it_took_as_long_as_it_did() -> None:
    said = [
        (one.value, (said.ended_at - said.started_at) / timedelta(hours=1))
        for _, said in facts()
        if isinstance(said, RunReported)
        for one in said.measurements
        if one.name == "soak_time"
    ]
    assert said
    for hours, lasted in said:
        assert isinstance(hours, float)
        assert lasted - 0.01 <= hours <= lasted
    assert any(hours >= 48 for hours, _ in said)


def test_people_err_and_notice() -> None:
    """Over some floors: scanned twice, scanned into the wrong slot, and a station that was away."""
    seen: Counter[str] = Counter()
    for seed in range(1, 9):
        scans: Counter[tuple[str, str, str | None]] = Counter()
        for _, data in facts(seed):
            if isinstance(data, PartRemoved):
                seen[data.reason or ""] += 1
            elif isinstance(data, PartInstalled) and data.child.serial:
                scans[data.parent.serial, data.position, data.child.serial] += 1
        seen["twice"] += sum(count > 1 for count in scans.values())
        away = [one.what.station for one in built(seed)[1] if isinstance(one.what, Away)]
        back = [one.what.station for one in built(seed)[1] if isinstance(one.what, Back)]
        assert sorted(away) == sorted(back)
        seen["away"] += len(away)
        seen["late"] += sum(one.told_at > one.at for one in built(seed)[1])
    assert seen["scanned into the wrong slot"]
    assert seen["dead"] == 2 * 8
    assert seen["twice"]
    assert seen["away"]
    assert seen["late"] > seen["away"]


def test_an_offline_station_asks_nothing() -> None:
    """It works on only where the definition lets it, and starts without a grant."""
    for seed in range(1, 9):
        asked = {(one.what.unit, one.what.step) for one in built(seed)[1] if isinstance(one.what, Question)}
        for one, data in facts(seed):
            if isinstance(data, StepStarted) and (data.unit.serial, data.step) not in asked:
                part = next(
                    order.what.part
                    for order in built(seed)[1]
                    if isinstance(order.what, Ordered) and data.unit.serial in order.what.serials
                )
                assert built(seed)[0].catalog[part].steps[data.step].on_no_answer == "go_on"
                assert one.told_at > one.at


def test_known_good_units_are_tested_once_a_shift_at_most() -> None:
    checks = [data for _, data in facts() if isinstance(data, RunReported) and data.purpose == "golden"]
    assert len({one.run for one in checks}) == len(checks) > 10


def test_telemetry_stays_within_limits_but_for_what_fails() -> None:
    samples = [data for _, data in facts() if isinstance(data, SamplesTaken)]
    channels = [channel for data in samples for channel in data.channels.items()]
    hot = [value for name, values in channels if "gpu_temperature" in name for value in values]
    assert len(hot) > 50_000
    assert max(value for value in hot if value is not None) < 85
    assert None in hot


def test_a_hot_soak_is_stopped_mounted_anew_and_passes() -> None:
    """Its telemetry stays beyond the limit for as long as it may, and ends there."""
    for seed in (1, 2, 3):
        (stop,) = [one.what for one in built(seed)[1] if isinstance(one.what, Stopped)]
        unit, step, run = stop.unit, stop.step, stop.run
        soaks = [data for _, data in facts(seed) if isinstance(data, SamplesTaken) and data.run == run]
        product = next(one for one in definitions() if one.part == ordered_part(seed, unit))
        of = watched(product.characteristics)
        assert not any(list(broken(data, of)) for data in soaks[:-1])
        (one,) = broken(soaks[-1], of)
        assert one.channel in soaks[-1].channels
        assert one.first_s is not None
        assert one.last_s is not None
        assert one.last_s - one.first_s >= one.allowed_s
        ended = [d for _, d in facts(seed) if isinstance(d, RunReported) and (d.unit.serial, d.step) == (unit, step)]
        assert [data.outcome for data in ended] == ["aborted", "pass"]
        (back,) = [d for _, d in facts(seed) if isinstance(d, PartRemoved) and d.parent.serial == unit and d.child]
        places = [d for _, d in facts(seed) if isinstance(d, PartInstalled) and type(d) is not PartRemoved]
        fitted = [d.child for d in places if d.parent.serial == unit and d.position == back.position]
        assert fitted == [back.child, back.child]


def broken(data: SamplesTaken, of: Any) -> Iterator[Excursion]:
    count = len(next(iter(data.channels.values())))
    return excursions(data.channels, of, [index * (data.period_s or 0) for index in range(count)], data.period_s)


def ordered_part(seed: int, serial: str) -> str:
    return next(o.what.part for o in built(seed)[1] if isinstance(o.what, Ordered) and serial in o.what.serials)


def test_inventories_tell_what_is_inside_with_every_baseline() -> None:
    read = [data for _, data in facts() if isinstance(data, InventoryRead)]
    parts = {ordered_part(1, data.unit.serial) for data in read}
    assert parts == {one.part for one in definitions() if any("firmware_matches" in step.needs for step in one.route)}
    products = {one.part: one for one in definitions()}
    wrong = [data for data in read if wrong_firmware(items_of(data), products[ordered_part(1, data.unit.serial)])]
    failed = {data.run for _, data in facts() if isinstance(data, RunReported) and is_off(data, "firmware_matches")}
    assert {data.run for data in wrong} == failed


def is_off(data: RunReported, name: str) -> bool:
    return any(one.name == name and one.value is False for one in data.measurements)


def test_who_looks_sees_a_soak_stopped_within_minutes() -> None:
    production = Production(map(to_document, definitions()), RACK, seed=1, block=1)
    production.set_up()
    seen_from = 10 * 86_400.0
    production.go_on(1, seen_from)
    production.schedule.run(seen_from)
    production.diary.take()
    production.schedule.run(seen_from + 180)
    assert [one for one in production.diary.take() if isinstance(one.what, Stopped)]


def test_a_pause_passes_unnoticed() -> None:
    clock = Clock(BEGAN, [Pause(100, 50), Pause(200, 7)])
    assert [(clock(at) - BEGAN).total_seconds() for at in (0, 100, 101, 200, 300)] == [0, 100, 151, 250, 357]
    assert clock.at(clock(300)) == 300


def test_production_without_an_end_keeps_every_line_busy() -> None:
    production = Production(map(to_document, definitions()), RACK, seed=1, block=1)
    production.set_up()
    production.go_on(1, 10 * 86_400)
    production.schedule.run(10 * 86_400)
    history = production.diary.take()
    assert production.tops[0].done
    assert isinstance(history[0].after, tuple)
    assert all(isinstance(after, After) for one in history for after in one.after)
    for hour in range(1, 13):
        production.schedule.run(10 * 86_400 + hour * 3600)
        assert len(production.diary.take()) > 60


def test_stations_have_short_names_of_their_own() -> None:
    names = [bench.name for bench in built()[0].plant.benches]
    assert {"cab-crimp-1", "rack-hipot-2", "com-prov-1", "log-dock-1"} <= set(names)
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 14
    assert short_lines(["rack", "net", "network", "neural"]) == {
        "rack": "rack",
        "net": "net",
        "network": "netw",
        "neural": "neur",
    }
