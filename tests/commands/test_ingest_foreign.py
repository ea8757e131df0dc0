"""Reports of other people's testers become runs: judged by our limits, with the tester's claim kept beside."""

import json
from typing import Any

from mes.commands.products import put_product
from mes.db.session import driver
from mes.formats.messages import FOREIGN, Message, decode
from mes.formats.product_document import from_document
from mes.mqtt import topics
from tests.formats.test_cable_report import report
from tests.formats.test_ocptv import end as ocptv_end
from tests.formats.test_ocptv import numbered, start, validator, value
from tests.formats.test_openhtf import measured, phase, record
from tests.stage import START, Stage, time
from tests.stored_floor import assert_folded_from_journal, picture

CABLE: dict[str, Any] = {
    "part": "CABLE-4",
    "revision": "A",
    "name": "Cable of four wires",
    "family": "cabling",
    "source": "made",
    "tracking": "serial",
    "route": [{"step": "cable-test", "station_kind": "functional", "needs": ["netlist"]}],
    "netlist": [{"from": f"A{at}", "to": f"B{at}", "ohms_max": 0.5} for at in range(1, 5)],
}
DAY_MS = int(START.timestamp() * 1000)


def foreign(kind: str, type: str, data: dict[str, Any], id: str, at: float) -> Message:
    event = {"specversion": "1.0", "id": id, "source": "stations/ft-1", "type": type, "time": time(at), "data": data}
    (read,) = decode("ft-1", kind, json.dumps(event).encode())
    assert isinstance(read, Message), read
    return read


def power_record(watts: float, at: float, id: str = "htf-1", unit: str = "T1", **more: Any) -> Message:
    """A record of a minute that ended `at`; the tester's own limit lets 300 W pass."""
    units = {"name": "milliwatt", "code": "C31", "suffix": "mW"}
    power = measured(measured_value=watts * 1000, units=units, validators=["x <= 300000"])
    times = {"start_time_millis": DAY_MS + int(at - 60) * 1000, "end_time_millis": DAY_MS + int(at) * 1000}
    data = record(phase(power=power), dut_id=unit, step="test", **times, **more)
    return foreign("run/openhtf", "com.google.openhtf.record", data, id, at)


def test_every_foreign_report_is_listened_to() -> None:
    assert set(FOREIGN) <= set(topics.FACT_KINDS)


async def built(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))


async def journalled(stage: Stage, type: str) -> list[dict[str, Any]]:
    async with stage.database.reading() as connection:
        rows = await (await driver(connection)).fetch("SELECT body FROM journal WHERE type = $1 ORDER BY id", type)
        return [json.loads(row["body"])["data"] for row in rows]


async def test_an_openhtf_record_passes_a_step(stage: Stage) -> None:
    await built(stage)
    (one,) = await stage.send([power_record(150, 200)])
    assert one.fate == "applied"
    seen = await picture(stage.database)
    assert ("T1", "completed") in seen["units"]
    ((_, step, station, run, _, claim, verdict, *_),) = seen["runs"]
    assert (step, station, run, claim, verdict) == ("test", "ft-1", f"T1:{DAY_MS + 140_000}", "pass", "pass")
    (entry,) = await journalled(stage, "mes.run.judged")
    assert entry["notes"]["metadata"]["test_name"] == "tray power"
    await assert_folded_from_journal(stage.database)


async def test_our_limit_fails_what_the_tester_passes(stage: Stage) -> None:
    await built(stage)
    await stage.send([power_record(250, 200)])
    seen = await picture(stage.database)
    assert ("T1", "nonconforming") in seen["units"]
    assert [(row[5], row[6]) for row in seen["runs"]] == [("pass", "fail")]
    assert "limit_broken" in seen["runs"][0][7]


async def test_a_test_that_ran_out_of_time_is_not_the_products_fault(stage: Stage) -> None:
    await built(stage)
    await stage.send([power_record(250, 200, outcome="TIMEOUT")])
    seen = await picture(stage.database)
    assert [(row[5], row[6]) for row in seen["runs"]] == [("error", "error")]
    assert seen["nonconformances"] == []


async def test_the_same_record_under_another_id_is_the_same_run(stage: Stage) -> None:
    await built(stage)
    one, again, other = await stage.send(
        [power_record(150, 200), power_record(150, 200, id="htf-2"), power_record(160, 200, id="htf-3")]
    )
    assert (one.fate, again.fate, other.fate) == ("applied", "duplicate", "pending")
    assert [why.code for why in other.reasons] == ["conflicting_report"]


async def test_a_record_of_a_unit_not_yet_known_waits(stage: Stage) -> None:
    (one,) = await stage.send([power_record(150, 200)])
    assert (one.fate, one.reasons[0].code) == ("pending", "unknown_unit")
    async with stage.database.reading() as connection:
        assert await (await driver(connection)).fetchval("SELECT kind FROM message") == "run/openhtf"
    await built(stage)
    assert [one.fate for one in await stage.settle_pending()] == ["applied"]
    assert ("T1", "completed") in (await picture(stage.database))["units"]


