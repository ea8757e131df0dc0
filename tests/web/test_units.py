"""The unit's page: everything about it in a fixed number of statements, and what it says when something is wrong."""

import re
import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from mes.commands.act import Act
from mes.commands.holds import place
from mes.commands.interruptions import interrupt_overdue
from tests.commands.test_recordings import PATIENCE, soak, told
from tests.deploy.delivered import RACK as DELIVERED_RACK
from tests.deploy.test_rack_build import build_the_rack, order_a_rack
from tests.rest.test_statements import counted
from tests.stage import START, Stage
from tests.web.rack import racks_and_trays
from tests.web.visitor import Visitor

PAGE_STATEMENTS = 13
"""Statements of a unit's page, besides the one that finds the login and the trace's own."""
PAGE_MAX_S = 1.0


@pytest.fixture
async def stage(visitor: Visitor) -> Stage:
    return await racks_and_trays(visitor.database)


async def opened(visitor: Visitor, path: str, status: int = 200) -> str:
    answer = await visitor.get(path, role="viewer")
    assert answer.status_code == status, answer.text
    return answer.text


async def test_a_whole_rack_opens_at_once(visitor: Visitor) -> None:
    await order_a_rack(visitor.database)
    await build_the_rack(visitor.database)
    serial = "RK2640-00001"
    await opened(visitor, f"/units/{serial}")  # definitions are read once per process
    took_s = []
    for _ in range(3):
        with counted(visitor.database) as seen:
            began = time.perf_counter()
            page = await opened(visitor, f"/units/{serial}")
            took_s.append(time.perf_counter() - began)
        assert len(seen) == PAGE_STATEMENTS + 1, seen
    assert min(took_s) < PAGE_MAX_S, took_s
    assert page.count('class="rack-box good"') == 38
    assert page.count('class="mono node-at"') == 796
    assert DELIVERED_RACK in page
    tray = await opened(visitor, "/units/CT2640-00001")
    assert f'<a class="mono" href="/units/{serial}?part={DELIVERED_RACK}">{serial}</a>' in tray


async def test_a_unit_that_failed_says_why(visitor: Visitor, stage: Stage) -> None:
    await stage.send(stage.build("T-3", 5000, "G-31", "G-32"))
    await stage.send([stage.run("T-3", "test", 6000, power=250, run="r1")])
    page = await opened(visitor, "/units/T-3")
    assert "nonconforming" in page
    assert "power is 250 W; it must be from 100 to 200" in page
    assert re.search(r'<span class="tag bad">fail</span>\s*<span class="soft">claimed</span>', page)
    assert '<tr class="is-broken">' in page
    assert "The step started without a grant." in page
    run = re.search(r'href="(/runs/[^"]+)"', page)
    assert run
    assert "250" in await opened(visitor, run[1])


async def test_the_run_of_a_program_that_died_tells_its_steps_and_how_it_ended(visitor: Visitor, stage: Stage) -> None:
    lines = [one for one in soak()[:6] if one["sequenceNumber"] != 3]
    await stage.send([told("died", lines, unit="T-1", broken_off="The program was ended by SIGKILL.")])
    assert await interrupt_overdue(visitor.database, PATIENCE, stage.now) == 1
    async with visitor.database.reading() as connection:
        id = (await connection.execute(text("SELECT id::text FROM run WHERE verdict = 'interrupted'"))).scalar_one()
    page = await opened(visitor, f"/runs/{id}")
    assert "The program was ended by SIGKILL." in page
    assert "5 lines were told; missing are 3." in page
    assert 'soak <span class="soft">has no end</span>' in page


async def test_holds_and_pending_facts_are_told(visitor: Visitor, stage: Stage) -> None:
    async with visitor.database.transaction() as connection:
        act = Act("main", "inspector", START + timedelta(hours=1))
        await place(connection, "unit", "T-1", "dent in the lid", act)
    late = stage.message("started", "nowhere-9", 9000, unit="T-1", step="test")
    assert (await stage.send([late]))[0].fate == "pending"
    page = await opened(visitor, "/units/T-1")
    assert "dent in the lid" in page
    assert "nowhere-9" in page


