"""What digests of messages and runs are over: a message's data, however it was written down by its sender."""

from hashlib import sha256
from typing import Any

from msgspec import Struct, json

from mes.formats.messages.values import UnitRef


def _plain(value: Any) -> Any:
    """How digests are told of the one type of the wire that is no struct."""
    if isinstance(value, UnitRef):
        return [value.part, value.serial]
    raise TypeError(f"can't digest {type(value).__name__}")


encode = json.Encoder(order="deterministic", enc_hook=_plain).encode
"""Data as JSON: fields in the order of the wire contract, other names sorted, defaults left out."""


def digest_of(data: Struct) -> bytes:
    """The SHA-256 of a message's data."""
    return sha256(encode(data)).digest()
