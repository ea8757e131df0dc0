"""The gate: each message and each event once, whether it comes alone or among many."""

from datetime import UTC, datetime

import pytest

from mes.db.inbox import COPIED_MIN, Ticket, admit, seen
from mes.db.session import Database

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
MANY = COPIED_MIN + 10


def ticket(number: int, *, id: str | None = None, natural: bool = True) -> Ticket:
    told = number.to_bytes(16)
    return Ticket("stations/ft-1", id or f"m-{number}", told, told if natural else None)


async def admitted(database: Database, tickets: list[Ticket]) -> set[str]:
    async with database.transaction() as connection:
        return {id for _, id in await admit(connection, tickets, AT)}


@pytest.mark.parametrize("count", [3, MANY])
async def test_what_is_new_is_let_in_once(database: Database, count: int) -> None:
    new = [ticket(number) for number in range(count)]
    assert await admitted(database, new) == {one.id for one in new}
    assert await admitted(database, new) == set()
    async with database.transaction() as connection:
        found = await seen(connection, new)
    assert {(one.id, one.content, one.natural_key, one.fate) for one in found} == {
        (one.id, one.content, one.natural_key, "applied") for one in new
    }


@pytest.mark.parametrize("count", [3, MANY])
async def test_among_new_ones_what_was_seen_stays_out(database: Database, count: int) -> None:
    """One came under the same id, another is the same event under a new id; the rest is let in all the same."""
    await admitted(database, [ticket(0), ticket(1)])
    again = [ticket(0), ticket(1, id="again"), *(ticket(number) for number in range(2, count))]
    assert await admitted(database, again) == {f"m-{number}" for number in range(2, count)}


@pytest.mark.parametrize("count", [3, MANY])
async def test_of_those_that_say_the_same_the_first_is_let_in(database: Database, count: int) -> None:
    rest = [ticket(number, natural=False) for number in range(count)]
    twice = [ticket(900), ticket(900), ticket(900, id="other"), *rest]
    assert await admitted(database, twice) == {"m-900", *(one.id for one in rest)}


@pytest.mark.parametrize("count", [3, MANY])
async def test_the_transaction_goes_on_after_something_was_seen(database: Database, count: int) -> None:
    """What the gate finds out must not undo what the same transaction did before."""
    await admitted(database, [ticket(0)])
    async with database.transaction() as connection:
        first = await admit(connection, [ticket(1000)], AT)
        await admit(connection, [ticket(number) for number in range(count)], AT)
    assert first == {("stations/ft-1", "m-1000")}
    assert await admitted(database, [ticket(1000), ticket(count - 1)]) == set()
