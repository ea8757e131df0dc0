"""The fallback broker, amqtt, as a process of its own: `python -m mes.embedded.amqtt_process PORT`.

It speaks MQTT 3.1.1 and keeps everything in memory. That loses nothing which matters: a station keeps each message
until the MES itself, not the broker, has confirmed it.
"""

import asyncio
import logging
import signal
import sys
import warnings

from mes.embedded import ports


def configuration(port: int) -> dict[str, object]:
    """What the broker does: listen on this machine only, let everyone in, publish nothing of its own."""
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{ports.HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


async def serve(port: int) -> None:
    """Run the broker until SIGTERM or SIGINT."""
    from amqtt.broker import Broker as Amqtt  # here, so that its import's warnings are silenced first

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = Amqtt(configuration(port))
    await broker.start()
    await stop.wait()
    await broker.shutdown()


def main() -> None:
    """Read the port and serve."""
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
