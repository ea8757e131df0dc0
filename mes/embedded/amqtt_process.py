"""The fallback broker, amqtt, as a process of its own: `python -m mes.embedded.amqtt_process PORT`.

It speaks MQTT 3.1.1 without shared subscriptions, keeps everything in memory, and forgets a delivery that is not
acknowledged within 5 s. That loses nothing which matters: a station keeps each message until the MES itself, not the
broker, has confirmed it.
"""

import asyncio
import logging
import signal
import sys

from amqtt.broker import Broker as Amqtt
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from mes.embedded import ports


class WelcomeAll(BaseAuthPlugin):  # type: ignore[misc]  # the package is typed only in part
    """Lets everyone in, by name.

    amqtt's own anonymous access keeps no messages for a client that is away for a moment.
    """

    async def authenticate(self, *, session: Session) -> bool:
        """Everyone who reaches the port of this machine is welcome."""
        return True


def configuration(port: int) -> dict[str, object]:
    """What the broker does: listen on this machine only, let everyone in, publish nothing of its own."""
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{ports.HOST}:{port}"}},
        "plugins": {f"mes.embedded.amqtt_process.{WelcomeAll.__name__}": {}},
    }


async def serve(port: int) -> None:
    """Run the broker until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = Amqtt(configuration(port))
    await broker.start()
    await stop.wait()
    await broker.shutdown()


def main() -> None:
    """Read the port and serve."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
