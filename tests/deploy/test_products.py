"""The delivered products: a rack that is really built of units that were built, down to what its makers engrave."""

import random
import runpy
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from mes.commands.act import Act
from mes.commands.products import put_product
from mes.db import tables
from mes.db.session import Database
from mes.domain import identity
from mes.domain.product import NETLIST, Definition, Step
from mes.domain.product_check import check_against, children
from mes.domain.route import route_of
from mes.domain.run import Criteria, judge
from tests.deploy.delivered import DEPLOY, PRODUCTS, RACK, ROOT, definitions, good_report, installed, newest

ACT = Act("main", "engineering", datetime(2026, 11, 2, 8, tzinfo=UTC))
FILE_MAX_BYTES = 200_000

STATION_KINDS = {
    "assembly-bench": "Parts are scanned and built in by hand, with a measuring screwdriver.",
    "burn-in-chamber": "Units run under load and heat for hours while telemetry is taken.",
    "cable-tester": "Every wire of a netlist is probed: open, short, swap, resistance.",
    "coolant-filler": "A rack's circuit is evacuated, filled with coolant and bled.",
    "crimp-press": "Contacts and connectors are put on wires.",
    "flow-bench": "Water runs through: flow, pressure and temperature differences, cleanliness; then dried.",
    "functional-tester": "A powered unit is exercised part by part and counted on its buses.",
    "hipot-tester": "Protective earth and insulation are tested, before any mains.",
    "inspection-bench": "A person looks and signs.",
    "kitting-area": "An order's parts are gathered and counted.",
    "leak-tester": "A circuit is charged with gas: its pressure must hold, no helium may escape.",
    "link-tester": "Links between units are brought up and counted, over copper or fibre.",
    "port-tester": "Ports and channels are looped back: bit errors, loss, skew.",
    "power-bay": "A rack stands on mains and facility water: first power-on and soak.",
    "provisioning-bench": "Firmware is written and the inventory read back.",
    "psu-tester": "A power supply on programmable mains and load: inrush, efficiency, hold-up.",
    "rack-bay": "A rack is put together and cabled, or racks are put together into a pod.",
    "shelf-tester": "A power shelf under its full load, and with one supply pulled.",
    "wire-cutter": "Wire is drawn from reels and cut to length.",
}
CHECKED_COUNTS = {"CPU-A144-500": 36, "GPU-X4-288": 72, "NIC-800-OSFP": 72, "DPU-400-2P": 36, "TRY-C4G-L10": 18}
CHECKED_COUNTS |= {"TRY-S2A-L10": 9, "PSH-33K-54": 8, "PSU-5500-54": 48, "SWT-TOR-64": 2}
"""What public descriptions of such a rack count, 301 serialized items in all."""


def made() -> list[Definition]:
    return [one for one in definitions() if one.source == "made"]


def steps() -> Iterator[tuple[Definition, Step]]:
    return ((one, step) for one in definitions() for step in one.route)


def limit(part: str, name: str, revision: str | None = None) -> tuple[float | None, float | None, str | None]:
    one = next(one for one in definitions() if one.part == part and revision in (None, one.revision))
    found = next(characteristic for characteristic in one.characteristics if characteristic.name == name)
    return found.low, found.high, found.unit


def test_every_part_named_is_defined():
    named = {part for one in definitions() for part in children(one)}
    assert named - newest().keys() == set()
    assert newest().keys() - named == {ROOT}, "what nothing is made of, and is no top unit, is dead weight"


@pytest.mark.parametrize("one", definitions(), ids=lambda one: f"{one.part}-{one.revision}")
def test_the_set_fits_together(one: Definition):
    assert check_against(one, newest()) == []


def test_a_revision_is_released_once():
    names = Counter((one.part, one.revision) for one in definitions())
    assert [name for name, count in names.items() if count > 1] == []


def test_a_rack_holds_what_such_racks_hold():
    inside = installed(RACK)
    assert {part: inside[part] for part in CHECKED_COUNTS} == CHECKED_COUNTS
    assert sum(CHECKED_COUNTS.values()) == 301
    assert inside.total() == 690
    assert inside["CRT-BP-1296"] == 4
    assert inside["CBL-PSB8-0600"] == 6


def test_every_made_unit_of_a_rack_has_a_route_and_serials_of_its_own():
    inside = {part for part in installed(RACK) if newest()[part].source == "made"}
    assert len(inside) == 9
    patterns = {part: newest()[part].serial_pattern for part in (RACK, *inside)}
    assert None not in patterns.values()
    assert len(set(patterns.values())) == len(patterns), "two products would draw the same serials"


@pytest.mark.parametrize("one", made(), ids=lambda one: f"{one.part}-{one.revision}")
def test_serials_never_look_unprogrammed(one: Definition):
    drawn = identity.serials(one.serial_pattern or "", 0, 3, 2026, 1)
    assert [serial for serial in drawn if identity.is_placeholder(serial) or not identity.is_name(serial)] == []


@pytest.mark.parametrize("one", made(), ids=lambda one: f"{one.part}-{one.revision}")
def test_a_good_unit_passes_every_step(one: Definition):
    criteria = Criteria(one)
    verdicts = {step.step: judge(criteria, good_report(criteria, step)).verdict for step in one.route}
    assert set(verdicts.values()) == {"pass"}, verdicts


def test_every_station_kind_is_described():
    assert {step.station_kind for _, step in steps()} == STATION_KINDS.keys()


