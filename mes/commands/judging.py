"""A reported run as the record takes it: the station's claim, our verdict, and what the journal says of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mes.db.products import Product
from mes.db.runs import RunRecord
from mes.domain.cable import SeenConnection
from mes.domain.facts import FAIL, PASS
from mes.domain.refusals import Reason, reason
from mes.domain.run import Criteria, Defect, Judgement, Report, judge
from mes.formats import messages as wire

FAILED_SHOWN_MAX = 20
"""Most failed values of a run that its journal entry names; all of them are in the run."""

_NO_CRITERIA = Criteria(None)


def judged_run(
    run_id: str,
    unit_id: str,
    product: Product | None,
    station: str,
    data: wire.RunReported,
    operator: str | None,
    received_at: datetime,
    doubts: Sequence[Reason] = (),
) -> RunRecord:
    """What a station reported of a run, with our verdict by the unit's definition.

    `doubts` say why a claim of pass can't be believed, beside what the report itself gives cause for.
    """
    report = _report(data, doubts)
    return RunRecord(
        run_id,
        unit_id,
        product.id if product else None,
        data.step,
        station,
        data.run,
        data.purpose,
        data.started_at,
        data.ended_at,
        received_at,
        int(operator) if operator else None,
        data.fixture,
        data.program.name if data.program else None,
        data.program.version if data.program else None,
        data.outcome,
        judge(product.criteria if product else _NO_CRITERIA, report),
        report.defects,
        data.digest.hex(),
        data.notes if isinstance(data, wire.ForeignRunReported) else None,
    )


def told_of(record: RunRecord, data: wire.RunReported) -> dict[str, Any]:
    """What the journal says of a run: its values are bound by their digest."""
    judgement = record.judgement
    told: dict[str, Any] = {
        "digest": record.digest,
        "reasons": [one.code for one in judgement.reasons],
        "values": len(judgement.measured),
    }
    if judgement.verdict != PASS:
        told |= _failures(judgement)
    if isinstance(data, wire.ForeignRunReported) and data.notes:
        told["notes"] = data.notes
    return told


def _failures(judgement: Judgement) -> dict[str, Any]:
    """The names of the values that failed, the first few of them, as the journal says them."""
    measured = judgement.measured
    failed = [name for name, verdict in zip(measured.layout.names, measured.verdicts, strict=True) if verdict == FAIL]
    return {"failed": failed[:FAILED_SHOWN_MAX]} if failed else {}


def _report(data: wire.RunReported, doubts: Sequence[Reason]) -> Report:
    known_as: Mapping[str, str] = {}
    if isinstance(data, wire.ForeignRunReported):
        doubts = [*(reason("values_unreadable", text) for text in data.doubts), *doubts]
        known_as = data.known_as
    return Report(
        data.step,
        data.outcome,
        data.measurements,
        [SeenConnection(one.end_a, one.end_b, one.seen, one.ohms) for one in data.connections],
        tuple([Defect(one.code, one.position, one.text) for one in data.defects]),
        tuple(doubts),
        known_as,
    )
