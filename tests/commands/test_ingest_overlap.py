"""Batches that overlap in time are settled in the order in which they came."""

import asyncio

from sqlalchemy import text

from mes.commands.ingest import Entrance, settle
from tests.stage import Stage


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


async def test_an_entrance_is_free_again_after_a_failure() -> None:
    entrance = Entrance()
    for _ in range(2):
        try:
            async with entrance.passing() as let_next_in:
                let_next_in()
                raise RuntimeError
        except RuntimeError:
            continue
    async with asyncio.timeout(1), entrance.passing():
        pass
