"""The tree of a unit in both its times: when it was so, and when we believed it.

The story: a GPU was put into position G1 of a tray at 8. At 12 it turned out that it had gone into G2, and that at 10
it had been swapped for another. What was believed before noon is superseded, not gone.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.session import Database
from mes.queries.genealogy import Node, genealogy
from tests.db.units import add_installation, add_unit, hour


class Floor(NamedTuple):
    """A rack at U12 of which the tray of the story is."""

    connection: AsyncConnection
    rack: str
    tray: str

    async def tree(self, as_of: float | None = None, known_at: float | None = None) -> dict[str, str | None]:
        """What is where in the rack, by path."""
        found = await genealogy(
            self.connection,
            self.rack,
            as_of=None if as_of is None else hour(as_of),
            known_at=None if known_at is None else hour(known_at),
        )
        return dict(flat(found))


def flat(node: Node) -> list[tuple[str, str | None]]:
    """Every path below a node with what is there."""
    return [pair for child in node.children for pair in [(child.path, child.serial or child.lot), *flat(child)]]


@pytest_asyncio.fixture
async def floor(database_url: str) -> AsyncIterator[Floor]:
    """The story, in a transaction that is never committed."""
    database = Database(database_url, pool_size=1)
    async with database.engine.connect() as connection:
        rack, tray, first, second = [
            await add_unit(connection, serial) for serial in ("RACK", "TRAY", "GPU-1", "GPU-2")
        ]
        noon = {"recorded_at": hour(12)}
        await add_installation(connection, rack, "U12", 7, child_id=tray, recorded_at=hour(7))
        await add_installation(connection, tray, "G1", 8, child_id=first, recorded_at=hour(8), superseded_at=hour(12))
        await add_installation(connection, tray, "G2", 8, 10, child_id=first, **noon)
        await add_installation(connection, tray, "G2", 10, child_id=second, **noon)
        yield Floor(connection, rack, tray)
        await connection.rollback()
    await database.close()


async def test_what_is_believed_now_is_so_now(floor: Floor) -> None:
    assert await floor.tree() == {"U12": "TRAY", "U12/G2": "GPU-2"}


@pytest.mark.parametrize(
    ("as_of", "inside"),
    [
        (6.5, {}),
        (7.5, {"U12": "TRAY"}),
        (8, {"U12": "TRAY", "U12/G2": "GPU-1"}),
        (9.5, {"U12": "TRAY", "U12/G2": "GPU-1"}),
        (10, {"U12": "TRAY", "U12/G2": "GPU-2"}),
    ],
)
async def test_what_is_believed_now_of_an_earlier_time(floor: Floor, as_of: float, inside: dict[str, str]) -> None:
    assert await floor.tree(as_of=as_of) == inside


async def test_what_was_believed_before_the_correction(floor: Floor) -> None:
    assert await floor.tree(known_at=11) == {"U12": "TRAY", "U12/G1": "GPU-1"}
    assert await floor.tree(as_of=9, known_at=11) == {"U12": "TRAY", "U12/G1": "GPU-1"}


async def test_a_correction_is_believed_from_its_moment_on(floor: Floor) -> None:
    assert await floor.tree(as_of=9, known_at=12) == {"U12": "TRAY", "U12/G2": "GPU-1"}


async def test_positions_are_in_the_order_in_which_people_count(floor: Floor) -> None:
    for number in (10, 3):
        await add_installation(
            floor.connection, floor.tray, f"G{number}", 9, child_id=await add_unit(floor.connection, f"GPU-{number}")
        )
    assert list(await floor.tree()) == ["U12", "U12/G2", "U12/G3", "U12/G10"]
