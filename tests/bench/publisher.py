"""Publishing at full speed: packets made beforehand, QoS 1, no library between them and the socket.

What is measured is the other side; a publisher in plain paho would take a core of its own.
As a process: `python -m tests.bench.publisher PORT UNITS` publishes the floor's runs.
"""

import socket
import sys
import threading
from collections.abc import Iterable, Sequence

from tests.bench.floor import Said, runs

CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05bench"
PIECE_BYTES = 256 * 1024


def packet(said: Said, mid: int) -> bytes:
    """An MQTT 3.1.1 PUBLISH with QoS 1."""
    topic = said.topic.encode()
    rest = len(topic).to_bytes(2) + topic + mid.to_bytes(2) + said.payload
    length, size = b"", len(rest)
    while size > 127:
        length, size = length + bytes([size % 128 | 128]), size // 128
    return b"\x32" + length + bytes([size]) + rest


def packets(said: Iterable[Said]) -> list[bytes]:
    """All of them; the same number is used again long after its acknowledgement."""
    return [packet(one, number % 65535 + 1) for number, one in enumerate(said)]


def publish(port: int, made: Sequence[bytes]) -> None:
    """Send all packets as fast as the broker takes them; returns when it has acknowledged every one."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(CONNECT)
        connection.recv(4)
        counting = threading.Thread(target=_count, args=(connection, len(made)))
        counting.start()
        some: list[bytes] = []
        size = 0
        for one in made:
            some.append(one)
            size += len(one)
            if size > PIECE_BYTES:
                connection.sendall(b"".join(some))
                some, size = [], 0
        connection.sendall(b"".join(some))
        counting.join()
        connection.sendall(b"\xe0\x00")


def _count(connection: socket.socket, messages: int) -> None:
    """Read the acknowledgements, 4 bytes each."""
    wanted = 4 * messages
    while wanted > 0:
        got = len(connection.recv(65536))
        if not got:
            raise ConnectionError("the broker closed the connection")
        wanted -= got


if __name__ == "__main__":
    made = packets(runs(int(sys.argv[2])))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    publish(int(sys.argv[1]), made)
