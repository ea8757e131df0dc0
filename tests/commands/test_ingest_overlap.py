"""Batches that overlap in time are settled in the order in which they came."""

import asyncio
from random import Random

import pytest
from sqlalchemy import text

from mes.commands import ingest
from mes.commands.entrance import Entrance
from mes.commands.ingest import settle
from mes.formats.messages import Message
from tests.stage import Stage
from tests.stored_floor import assert_folded_from_journal


async def test_a_batch_never_overtakes_the_one_before(stage: Stage) -> None:
    serials = [f"T{number}" for number in range(8)]
    await stage.release(*serials)
    steps = [
        [stage.message("started", "as-1", 10, unit=serial, step="build", run=f"b-{serial}") for serial in serials],
        [stage.screws(serial, 20) for serial in serials],
        [stage.run(serial, "test", 200, run=f"t-{serial}") for serial in serials],
        [stage.run(serial, "test", 300, run=f"u-{serial}") for serial in reversed(serials)],
    ]
    entrance = Entrance()
    settled = await asyncio.gather(*(settle(stage.database, messages, stage.now, entrance) for messages in steps))
    assert {one.fate for batch in settled for one in batch} == {"applied"}
    async with stage.database.reading() as connection:
        refolded = await connection.scalar(text("SELECT count(*) FROM journal WHERE type = 'mes.unit.refolded'"))
    assert refolded == 0, "what comes in order is folded on, not folded again"


async def test_two_processes_never_wait_for_each_others_units_in_a_circle(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts go from unit to unit, so that each batch finds units that it does not name, while the other has them."""
    monkeypatch.setattr(ingest, "TRIES_MAX", 1)  # whoever loses is not tried again
    chance, trays = Random(11), [f"T{number}" for number in range(12)]
    await stage.release(*trays)

    def move(at: int) -> Message:
        place = chance.choice(("GPU1", "GPU2"))
        return stage.install(chance.choice(trays), place, f"G{chance.randrange(12)}", at)

    async def process(first: int) -> list[str]:
        entrance = Entrance(among_processes=True)
        batches = [[move(1000 * first + 20 * batch + n) for n in range(20)] for batch in range(12)]
        return [one.fate for some in batches for one in await settle(stage.database, some, stage.now, entrance)]

    fates = await asyncio.gather(*(process(number) for number in (1, 2, 3)))
    assert {fate for some in fates for fate in some} == {"applied"}
    await assert_folded_from_journal(stage.database)


async def test_an_entrance_is_free_again_after_a_failure() -> None:
    entrance = Entrance()
    for _ in range(2):
        try:
            async with entrance.passing():
                raise RuntimeError
        except RuntimeError:
            continue
    async with asyncio.timeout(1), entrance.passing():
        pass
