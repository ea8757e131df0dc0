"""What a broker publishes to us, taken from the bytes as they came, and how it is acknowledged.

paho takes one packet apart per call and locks on the way, which costs three times what deciding about the message
does. Whole PUBLISH packets of QoS 0 and 1 are read here; everything else on the connection is paho's.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_PUBLISH: Final = 0x30
_PUBACK: Final = b"\x40\x02"
_LENGTH_MAX_BYTES: Final = 4

Extras: TypeAlias = tuple[Mapping[str, str] | None, str | None, str | None, bytes | None]
"""What MQTT 5 says beside a payload: user properties, content type, response topic, correlation data."""
NO_EXTRAS: Final[Extras] = (None, None, None, None)


class Published(NamedTuple):
    """One message as the broker sent it. A topic that is no text is empty: it names no station."""

    topic: str
    payload: bytes
    retained: bool
    duplicate: bool
    qos: int
    mid: int
    extras: Extras


def published(data: bytes, at: int, *, is_5: bool) -> tuple[Published, int] | None:
    """The message that begins at a place in what has come, and where it ends.

    None where something else begins there, or not all of it has come. Raises what paho raises for broken properties.
    """
    head = data[at]
    qos = head >> 1 & 3
    if head & 0xF0 != _PUBLISH or qos > 1:
        return None
    start, length = _length(data, at + 1)
    end = start + length
    if not start or end > len(data):
        return None
    payload_at = start + 2 + (data[start] << 8 | data[start + 1])
    topic = data[start + 2 : payload_at]
    mid = 0
    if qos:
        mid = data[payload_at] << 8 | data[payload_at + 1]
        payload_at += 2
    extras = NO_EXTRAS
    if is_5:
        extras, payload_at = _extras_at(data, payload_at, end)
    said = Published(_text(topic), data[payload_at:end], bool(head & 1), bool(head & 8), qos, mid, extras)
    return said, end


def is_cut(data: bytes, at: int) -> bool:
    """Whether a message begins at a place of which not all has come."""
    if at >= len(data) or data[at] & 0xF0 != _PUBLISH or data[at] >> 1 & 3 > 1:
        return False
    start, length = _length(data, at + 1)
    return start + length > len(data) if start else len(data) - at <= _LENGTH_MAX_BYTES


def from_paho(message: paho.MQTTMessage) -> Published:
    """A message that paho took apart."""
    try:
        topic = message.topic
    except UnicodeDecodeError:
        topic = ""
    extras = extras_of(message.properties) if message.properties is not None else NO_EXTRAS
    return Published(topic, bytes(message.payload), message.retain, message.dup, message.qos, message.mid, extras)


def pubacks(mids: Iterable[int]) -> bytes:
    """The acknowledgements of messages of QoS 1, in order; the same bytes in MQTT 3.1.1 and 5."""
    return b"".join([_PUBACK + mid.to_bytes(2) for mid in mids])


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Where what a variable length counts begins, and the length; 0 where it has not come or can't be one."""
    length = 0
    for place, byte in enumerate(data[at : at + _LENGTH_MAX_BYTES]):
        length |= (byte & 127) << 7 * place
        if byte < 128:
            return at + place + 1, length
    return 0, 0


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def _extras_at(data: bytes, at: int, end: int) -> tuple[Extras, int]:
    """The properties at a place, and where they end. Nearly all messages have none."""
    if data[at] == 0:
        return NO_EXTRAS, at + 1
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    _, used = properties.unpack(data[at:end])  # type: ignore[no-untyped-call]
    return extras_of(properties), at + used


def extras_of(properties: Properties) -> Extras:
    """What of MQTT 5's properties concerns us."""
    given = properties.__dict__  # its own attribute access goes over every property of the standard
    user = given.get("UserProperty")
    return (
        dict(user) if user else None,
        given.get("ContentType"),
        given.get("ResponseTopic"),
        given.get("CorrelationData"),
    )
