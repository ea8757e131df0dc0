"""An ingest process that a certain message ends: `python -m tests.faults.crashing_ingest`, set up like `mes ingest`.

It stands for a fault in a library written in C: no exception, the process is gone. Every message that has POISON in it
ends it, in whatever batch it comes.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mes import ingesting
from mes.commands.ingest import settle
from mes.formats.messages import Message
from mes.settings import settings

POISON = b"poison-"


async def deadly(database: Any, arrived: Any, *rest: Any) -> Any:
    """Settles what is not poison."""
    if any(isinstance(one, Message) and POISON in one.body for one in arrived):
        os._exit(139)
    return await settle(database, arrived, *rest)


if __name__ == "__main__":
    ingesting.settle = deadly  # type: ignore[attr-defined, assignment]
    ready = Path(sys.argv[1]) if sys.argv[1:] else None
    asyncio.run(ingesting.ingest(settings(), ready_file=ready))
