"""Facts and decisions: what the state of the floor is a function of.

A *fact* is what a station said happened; a *decision* is what the MES or a person decided. Both are entries of the
same set, ordered by `Entry.key`. Units and lots are referred to by their internal ids (texts here; UUIDs in the
database): a fact gets here only after its serials were resolved.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias, get_args

from mes.domain.watch import Excursion

UnitId: TypeAlias = str
LotId: TypeAlias = str

PASS, FAIL, ERROR, ABORTED, SKIPPED, INTERRUPTED = "pass", "fail", "error", "aborted", "skipped", "interrupted"
"""The scale of runs and attempts. FAIL is the product's, ERROR the station's; INTERRUPTED: no end ever came."""

PRODUCTION, GOLDEN, GAUGE, ENGINEERING = "production", "golden", "gauge", "engineering"
PURPOSES = (PRODUCTION, GOLDEN, GAUGE, ENGINEERING)


class Station(NamedTuple):
    """Who spoke: a station's name and the kind of work it does."""

    name: str
    kind: str


class PartReceived(NamedTuple):
    """A bought unit or lot arrived."""

    part: str
    unit: UnitId | None = None
    lot: LotId | None = None
    quantity: Decimal | None = None


class UnitIdentified(NamedTuple):
    """Identifiers were printed on, or read from, a unit: (kind, value) pairs."""

    unit: UnitId
    identifiers: tuple[tuple[str, str], ...]


class MaterialUnloaded(NamedTuple):
    """A lot was taken off a station: from one `place`, or from wherever it was; `quantity` is what was left of it."""

    station: Station
    part: str
    lot: LotId
    maker: str | None = None
    place: str | None = None
    quantity: Decimal | None = None
    operator: str | None = None


class MaterialLoaded(NamedTuple):
    """A lot was mounted at a station, at a `place` with a name (a feeder) or at the one place of its part number."""

    station: Station
    part: str
    lot: LotId
    maker: str | None = None
    place: str | None = None
    quantity: Decimal | None = None
    operator: str | None = None


class StepStarted(NamedTuple):
    """A station began a step of a unit's route; `run` is the station's own name for the attempt."""

    unit: UnitId
    step: str
    station: Station
    run: str | None = None
    operator: str | None = None


class PartRemoved(NamedTuple):
    """A part, or `quantity` of a lot (None: all of it), left a position."""

    parent: UnitId
    position: str
    child: UnitId | None
    lot: LotId | None
    part: str
    quantity: Decimal | None = None
    operator: str | None = None
    reason: str | None = None


class PartInstalled(NamedTuple):
    """A part, or `quantity` of a lot, was put into a position of a parent.

    With neither child nor lot the lot is one of those `loaded` at its station then: worked out by each fold
    (`material.with_lot`), never recorded. `bulk`: no lots are kept of the part.
    """

    parent: UnitId
    position: str
    child: UnitId | None
    lot: LotId | None
    part: str
    maker: str | None = None
    quantity: Decimal | None = None
    operator: str | None = None
    bulk: bool | None = None
    loaded: tuple[LotId, ...] | None = None


class StepCompleted(NamedTuple):
    """A station ended a step that measures nothing."""

    unit: UnitId
    step: str
    station: Station
    outcome: str
    run: str | None = None
    operator: str | None = None


class RunReported(NamedTuple):
    """A station reported one attempt with its values; `verdict` is the MES's judgement of them, `claim` the station's.

    The values themselves are in the run record `run_id`; the verdict is a function of them and the unit's definition,
    so it never has to be computed again.
    """

    unit: UnitId
    step: str
    station: Station
    run_id: str
    started_at: datetime
    ended_at: datetime
    claim: str
    verdict: str
    run: str | None = None
    purpose: str = PRODUCTION
    operator: str | None = None


class RunRecorded(NamedTuple):
    """What one message of a stream made of the run that it tells of while the run goes on.

    `lines` counts what is known of the run: of several about one `run_id` the one with most lines is the newest, and
    the only one that counts. Times, claim and verdict are None as long as the lines don't tell them.
    """

    unit: UnitId
    step: str
    station: Station
    run: str
    run_id: str
    lines: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    claim: str | None = None
    verdict: str | None = None
    purpose: str = PRODUCTION
    operator: str | None = None


class RunInterrupted(NamedTuple):
    """Decision: the end of a run that was being recorded is not waited for any longer; more than `lines` refute it."""

    unit: UnitId
    step: str
    station: Station
    run: str
    run_id: str
    lines: int


class SamplesTaken(NamedTuple):
    """Telemetry of a step in progress was stored. It moves the unit only if a watched limit was broken too long.

    `excursions` are those beyond watched limits (`watch.Excursion`), `start` is the effective time of the first sample.
    """

    unit: UnitId
    step: str
    station: Station
    run: str | None = None
    excursions: tuple[Excursion, ...] | None = None
    start: datetime | None = None


