"""The scan page as a plain form: what a scan does, what is said about it, and what ends on the record."""

import html
import itertools
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from sqlalchemy import text

from tests.stage import Stage
from tests.web.rack import racks_and_trays
from tests.web.visitor import Visitor


@dataclass
class Bench:
    """A person at station as-1 who scans and presses, and reads what the page says."""

    visitor: Visitor
    unit: dict[str, str] = field(default_factory=dict)
    ids: "itertools.count[int]" = field(default_factory=itertools.count)
    page: str = ""

    async def do(self, **form: str) -> str:
        """Send the form with what is on the bench; the headline and text of the answer."""
        answer = await self.visitor.post("/scan/as-1", {"id": f"scan-{next(self.ids):06}", **self.unit, **form})
        assert answer.status_code == 200, answer.text
        return self.read(answer)

    async def scan(self, scanned: str, **form: str) -> str:
        return await self.do(scan=scanned, **form)

    def read(self, answer: httpx.Response) -> str:
        self.page = answer.text
        here = re.search(r'data-here="[^"?]*\??([^"]*)"', answer.text)
        assert here
        self.unit = dict(parse_qsl(html.unescape(here[1])))
        told = re.search(r'<div class="told.*?</div>', answer.text, re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", told[0])).split()) if told else ""

    @property
    def prompt(self) -> str:
        """What the page asks for next."""
        found = re.search(r'class="prompt.*?</(p|div)>', self.page, re.DOTALL)
        return " ".join(re.sub(r"<[^>]+>", " ", found[0].split(">", 1)[1]).split()) if found else ""


@pytest.fixture
async def bench(visitor: Visitor) -> Bench:
    await racks_and_trays(visitor.database)
    return Bench(visitor)


async def stays(visitor: Visitor) -> dict[str, str]:
    """What is where in the rack now."""
    statement = """
        SELECT i.position, coalesce(c.serial, l.lot) AS held FROM installation i JOIN unit p ON p.id = i.parent_id
        LEFT JOIN unit c ON c.id = i.child_id LEFT JOIN lot l ON l.id = i.lot_id
        WHERE p.serial = 'R-1' AND i.superseded_at IS NULL AND upper_inf(i.during)
    """
    return {row.position: row.held for row in await rows(visitor, statement)}


async def rows(visitor: Visitor, statement: str) -> list[Any]:
    async with visitor.database.reading() as connection:
        return list((await connection.execute(text(statement))).all())


async def test_a_rack_is_built_by_scanning_alone(bench: Bench) -> None:
    assert "Scan the unit" in (await bench.visitor.get("/scan/as-1")).text
    assert "R-1" in await bench.scan("(21)R-1")
    assert bench.prompt.startswith("U1 Test tray")
    assert "In U1" in await bench.scan("T-1")
    assert "In U2" in await bench.scan("ST-2")  # its label has the data identifier S
    assert "PSU1 takes PSU-1 or PSU-2" in await bench.scan("P-77")
    assert "Now scan its serial" in await bench.scan("1PPSU-2")
    assert "In PSU1 PSU-2 P-77" in await bench.scan("P-77")
    assert bench.prompt.startswith("BOLTS 8 × Bolt")
    assert "In BOLTS" in await bench.scan("1TL-9")
    assert bench.prompt == "Every position is filled"
    assert "mount passed" in await bench.do(action="finish", outcome="pass")
    assert await stays(bench.visitor) == {"U1": "T-1", "U2": "T-2", "PSU1": "P-77", "BOLTS": "L-9"}
    (one,) = await rows(bench.visitor, "SELECT * FROM attempt WHERE step = 'mount'")
    assert (one.outcome, one.counted, one.deviations) == ("pass", True, [])
    said = await rows(bench.visitor, "SELECT body FROM journal WHERE type = 'mes.part.installed'")
    assert sum('"source":"stations/as-1"' in body and '"operator"' in body for (body,) in said) == 4


async def test_a_wrong_slot_is_corrected_and_undone(bench: Bench) -> None:
    await bench.scan("R-1")
    await bench.scan("T-1")
    assert "Next goes into U2" in await bench.scan("U2")
    assert "Moved to U2" in await bench.scan("T-1")
    assert await stays(bench.visitor) == {"U2": "T-1"}
    assert "Already in U2" in await bench.scan("T-1")
    assert "Taken out of U2" in await bench.do(action="undo")
    assert await stays(bench.visitor) == {}
    (removed,) = await rows(bench.visitor, "SELECT body FROM journal WHERE type = 'mes.part.removed'")
    assert "undone at the scan page" in removed.body
    assert "Nothing to take out" in await bench.do(action="undo")


async def test_what_is_not_done_is_told_with_the_mend(bench: Bench) -> None:
    await bench.scan("R-1")
    assert "T-3 can't be built in" in await bench.scan("T-3")
    assert "this is GPU-1 G-01" in await bench.scan("G-01")
    assert "no order has made one" in await bench.scan("T-99")
    await bench.scan("T-1")
    await bench.scan("U1")
    assert "U1 is filled" in await bench.scan("T-2")
    assert "Take out what is in U1" in bench.page
    assert await stays(bench.visitor) == {"U1": "T-1"}
    assert "Taken out of U1" in await bench.do(action="remove", position="U1")
    assert await stays(bench.visitor) == {}
    assert await rows(bench.visitor, "SELECT fate FROM message") == []


async def test_sent_again_it_is_done_once(bench: Bench) -> None:
    await bench.scan("R-1")
    await bench.scan("T-1", id="the-same-scan")
    assert "nothing was done twice" in await bench.scan("T-1", id="the-same-scan")
    assert "nothing was done twice" in await bench.do(action="undo", id="the-same-scan")
    assert await stays(bench.visitor) == {"U1": "T-1"}


async def test_a_kept_scan_is_dated_when_it_was_made(bench: Bench) -> None:
    await bench.scan("R-1", waited_ms="60000")
    await bench.scan("T-1", waited_ms="60000")
    (one,) = await rows(bench.visitor, "SELECT now() - lower(during) AS ago FROM installation WHERE position = 'U1'")
    assert 55 < one.ago.total_seconds() < 120


async def test_a_step_with_values_ends_as_a_run(bench: Bench) -> None:
    await test_a_rack_is_built_by_scanning_alone(bench)
    bench.ids = itertools.count(100)
    await bench.scan("R-1")
    assert "cable started" in await bench.do(action="start", step="cable")
    assert "Give a value for torque, tidy" in await bench.do(action="finish", outcome="pass")
    assert "Give a value for torque" in await bench.do(action="finish", outcome="pass", **{"value-0": "lots"})
    given = {"value-0": "9,5", "value-1": "yes"}
    assert "cable did not pass" in await bench.do(action="finish", outcome="pass", **given)
    await bench.do(action="start", step="cable")
    assert "cable passed" in await bench.do(action="finish", outcome="pass", **{**given, "value-0": "5"})
    runs = await rows(bench.visitor, "SELECT claim, verdict, numbers FROM run WHERE step = 'cable' ORDER BY id")
    assert [(run.verdict, run.numbers[0]) for run in runs] == [("fail", 9.5), ("pass", 5.0)]
    assert "check must pass before slow" in bench.page


async def test_a_pass_that_could_not_count_is_not_sent(bench: Bench) -> None:
    await bench.scan("R-1")
    await bench.do(action="start", step="mount")
    assert "Empty" in await bench.do(action="finish", outcome="pass")
    assert await rows(bench.visitor, "SELECT step FROM attempt WHERE outcome IS NOT NULL AND step = 'mount'") == []
    assert "mount stopped" in await bench.do(action="finish", outcome="aborted")
    await bench.do(action="start", step="mount")
    assert "mount failed" in await bench.do(action="finish", outcome="fail")
    assert await rows(bench.visitor, "SELECT state FROM unit WHERE serial = 'R-1'") == [("nonconforming",)]


async def test_who_may_not_start_is_told_every_reason(bench: Bench) -> None:
    await bench.scan("T-1")
    assert "Nothing to do here now" in bench.page
    assert "Every step that is done at as-1 has passed" in bench.page
    assert "Unknown unit" in await Bench(bench.visitor).scan("T-11111")
    near = Bench(bench.visitor)
    assert "Work on R-1 instead" in await near.scan("r-1")


async def test_looking_is_for_all_and_scanning_for_the_floor(bench: Bench) -> None:
    for role, status in (("viewer", 403), ("quality", 403), ("operator", 200), ("supervisor", 200)):
        answer = await bench.visitor.post("/scan/as-1", {"id": "by-a-role-1", "scan": "R-1"}, role=role)
        assert answer.status_code == status, role
    assert "You may look" in (await bench.visitor.get("/scan/as-1?unit=R-1", role="viewer")).text
    assert (await bench.visitor.get("/scan/nowhere")).status_code == 404
    assert (await bench.visitor.get("/scan/as-1?unit=NOBODY")).status_code == 404
    assert "as-1" in (await bench.visitor.get("/scan")).text


@pytest.mark.parametrize("wrong", [{"id": "x"}, {"id": ""}, {"waited_ms": "-1"}, {"scan": "x" * 1001}, {"scan": "R\0"}])
async def test_forms_that_can_not_be_read(bench: Bench, wrong: dict[str, str]) -> None:
    answer = await bench.visitor.post("/scan/as-1", {"id": "scan-000001", "scan": "R-1", **wrong})
    assert answer.status_code == 422


ODD = ("", "  ", "(", "(21)", "[)>\x1e06\x1d\x1e\x04", "☃", "'; --", "U1/GPU1", "S", "1P", "N/A", "x" * 300)


async def test_whatever_is_scanned_is_answered(bench: Bench) -> None:
    await bench.scan("R-1")
    for scanned in ODD:
        assert "In U1" not in await bench.scan(scanned), scanned
    for action in ("start", "finish", "remove", "dance"):
        await bench.do(action=action, step="nothing")
    assert await stays(bench.visitor) == {}


async def test_a_lot_that_is_loaded_at_the_station_needs_no_scan(bench: Bench) -> None:
    stage = Stage(bench.visitor.database)
    await stage.send(
        [
            stage.load("L-9", 10, part="BOLT-1", place="F1", id="l9"),
            stage.load("L-8", 10, part="BOLT-1", station="ft-1", id="l8"),
            stage.load("L-7", 10, part="PSU-1", id="l7"),
        ]
    )
    await bench.scan("R-1")
    for scanned in ("T-1", "T-2"):
        await bench.scan(scanned)
    offered = re.findall(r'name="scan" value="([^"]+)"><button>Of lot', bench.page)
    assert offered == []  # a supply has a serial
    for scanned in ("1PPSU-2", "P-77"):
        await bench.scan(scanned)
    offered = re.findall(r'name="scan" value="([^"]+)"><button>Of lot', bench.page)
    assert offered == ["1TL-9"]
    assert "In BOLTS" in await bench.scan(offered[0])
    assert "Of lot" not in bench.page
    assert (await stays(bench.visitor))["BOLTS"] == "L-9"