async def test_a_started_step_is_ended_by_its_record(stage: Stage) -> None:
    await built(stage)
    started = stage.message("started", "ft-1", 140, unit="T1", step="test")
    await stage.send([started, power_record(150, 200)])
    seen = await picture(stage.database)
    assert [row[8] for row in seen["attempts"] if row[1] == "test"] == ["pass"]


async def cable_reported(stage: Stage, text: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the record says of a cable once a tester's report of it came."""
    async with stage.database.transaction() as connection:
        await put_product(connection, from_document(CABLE), stage.act())
    await stage.release("CB-1", part="CABLE-4")
    data = {"unit": "CB-1", "step": "cable-test", "text": text}
    (one,) = await stage.send([foreign("run/cable-report", "mes.cable.report", data, "rep-1", 200)])
    assert one.fate == "applied", one.reasons
    await assert_folded_from_journal(stage.database)
    return await picture(stage.database)


async def test_a_cable_testers_report_passes_a_cable(stage: Stage) -> None:
    seen = await cable_reported(stage, report())
    assert seen["units"] == [("CB-1", "completed")]
    (entry,) = await journalled(stage, "mes.run.judged")
    assert entry["notes"]["test results"]["test date"] == "5/30/2024"


async def test_a_resistance_that_the_tester_allows_and_the_netlist_does_not_is_a_fail(stage: Stage) -> None:
    seen = await cable_reported(stage, report(measured={2: "900 mOhm"}))
    assert seen["units"] == [("CB-1", "nonconforming")]
    assert [(row[5], row[6]) for row in seen["runs"]] == [("pass", "fail")]


async def test_a_wire_that_was_not_tested_is_the_stations_fault(stage: Stage) -> None:
    seen = await cable_reported(stage, report(measured={2: "Not tested"}))
    assert [(row[5], row[6]) for row in seen["runs"]] == [("pass", "error")]
    assert seen["nonconformances"] == []


async def test_a_fault_in_free_text_fails_the_cable(stage: Stage) -> None:
    seen = await cable_reported(stage, report("Passed", " 1, Net Net1: SHORT A1 to\n 1, A2\n"))
    assert [(row[5], row[6]) for row in seen["runs"]] == [("fail", "fail")]
    assert "connection_differs" in seen["runs"][0][7]


def diagnosed(watts: float, limit: float) -> Message:
    """A whole run of a diagnostic that claims pass, whatever its own limit says."""
    power = value(watts, "power", unit="W", validators=[validator("LESS_THAN_OR_EQUAL", limit)])
    lines = numbered({"schemaVersion": {"major": 2, "minor": 0}}, start(), power, ocptv_end())
    for line in lines:
        line["timestamp"] = time(100 + line["sequenceNumber"])
    data = {"unit": "T1", "step": "test", "run": "diag-1", "lines": lines}
    return foreign("run/ocptv", "org.opencompute.ocptv", data, "diag", 200)


async def test_a_whole_ocptv_run_passes_a_step(stage: Stage) -> None:
    await built(stage)
    (one,) = await stage.send([diagnosed(150, 300)])
    assert one.fate == "applied"
    seen = await picture(stage.database)
    assert ("T1", "completed") in seen["units"]
    assert [(row[3], row[5], row[6]) for row in seen["runs"]] == [("diag-1", "pass", "pass")]
    await assert_folded_from_journal(stage.database)


async def test_our_limit_and_the_diagnostics_own_both_fail_a_claimed_pass(stage: Stage) -> None:
    await built(stage)
    await stage.send([diagnosed(250, 200)])
    seen = await picture(stage.database)
    assert [(row[5], row[6]) for row in seen["runs"]] == [("pass", "fail")]
    assert "limit_broken" in seen["runs"][0][7]


async def test_a_diagnostics_own_limit_fails_a_value_that_ours_allow(stage: Stage) -> None:
    await built(stage)
    await stage.send([diagnosed(150, 120)])
    seen = await picture(stage.database)
    assert [(row[5], row[6]) for row in seen["runs"]] == [("pass", "fail")]
    assert "measurement_claimed_failed" in seen["runs"][0][7]


async def test_a_report_of_another_unit_passes_none(stage: Stage) -> None:
    """Somebody scanned the wrong one: the report itself says whose values they are."""
    await stage.release("T1", "T2")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), *stage.build("T2", 0, "G3", "G4")])
    other = power_record(150, 200, unit="T2")
    data = json.loads(other.body)["data"] | {"unit": "T1"}
    (told,) = await stage.send([foreign("run/openhtf", "com.google.openhtf.record", data, "a", 200)])
    assert told.fate == "applied"
    assert [one.text for one in told.reasons if one.code == "unit_mismatch"] == [
        "The message is about T1, and the report in it tells of T2; scan the unit again."
    ]
    assert ("T1", "in_process") in (await picture(stage.database))["units"]
    nicknamed = json.loads(power_record(150, 300, unit="nickname").body)["data"] | {"unit": "T1"}
    (told,) = await stage.send([foreign("run/openhtf", "com.google.openhtf.record", nicknamed, "b", 300)])
    assert "unit_mismatch" not in {one.code for one in told.reasons}
    assert ("T1", "completed") in (await picture(stage.database))["units"]