@pytest.mark.parametrize("one", made(), ids=lambda one: f"{one.part}-{one.revision}")
def test_routes_fill_every_position_and_need_every_characteristic(one: Definition):
    assert {position for step in one.route for position in step.installs} == route_of(one).positions
    needed = {need for step in one.route for need in step.needs} - {NETLIST}
    named = {characteristic.name for characteristic in one.characteristics}
    watched = {characteristic.name for characteristic in one.characteristics if characteristic.beyond_s is not None}
    assert named - watched <= needed <= named


@pytest.mark.parametrize("one", made(), ids=lambda one: f"{one.part}-{one.revision}")
def test_routes_begin_at_one_place_and_end_signed(one: Definition):
    route = route_of(one)
    assert len(route.next(())) == 1
    last = one.route[-1]
    assert last.signed
    assert set(route.before[last.step]) == route.steps.keys() - {last.step}


@pytest.mark.parametrize("one", made(), ids=lambda one: f"{one.part}-{one.revision}")
def test_what_stands_at_a_position_stands_at_one_that_exists(one: Definition):
    paths = [named.position for named in (*one.characteristics, *one.firmware) if named.position]
    assert [path for path in paths if not is_position(one, path)] == []


def is_position(one: Definition, path: str) -> bool:
    first, _, rest = path.partition("/")
    line = one.line_at(first)
    return line is not None and (not rest or is_position(newest()[line.part], rest))


def test_no_mains_before_earth_and_insulation_and_no_heat_before_coolant():
    first_power = {"PSU-5500-54": "ac-test", "PSH-33K-54": "load-test", "CDU-130-4U": "flow-test", RACK: "power-on"}
    for part, step in first_power.items():
        before = route_of(newest()[part]).before[step]
        assert "ground-bond" in before
        assert {"hipot", "insulation"} & set(before)
    for part, step in {RACK: "power-on", "TRY-C4G-L10": "power-on", "TRY-S2A-L10": "power-on"}.items():
        assert "leak-test" in route_of(newest()[part]).before[step]


def test_taking_the_coolant_unit_out_of_a_rack_proves_earth_and_circuit_again():
    route = route_of(newest()[RACK])
    assert {"ground-bond", "leak-test", "burn-in"} <= set(route.onward[route.retest_from["U01"]])


def test_a_power_supply_is_held_to_the_limits_of_the_trade():
    assert limit("PSU-5500-54", "hipot_voltage")[0::2] == (2121, "Vdc")
    assert limit("PSU-5500-54", "hipot_dwell")[0::2] == (1, "s")
    assert limit("PSU-5500-54", "hipot_leakage")[1:] == (1, "mA")
    assert limit("PSU-5500-54", "bond_current")[0::2] == (40, "A")
    assert limit("PSU-5500-54", "bond_resistance")[1:] == (100, "mOhm")
    assert limit("PSU-5500-54", "inrush_current")[1:] == (85, "A")
    assert limit("PSU-5500-54", "hold_up_time", "B")[0::2] == (20, "ms")
    assert [limit("PSU-5500-54", "efficiency", revision)[0] for revision in "AB"] == [96, 96.5]


def test_four_cartridges_carry_every_pair_of_the_rack():
    wires = newest()["CRT-BP-1296"].netlist
    assert 4 * len(wires) == 5_184
    trays = {wire.end_a.split("-")[0] for wire in wires}
    switches = Counter(wire.end_b.split("-")[0] for wire in wires)
    rack = newest()[RACK]
    assert trays == positions_of(rack, "TRY-C4G-L10")
    assert switches == dict.fromkeys(positions_of(rack, "TRY-S2A-L10"), 144)


def test_a_pod_wires_every_uplink_once():
    wires = newest()[ROOT].netlist
    ends = Counter(end for wire in wires for end in (wire.end_a, wire.end_b))
    assert set(ends.values()) == {1}
    optics = installed(ROOT)["OPT-800-DR8"]
    assert len(ends) == optics == 96
    lengths = Counter(wire.length for wire in wires)
    assert lengths == {"5m": 16, "7m": 16, "10m": 16}


def positions_of(one: Definition, part: str) -> set[str]:
    return {position for line in one.bom if line.part == part for position in line.positions}


def test_the_cut_sheets_are_as_their_rules_say():
    for name, text in runpy.run_path(str(DEPLOY / "cut_sheets.py"))["sheets"]().items():
        assert (PRODUCTS / name).read_text() == text, "run python deploy/cut_sheets.py"


def test_no_file_is_too_big_to_read():
    assert [path.name for path in PRODUCTS.iterdir() if path.stat().st_size > FILE_MAX_BYTES] == []


@pytest.mark.parametrize("order", range(3))
async def test_they_are_released_in_any_order(database_url: str, order: int):
    shuffled = random.Random(order).sample(definitions(), len(definitions()))
    database = Database(database_url)
    try:
        async with database.transaction() as connection:
            assert [await put_product(connection, one, ACT) for one in shuffled] == [True] * len(shuffled)
        async with database.transaction() as connection:
            assert [await put_product(connection, one, ACT) for one in shuffled] == [False] * len(shuffled)
            named = select(*(tables.part.c[name] for name in ("part", "source", "tracking", "defined")))
            known = (await connection.execute(named)).all()
        assert sorted(known) == sorted((one.part, one.source, one.tracking, True) for one in newest().values())
    finally:
        await database.close()
