"""Where a broker is: `mqtt[s]://user:password@host:port`."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Broker(NamedTuple):
    """Where a broker is and how to be let in."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool


def parse_url(url: str) -> Broker:
    """The broker that an `mqtt[s]://user:password@host:port` names. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError("a broker's address is mqtt://host:port or mqtts://host:port")
    tls = parts.scheme == "mqtts"
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return Broker(parts.hostname, parts.port or (8883 if tls else 1883), user, password, tls)