async def test_what_was_in_it_then(visitor: Visitor, stage: Stage) -> None:
    await stage.send([stage.remove("T-1", "GPU1", "G-01", 7000), stage.install("T-1", "GPU1", "G-09", 7100)])
    before = await opened(visitor, f"/units/T-1?as_of={(START + timedelta(seconds=5000)):%Y-%m-%dT%H:%M}")
    now = await opened(visitor, "/units/T-1")
    contents = [page.split('id="contents"')[1].split('class="entries"')[0] for page in (before, now)]
    assert [("/units/G-01" in one, "/units/G-09" in one) for one in contents] == [(True, False), (False, True)]
    assert "no moment" in await opened(visitor, "/units/T-1?as_of=yesterday", 422)


async def test_an_unknown_serial_leads_to_the_nearest(visitor: Visitor, stage: Stage) -> None:
    page = await opened(visitor, "/units/t-1", 404)
    assert "/units/T-1?part=TRAY-1" in page
    assert "No unit" in await opened(visitor, "/units/zzz%20%22%3Cb%3E", 404)
    assert "<b>" not in await opened(visitor, "/units/zzz%20%22%3Cb%3E", 404)
    for path in ("/units/a%00b", "/units?q=%00", "/units?part=a%00"):
        await opened(visitor, path, 422)
    for path in ("/units/%FF", "/units/%E2%98%83", "/units/a%3Fb%26c", "/units?cursor=x"):
        assert (await visitor.get(path)).status_code in (404, 422), path
    found = await visitor.get("/units?q=T-2")
    assert (found.status_code, found.headers["location"]) == (303, "/units/T-2?part=TRAY-1")
    assert "Nothing is near" in await opened(visitor, "/units?q=zzz")


async def test_a_serial_of_two_parts_is_asked_about(visitor: Visitor, stage: Stage) -> None:
    await stage.send([stage.message("received", "as-1", 10, part="BOLT-9", serial="T-1", maker=None)])
    async with visitor.database.transaction() as connection:
        await connection.execute(
            text(
                "INSERT INTO unit (id, part, serial, state, progress, created_at)"
                " VALUES (gen_random_uuid(), 'GPU-1', 'T-1', 'received', '{\"state\": \"received\"}', now())"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO identifier (id, unit_id, kind, part, value, during) SELECT gen_random_uuid(), id,"
                " 'serial', part, serial, tstzrange(NULL, NULL) FROM unit WHERE part = 'GPU-1' AND serial = 'T-1'"
            )
        )
    page = await opened(visitor, "/units/T-1", 409)
    assert "/units/T-1?part=TRAY-1" in page
    assert "/units/T-1?part=GPU-1" in page
    assert "Test tray" in await opened(visitor, "/units/T-1?part=TRAY-1")


async def test_lists_histories_and_runs(visitor: Visitor, stage: Stage) -> None:
    assert "T-3" in await opened(visitor, "/units?part=TRAY-1&state=created")
    assert "No units like this" in await opened(visitor, "/units?part=NONE")
    await stage.send(
        [stage.message("started", "ft-1", 7000.0 + n, unit="T-3", step="x", run=f"r{n}") for n in range(120)]
    )
    history = await opened(visitor, "/units/T-3/history")
    older = re.search(r'href="([^"]+cursor=[^"]+)"', history)
    assert older
    assert "This is where it began" in await opened(visitor, older[1])
    built = await opened(visitor, "/units/T-1/history")
    for words in ("build started", "Into GPU1: GPU-1 G-01", "build ended: pass", "Run of test: pass", "Completed"):
        assert words in built, words
    assert "/runs/" in await opened(visitor, "/units/T-1/runs")
    assert "No runs" in await opened(visitor, "/units/T-3/runs")
    assert "no run" in (await opened(visitor, "/runs/00000000-0000-7000-8000-000000000000", 404)).lower()
    await opened(visitor, "/runs/nothing", 404)


async def test_telemetry_is_drawn_and_asked_for_in_parts(visitor: Visitor, stage: Stage) -> None:
    channels = {"U1/temp": [20.0 + n % 10 for n in range(3000)], "void": [None] * 3000}
    at = START + timedelta(seconds=3000)
    told = stage.message(
        "samples", "ft-1", unit="T-1", step="test", start=at.isoformat(), period_s=1, channels=channels
    )
    await stage.send([told])
    assert "spark-line" in await opened(visitor, "/units/T-1")
    assert "only gaps" in await opened(visitor, "/units/T-1/samples")
    page = await opened(visitor, "/units/T-1/samples?channel=U1/temp")
    for name in re.findall(r'(?:src|href)="(/static/[^"]*plotly[^"]*)"', page):
        assert (await visitor.get(name, role=None)).status_code == 200
    assert "no-inline-styles" in page
    (series,) = (await visitor.get("/units/T-1/series?channel=U1/temp&points=100")).json()
    assert (len(series["at"]), min(series["low"]), max(series["high"])) == (100, 20, 29)
    since = (at + timedelta(seconds=100)).isoformat().replace("+00:00", "Z")
    until = (at + timedelta(seconds=109)).isoformat().replace("+00:00", "Z")
    (part,) = (await visitor.get(f"/units/T-1/series?channel=U1/temp&from={since}&to={until}")).json()
    assert part["mean"] == [20.0 + n for n in range(10)]


