"""Receipts name each message once, to the station that sent it, in messages of bounded size."""

import json

from mes.domain.refusals import reason
from mes.mqtt.receipts import RECEIPT_MAX_BYTES, RECEIPT_MAX_MESSAGES, write_receipts
from tests.mqtt.floor import NOW, Fact


def test_receipts_go_to_each_station_in_order() -> None:
    settled = [
        Fact("a", "1", "id", "applied"),
        Fact("b", "2", "id", "duplicate"),
        Fact("a", "ff", "sha256", "rejected", (reason("unreadable", field="data.at"),)),
    ]
    first, second = write_receipts(settled, "mes/main", NOW)
    assert (first.topic, second.topic) == ("mes/v1/a/receipts", "mes/v1/b/receipts")
    event = json.loads(first.payload)
    assert (event["type"], event["source"], event["time"]) == (
        "mes.messages.settled",
        "mes/main",
        "2026-11-22T10:00:00Z",
    )
    assert event["data"]["settled"] == [
        {"id": "1", "fate": "applied"},
        {
            "sha256": "ff",
            "fate": "rejected",
            "reasons": [{"code": "unreadable", "text": "The message can't be read.", "facts": {"field": "data.at"}}],
        },
    ]
    assert event["id"] != json.loads(second.payload)["id"]


def test_they_are_bounded_in_number_and_bytes() -> None:
    many = [Fact("a", str(number), "id", "applied") for number in range(1201)]
    assert [len(json.loads(one.payload)["data"]["settled"]) for one in write_receipts(many, "mes/main", NOW)] == [
        RECEIPT_MAX_MESSAGES,
        RECEIPT_MAX_MESSAGES,
        201,
    ]
    long = [Fact("a", str(number), "id", "rejected", (reason("invalid", "x" * 4000),)) for number in range(200)]
    written = list(write_receipts(long, "mes/main", NOW))
    assert len(written) > 1
    assert all(len(one.payload) < RECEIPT_MAX_BYTES + 1000 for one in written)


def test_nothing_settled_needs_no_receipt() -> None:
    assert list(write_receipts([], "mes/main", NOW)) == []
