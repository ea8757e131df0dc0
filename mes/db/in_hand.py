"""What an ingest process that follows a dead one has in hand, so that the next one knows what it died of.

Written outside the transactions that settle messages: those roll back when a process dies. It need not reach the disk
either: a process that dies leaves the server running.
"""

from typing import NamedTuple

from mes.db.session import Database, driver


class InHand(NamedTuple):
    """Redelivered messages that a process had in hand. `digest` names the one it had alone, None of several.

    `deaths` counts the processes that had ended before with that one alone in hand.
    """

    messages: int
    digest: bytes | None
    deaths: int


class Hand:
    """One ingest process's note, by the name under which the broker knows it."""

    def __init__(self, database: Database, client_id: str) -> None:
        self._database = database
        self._client_id = client_id

    async def left(self) -> InHand | None:
        """What the process before this one had in hand when it ended; None: nothing that matters."""
        async with self._database.reading() as connection:
            row = await (await driver(connection)).fetchrow(
                "SELECT messages, digest, deaths FROM in_hand WHERE client_id = $1", self._client_id
            )
        return InHand(*row) if row else None

    async def note(self, messages: int, digest: bytes | None, deaths: int) -> None:
        """What this process takes in hand."""
        async with self._database.transaction() as connection:
            raw = await driver(connection)
            await raw.execute("SET LOCAL synchronous_commit = off")
            await raw.execute(
                """
                INSERT INTO in_hand (client_id, messages, digest, deaths) VALUES ($1, $2, $3, $4)
                ON CONFLICT (client_id) DO UPDATE SET
                    messages = excluded.messages, digest = excluded.digest, deaths = excluded.deaths
                """,
                self._client_id,
                messages,
                digest,
                deaths,
            )

    async def forget(self) -> None:
        """Nothing is in hand that a process could have died of."""
        async with self._database.transaction() as connection:
            await (await driver(connection)).execute("DELETE FROM in_hand WHERE client_id = $1", self._client_id)

    async def crashing(self) -> set[str]:
        """SHA-256 (hex) of the messages that were rejected because processes ended with them in hand."""
        async with self._database.reading() as connection:
            rows = await (await driver(connection)).fetch(
                "SELECT sha256 FROM message WHERE fate = 'rejected' AND reasons LIKE '%\"crashed_repeatedly\"%'"
            )
        return {row["sha256"] for row in rows}
