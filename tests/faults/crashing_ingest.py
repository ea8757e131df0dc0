"""An ingest process that a certain message ends: `python -m tests.faults.crashing_ingest`, set up like `mes ingest`.

It stands for a fault in a library written in C: no exception, the process is gone. Every message whose id begins with
POISON ends it, in whatever batch it comes.
"""

import asyncio
import os
from typing import Any

from mes import services
from mes.commands.ingest import settle
from mes.formats.messages import Message
from mes.settings import settings

POISON = "poison-"


async def deadly(database: Any, arrived: Any, *rest: Any) -> Any:
    """Settles what is not poison."""
    if any(isinstance(one, Message) and one.id.startswith(POISON) for one in arrived):
        os._exit(139)
    return await settle(database, arrived, *rest)


if __name__ == "__main__":
    services.settle = deadly  # type: ignore[attr-defined, assignment]
    asyncio.run(services.ingest(settings()))
