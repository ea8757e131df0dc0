"""Messages are read off the wire as paho would read them, and what is not a whole message is left to paho."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from mes.mqtt.packets import NO_EXTRAS, Published, is_cut, pubacks, published


def packet(head: int, body: bytes) -> bytes:
    """A packet with a remaining length of as many bytes as it takes."""
    length, size = b"", len(body)
    while size > 127:
        length, size = length + bytes([size % 128 | 128]), size // 128
    return bytes([head]) + length + bytes([size]) + body


def publish(topic: bytes, payload: bytes, qos: int = 1, flags: int = 0, properties: bytes = b"") -> bytes:
    mid = b"\x12\x34" if qos else b""
    return packet(0x30 | qos << 1 | flags, len(topic).to_bytes(2) + topic + mid + properties + payload)


TOPIC = b"mes/v1/st-1/run"
SAID = Published("mes/v1/st-1/run", b"{}", False, False, 1, 0x1234, NO_EXTRAS)


def test_a_message_is_read_where_it_begins() -> None:
    one = publish(TOPIC, b"{}")
    assert published(one, 0, is_5=False) == (SAID, len(one))
    assert published(b"\xd0\x00" + one + one, 2, is_5=False) == (SAID, 2 + len(one))
    assert published(publish(TOPIC, b"{}", 0), 0, is_5=False) == (SAID._replace(qos=0, mid=0), len(one) - 2)
    both = publish(TOPIC, b"{}", flags=0x09)
    assert published(both, 0, is_5=False) == (SAID._replace(retained=True, duplicate=True), len(one))
    assert published(publish(b"mes/\xff", b""), 0, is_5=False) is not None
    assert published(publish(b"mes/\xff", b""), 0, is_5=False)[0].topic == ""  # type: ignore[index]


def test_long_messages_have_long_lengths() -> None:
    for size in (0, 100, 127, 128, 16_383, 16_384, 300_000):
        one = publish(TOPIC, b"x" * size)
        found = published(one, 0, is_5=False)
        assert found
        assert (len(found[0].payload), found[1]) == (size, len(one))


def test_what_has_not_come_as_a_whole_is_not_read() -> None:
    one = publish(TOPIC, b"x" * 200)
    assert all(published(one[:end], 0, is_5=False) is None for end in range(1, len(one)))


def test_a_message_that_has_not_come_as_a_whole_is_waited_for() -> None:
    one = publish(TOPIC, b"x" * 200)
    assert all(is_cut(b"\xd0\x00" + one[:end], 2) for end in range(1, len(one)))
    assert not is_cut(one, 0)
    assert not is_cut(one, len(one))
    assert not is_cut(b"\x32\xff\xff\xff\xff\xff", 0)  # no length: paho says what is wrong with it
    assert not is_cut(b"\xd0", 0)


def test_other_packets_are_not_read() -> None:
    others = [b"\x20\x02\x00\x00", b"\xd0\x00", b"\x40\x02\x00\x01", publish(TOPIC, b"{}", 2)]
    assert all(published(one, 0, is_5=False) is None for one in others)


def test_the_properties_of_mqtt_5_are_read_where_there_are_any() -> None:
    bare = publish(TOPIC, b"{}", properties=b"\x00")
    assert published(bare, 0, is_5=True) == (SAID, len(bare))
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("id", "m1")]
    properties.ContentType = "application/json"
    properties.ResponseTopic = "answers"
    properties.CorrelationData = b"\x01"
    full = publish(TOPIC, b"{}", properties=properties.pack())
    found = SAID._replace(extras=({"id": "m1"}, "application/json", "answers", b"\x01"))
    assert published(full, 0, is_5=True) == (found, len(full))


def test_acknowledgements_are_packets_of_four_bytes() -> None:
    assert pubacks([1, 0x1234]) == b"\x40\x02\x00\x01\x40\x02\x12\x34"
