"""Logins for who looks around in the demo: one for each kind of people on a floor."""

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mes.commands.access import add_account
from mes.db.session import Database
from mes.embedded import folder
from mes.local import Local

FILE: Final = "demo-logins.json"
ROLES: Final = ("supervisor", "operator", "quality", "auditor")


async def logins(local: Local, data_dir: Path, site: str) -> dict[str, str]:
    """Passwords by name, made at the first start and kept in a private file."""
    path = data_dir / FILE
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    made = {role: secrets.token_hex(4) for role in ROLES}
    database = Database(local.parts.database_url, site=site, pool_size=1)
    try:
        async with database.transaction() as connection:
            for name, password in made.items():
                await add_account(connection, name, password, [name], at=datetime.now(UTC))
    finally:
        await database.close()
    folder.write_private(path, json.dumps(made) + "\n")
    return made
