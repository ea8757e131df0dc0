"""What testers report: values, wires, defects; of products, of known good units, and of their own failures."""

from collections.abc import Sequence
from typing import Any, Final

from mes.formats.messages import Defect, Program, ReportedMeasurement, RunReported, SamplesTaken, UnitRef
from stations.floor import crew, soak
from stations.floor.deeds import After, Fact, Moment
from stations.floor.faults import Excursion, Fault
from stations.floor.kinds import kind_of
from stations.floor.plant import Bench
from stations.floor.products import NETLIST, Product, Step
from stations.floor.schedule import Process
from stations.floor.values import bad, good, lasted, probed
from stations.floor.work import Attempt, Floor

VERSIONS: Final = ("1.4.2", "2.0.1", "3.2.0", "4.1.7")


def report(attempt: Attempt, fault: Fault | None, after: Sequence[After] = ()) -> None:
    """The attempt's values, good but for a fault."""
    bias = attempt.bench.wear()
    outcome = "fail" if fault and not fault.missed else "pass"
    fixture = attempt.bench.fixture
    attempt.tell(lambda moment, at: _run(attempt, moment, at, fault, outcome, bias, fixture), after)


def give_up(attempt: Attempt) -> None:
    """The station breaks off: its own fault, and half of the values are missing."""
    fixture = attempt.bench.fixture

    def make(moment: Moment, at: float) -> RunReported:
        whole = _run(attempt, moment, at, None, "error", 0.0, fixture)
        kept = whole.measurements[: len(whole.measurements) // 2]
        text = "The program lost the instrument and was started again."
        return _changed(whole, measurements=kept, connections=(), defects=(Defect("instrument-lost", text=text),))

    attempt.tell(make)


def _run(
    attempt: Attempt, moment: Moment, at: float, fault: Fault | None, outcome: Any, bias: float, fixture: str
) -> RunReported:
    product, step = attempt.unit.product, attempt.step
    return RunReported(
        attempt.unit.ref,
        step.step,
        moment(attempt.began),
        moment(at),
        outcome,
        attempt.run,
        operator=attempt.operator,
        fixture=fixture,
        program=program(product, step),
        **_values(attempt.floor, product, step, attempt.run, fault, bias, (at - attempt.began) / 3600),
    )


def _values(
    floor: Floor, product: Product, step: Step, run: str, fault: Fault | None, bias: float, hours: float
) -> dict[str, Any]:
    die = floor.chance.of(run, "values")
    measured: list[ReportedMeasurement] = []
    for one in product.required(step):
        is_off = fault is not None and fault.characteristic is one
        value = bad(one, die) if is_off else good(one, die, bias)
        measured.append(lasted(one, hours) if soak.is_duration(one) else value)
    wires = probed(product.netlist, die, fault.swapped if fault else None) if NETLIST in step.needs else []
    return {"measurements": tuple(measured), "connections": tuple(wires)}


def program(product: Product, step: Step) -> Program | None:
    """The test program of a product's step; handwork has none."""
    name = kind_of(step.station_kind).program
    if name is None:
        return None
    version = VERSIONS[sum(f"{product.part}{step.step}".encode()) % len(VERSIONS)]
    return Program(f"{name}-{product.part.lower()}", version)


def check(floor: Floor, bench: Bench, product: Product, step: Step) -> Process[None]:
    """At the first use in a shift a tester proves itself on a known good unit."""
    shift = crew.shift_number(floor.now)
    serial = floor.golden.get(product.part)
    if not kind_of(bench.kind).golden or bench.shift == shift or serial is None:
        return
    bench.shift = shift
    run = f"{bench.name}.{serial}.{shift}"  # another floor on the same stations has good units of its own
    began, operator, bias, fixture = floor.now, crew.operator(floor.now, bench.name), bench.wear(), bench.fixture
    yield min(600.0, max(30.0, kind_of(bench.kind).takes_s / 4))
    at = floor.now

    def make(moment: Moment) -> RunReported:
        values = _values(floor, product, step, run, None, bias, (at - began) / 3600)
        unit, said = UnitRef(serial), program(product, step)
        return RunReported(
            unit, step.step, moment(began), moment(at), "pass", run, "golden", operator, fixture, said, **values
        )

    floor.diary.note(at, serial, Fact(bench.name, make))


def soaked(attempt: Attempt, ends: float, live: Excursion | None) -> Process[None]:
    """Stay in a soak, telling telemetry as it goes; if it breaks a watched limit, until the MES says that it failed."""
    floor = attempt.floor
    chosen = soak.channels(floor.catalog, attempt.unit.product, attempt.step)
    every_s = soak.period_s(len(chosen))
    lasts_s = soak.broken_after_s(live, every_s) if live else ends - attempt.began
    told_s = 0.0
    while told_s < lasts_s:
        stretch = min(soak.stretch_s(floor.now, floor.watched_from, every_s), lasts_s - told_s)
        yield stretch
        if count := int(stretch // every_s):
            _tell_samples(attempt, chosen, told_s, count, every_s, live)
        told_s += stretch


def stopped(attempt: Attempt) -> Process[None]:
    """The MES says that the run has failed: the station ends it."""
    attempt.hear_stop()
    yield 4.0
    fixture = attempt.bench.fixture
    attempt.tell(lambda moment, at: _changed(_run(attempt, moment, at, None, "aborted", 0.0, fixture), measurements=()))


def _tell_samples(
    attempt: Attempt, chosen: dict[str, Any], from_s: float, count: int, every_s: float, live: Excursion | None
) -> None:
    dice, off = attempt.floor.chance, {live.channel: live} if live else {}

    def make(moment: Moment, _at: float) -> SamplesTaken:
        taken = {
            name: soak.samples(one, dice.of(attempt.run, name, "samples"), from_s, count, every_s, off.get(name))
            for name, one in chosen.items()
        }
        start = moment(attempt.began + from_s)
        return SamplesTaken(attempt.unit.ref, attempt.step.step, start, taken, attempt.run, every_s)

    attempt.tell(make)


def _changed(run: RunReported, **fields: Any) -> RunReported:
    kept = {name: getattr(run, name) for name in run.__struct_fields__}
    return RunReported(**{**kept, **fields})
