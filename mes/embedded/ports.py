"""Ports of this machine: is one free, and which is the next."""

import socket
from pathlib import Path

from mes.embedded.problems import PartError

HOST = "127.0.0.1"
TRIED_MAX = 200


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on this port now. A port below 1024 that we may not open counts as taken."""
    with socket.socket() as probe:
        # As servers do: a connection of the previous one that still lingers does not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def next_free(first: int, host: str = HOST) -> int:
    """The first free port at or after `first`."""
    for port in range(first, min(first + TRIED_MAX, 65536)):
        if is_free(port, host):
            return port
    raise PartError(f"No free port between {first} and {first + TRIED_MAX - 1} on {host}.")


def remembered(record: Path, default: int) -> int:
    """The port that was used last, so that addresses stay the same from start to start; else the default."""
    try:
        return int(record.read_text())
    except (OSError, ValueError):
        return default
