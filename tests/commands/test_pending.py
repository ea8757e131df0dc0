"""What waits is tried again, each message for itself: none of them keeps another one waiting."""

from typing import Any

import pytest
from sqlalchemy import text

from mes.commands import ingest
from mes.commands.batch import Batch
from mes.commands.ingest import Settled
from mes.commands.products import put_product
from mes.db.session import driver
from mes.formats.product_document import from_document
from tests.stage import GPU, Stage


async def waiting(stage: Stage) -> dict[str, str]:
    """The code of the first reason of each message that waits, by id."""
    async with stage.database.reading() as connection:
        rows = await (await driver(connection)).fetch(
            "SELECT id, reasons::json -> 0 ->> 'code' AS code FROM message WHERE fate = 'pending'"
        )
    return {row["id"]: row["code"] for row in rows}


def fates(settled: list[Settled]) -> dict[str, str]:
    return {one.key: one.fate for one in settled}


async def fault(stage: Stage, condition: str) -> None:
    """Stands for any fault of ours that only some messages meet."""
    async with stage.database.transaction() as connection:
        await connection.execute(text(f"ALTER TABLE attempt ADD CONSTRAINT no_such CHECK ({condition})"))


async def ask_for_all_again(stage: Stage) -> None:
    async with stage.database.transaction() as connection:
        await connection.execute(text("UPDATE message SET waits_for = '{retry:}'"))


async def test_one_that_meets_a_fault_of_ours_is_left_to_a_person_and_the_others_are_applied(stage: Stage) -> None:
    started = [stage.message("started", "as-1", at, f"s{at}", unit=f"T{at}", step="build") for at in range(7)]
    assert set(fates(await stage.send(started)).values()) == {"pending"}
    await stage.release(*(f"T{at}" for at in range(7)))
    await fault(stage, "station <> 'as-1' OR started_at <> '2026-11-02T08:00:03Z'")
    assert fates(await stage.settle_pending()) == {f"s{at}": "applied" for at in range(7) if at != 3}
    assert await waiting(stage) == {"s3": "not_applied"}
    await ask_for_all_again(stage)  # a person's click
    later = stage.message("started", "as-1", 60, "later", unit="T8", step="build")
    await stage.send([later])
    await stage.release("T8", number="WO-2")
    assert fates(await stage.settle_pending()) == {"later": "applied"}
    assert await waiting(stage) == {"s3": "not_applied"}


async def test_two_that_claim_one_label_keep_nobody_waiting(stage: Stage) -> None:
    label = [{"kind": "MAC", "value": "00:1A:2B:3C:4D:5E"}]
    claims = [stage.message("identified", "as-1", 1, unit, unit=unit, identifiers=label) for unit in ("T1", "T2")]
    innocent = stage.message("started", "as-1", 5, "innocent", unit="T3", step="build")
    await stage.send([*claims, innocent])
    await stage.release("T1", "T2", "T3")
    assert fates(await stage.settle_pending()) == {"T1": "applied", "innocent": "applied"}
    assert await waiting(stage) == {"T2": "serial_taken"}


async def test_many_that_stay_pending_starve_none_behind_them(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "PENDING_MAX", 2)
    stuck = [stage.message("started", "xx-9", at, f"s{at}", unit="T1", step="build") for at in range(5)]
    await stage.send(stuck)
    await ask_for_all_again(stage)
    await stage.send([stage.message("started", "as-1", 60, "last", unit="T1", step="build")])
    await stage.release("T1")
    assert fates(await stage.settle_pending()) == {"last": "applied"}
    assert await waiting(stage) == {f"s{at}": "unknown_station" for at in range(5)}


async def test_a_part_of_another_maker_than_was_received_waits_for_that_maker_and_says_so(stage: Stage) -> None:
    async with stage.database.transaction() as connection:
        await put_product(connection, from_document({**GPU, "revision": "B", "receipt_required": True}), stage.act())
    await stage.release("T1")

    def received(maker: str) -> Any:
        return stage.message("received", "as-1", 1, part="GPU-1", serial="G1", maker=maker)

    await stage.send([received("NVIDIA")])
    child = {"part": "GPU-1", "serial": "G1", "maker": "Nvidia / Corp"}
    install = stage.message("installed", "as-1", 9, "i1", parent="T1", position="GPU1", child=child)
    (settled,) = await stage.send([install])
    assert (settled.fate, settled.reasons[0].code) == ("pending", "not_received")
    assert settled.reasons[0].text == (
        "GPU-1 G1 is known as made by NVIDIA; name that maker, or receive the one by Nvidia / Corp."
    )
    assert (await ingest.settle_pending(stage.database, stage.now)).tried == 0
    await stage.send([received("Nvidia / Corp")])
    assert fates(await stage.settle_pending()) == {"i1": "applied"}


async def test_what_can_not_even_be_set_aside_is_kept_by_its_bytes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_deep(*_: Any) -> None:
        raise RecursionError

    await stage.release("T1", "T2")
    await fault(stage, "started_at <> '2026-11-02T08:00:03Z'")
    monkeypatch.setattr(Batch, "set_aside", too_deep)
    bad = stage.message("started", "as-1", 3, "bad", unit="T1", step="build")
    good = stage.message("started", "as-1", 4, "good", unit="T2", step="build")
    settled = await stage.send([bad, good])
    assert fates(settled) == {"bad": "rejected", "good": "applied"}
    assert [one.code for one in settled[0].reasons] == ["not_applied"]
    async with stage.database.reading() as connection:
        kept = await (await driver(connection)).fetch("SELECT body, fate FROM message")
    assert [tuple(row) for row in kept] == [(bad.body, "rejected")]
