"""The kill matrix: nothing said by a station that uses the client is lost or doubled, whatever is killed.

Each case kills one part with SIGKILL, or the network, while a station sends; then every message is looked up in the
record. `client` is sdk (the station client) or plain: a publisher that forgets what the broker acknowledged, so that
the table says what a broker may lose.
"""

from typing import Any

from tests.faults.cases import CASES, CLIENTS, figures

KILLS = 10
MESSAGES = 3000
SHORT_KILLS = 2
SHORT_MESSAGES = 200


async def run(*, short: bool = False) -> dict[str, Any]:
    """Try out every case."""
    if short:
        return await figures(("ingest", "broker", "network_duplicate"), ("sdk",), SHORT_KILLS, SHORT_MESSAGES)
    return await figures(CASES, CLIENTS, KILLS, MESSAGES)