async def test_history_says_when_it_happened_when_it_was_recorded_and_who(visitor: Visitor, stage: Stage) -> None:
    operator = stage.run("T-3", "test", 6000, power=250, run="r1", operator="Ann Lee")
    await stage.send([*stage.build("T-3", 5000, "G-31", "G-32"), operator])
    async with visitor.database.transaction() as connection:
        await place(connection, "unit", "T-3", "dent in the lid", Act("main", "inspector", stage.now))
    for page in (await opened(visitor, "/units/T-3"), await opened(visitor, "/units/T-3/history")):
        rows = {re.sub(r"<[^>]+>", " ", row) for row in page.split('class="entries"')[1].split("<tr>")[1:]}
        said = {words: next(" ".join(row.split()) for row in rows if words in row) for words in WHO}
        for words, (at, who) in WHO.items():
            assert f"{at}" in said[words], said[words]
            assert said[words].endswith(who), said[words]
            assert ("recorded 2026-11-02 20:00:" in said[words]) == (who != "inspector"), said[words]
    done = await opened(visitor, "/units/T-1/history")
    completed = re.search(r"<tr>(?:(?!<tr>).)*Completed.*?</tr>", done, re.S)
    assert completed
    assert "2026-11-02 08:03:20" in completed[0], "when its last test ended, not when that was recorded"


WHO = {
    "Run of test: fail": ("2026-11-02 09:40:00", "Ann Lee at ft-1"),
    "Nonconformance opened: test": ("2026-11-02 09:40:00", "the MES"),
    "Put on hold: dent in the lid": ("2026-11-02 20:00:", "inspector"),
}


async def test_the_list_has_the_newest_first(visitor: Visitor, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def serials(page: str) -> list[str]:
        return re.findall(r'<th scope="row"><a class="mono" href="[^"]+">([^<]+)</a>', page)

    page = await opened(visitor, "/units?part=TRAY-1")
    assert serials(page) == ["T-3", "T-2", "T-1"]
    monkeypatch.setattr("mes.web.units.LIMIT_DEFAULT", 2)
    older = re.search(r'href="([^"]+cursor=[^"]+)"', await opened(visitor, "/units?part=TRAY-1"))
    assert older
    assert serials(await opened(visitor, older[1].replace("&amp;", "&"))) == ["T-1"]


async def test_the_boards_counts_lead_to_what_they_count(visitor: Visitor, stage: Stage) -> None:
    await stage.send([*stage.build("T-3", 5000, "G-31", "G-32"), stage.run("T-3", "test", 6000, power=250)])
    async with visitor.database.transaction() as connection:
        act = Act("main", "inspector", START + timedelta(hours=1))
        await place(connection, "unit", "T-1", "dent in the lid", act)
        await place(connection, "station", "as-1", "gauge study", act)
    board = await opened(visitor, "/")
    counted = dict(re.findall(r'<a href="(/[^"]+)"><b>(\d+)</b>', board))
    assert counted == {
        "/?show=trouble": "0",
        "/units?state=in_process": "0",
        "/nonconformances": "1",
        "/holds": "2",
        "/messages": "0",
    }
    listed = await opened(visitor, "/nonconformances")
    assert "/units/T-3?part=TRAY-1#impediments" in listed
    assert "power is 250 W" in listed
    holds = await opened(visitor, "/holds")
    assert "/units/T-1?part=TRAY-1#impediments" in holds
    assert "gauge study" in holds
    assert "is for admin, quality, supervisor" in holds
    release = re.findall(r'action="(/holds/[^"]+/release)"', (await visitor.get("/holds", role="supervisor")).text)
    done = await visitor.post(release[0], role="supervisor")
    assert (done.status_code, done.headers["location"]) == (303, "/holds")
    assert "1 in all" in await opened(visitor, "/holds")