class InventoryRead(NamedTuple):
    """Electronics said what is in a unit; it changes nothing: what is installed is what was scanned."""

    unit: UnitId
    station: Station
    run: str | None = None


class UnitPacked(NamedTuple):
    """A station packed a unit, perhaps into a container named `into`."""

    unit: UnitId
    into: str | None = None


class UnitShipped(NamedTuple):
    """A unit left the floor. As a station's fact it ships the unit only if the unit may ship."""

    unit: UnitId
    order: str | None = None
    to: str | None = None


class StepAnswered(NamedTuple):
    """Decision: an ask was answered; a grant lets the step start until `valid_until`."""

    unit: UnitId
    step: str
    station: Station
    granted: bool
    valid_until: datetime | None = None


class ShipmentDecided(NamedTuple):
    """Decision: the MES let a unit ship, having checked its gate then. Never taken back by a late fact."""

    unit: UnitId
    order: str | None = None
    to: str | None = None


class Disposed(NamedTuple):
    """Decision: what becomes of a nonconformance. `ruling`: rework, scrap, use_as_is."""

    unit: UnitId
    nonconformance: str
    ruling: str


What: TypeAlias = (
    PartReceived
    | UnitIdentified
    | MaterialUnloaded
    | MaterialLoaded
    | StepAnswered
    | StepStarted
    | SamplesTaken
    | InventoryRead
    | PartRemoved
    | PartInstalled
    | StepCompleted
    | RunReported
    | RunRecorded
    | RunInterrupted
    | Disposed
    | UnitPacked
    | UnitShipped
    | ShipmentDecided
)

_RANKS: dict[type, int] = {kind: rank for rank, kind in enumerate(get_args(What))}
"""The kinds in the natural order of work, as `What` names them."""


class Key(NamedTuple):
    """Where an entry stands in the order of the floor.

    Stations stamp whole seconds, so a part's scan and the end of its step often carry the same time: at equal times
    the natural order of work (`rank`: receive, identify, unload, load, start, remove, install, end, pack, ship) decides
    before source and id do.
    """

    at: datetime
    rank: int
    source: str
    id: str


class Entry(NamedTuple):
    """One fact or decision: what happened, effective when, said by whom under which id."""

    key: Key
    what: What

    @property
    def at(self) -> datetime:
        return self.key.at


def entry(at: datetime, source: str, id: str, what: What) -> Entry:
    """An entry with its place in the order worked out. `at` is effective time: never later than arrival."""
    return Entry(Key(at, _RANKS[type(what)], source, id), what)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in the order of the floor, each (source, id) once; of a run that was recorded what its lines tell."""
    once: dict[tuple[str, str], Entry] = {}
    for one in sorted(_as_told(entries), key=lambda one: one.key):
        once.setdefault((one.key.source, one.key.id), one)
    return list(once.values())


def told_of_run(newest: Entry, interruption: Entry | None = None) -> list[Entry]:
    """What a recording comes to on the floor: a start, and an end or an interruption that nothing refuted.

    Their names are made of the run's own: they don't depend on the messages by which it became known.
    """
    what = newest.what
    assert isinstance(what, RunRecorded)
    name, source, told = f"{what.unit}/{what.step}/{what.run}", newest.key.source, []
    about = (what.unit, what.step, what.station)
    if what.started_at and what.purpose == PRODUCTION:
        start = StepStarted(*about, what.run, what.operator)
        told.append(entry(what.started_at, source, f"{name}/started", start))
    if what.started_at and what.ended_at and what.claim and what.verdict:
        during = (what.started_at, what.ended_at)
        end = RunReported(*about, what.run_id, *during, what.claim, what.verdict, what.run, what.purpose, what.operator)
        told.append(entry(what.ended_at, source, f"{name}/ended", end))
    elif interruption and interruption.what.lines >= what.lines:  # type: ignore[union-attr]
        told.append(interruption)
    return told


def _as_told(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Entries with the newest word on each recorded run in place of all that was said of it."""
    newest: dict[str, Entry] = {}
    interruptions: dict[str, Entry] = {}
    for one in entries:
        what = one.what
        if isinstance(what, RunRecorded):
            known = newest.get(what.run_id)
            if known is None or known.what.lines < what.lines:  # type: ignore[union-attr]
                newest[what.run_id] = one
        elif isinstance(what, RunInterrupted):
            known = interruptions.get(what.run_id)
            if known is None or known.what.lines < what.lines:  # type: ignore[union-attr]
                interruptions[what.run_id] = one
        else:
            yield one
    for run_id, recorded in newest.items():
        yield from told_of_run(recorded, interruptions.pop(run_id, None))
    yield from interruptions.values()
