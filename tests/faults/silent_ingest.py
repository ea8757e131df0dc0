"""An ingest process that dies between its acknowledgement and its receipts: `python -m tests.faults.silent_ingest`.

Its batch is on the record and the broker has forgotten it, and no station was told. Set up like `mes ingest`.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mes import ingesting
from mes.mqtt import consumer
from mes.settings import settings

DIED = 137
SENT_S = 0.2
"""Until the acknowledgement has left this process."""


def die(_bridge: Any, receipts: Any) -> None:
    """Instead of receipts; that nothing pending was settled is said, too, and told nobody."""
    if receipts:
        asyncio.get_running_loop().call_later(SENT_S, os._exit, DIED)


if __name__ == "__main__":
    consumer.publish = die
    ready = Path(sys.argv[1]) if sys.argv[1:] else None
    asyncio.run(ingesting.ingest(settings(), ready_file=ready))
