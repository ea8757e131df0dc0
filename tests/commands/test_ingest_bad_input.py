"""Whatever comes, the consumer goes on: bad input is rejected with its bytes kept, and the next good one is applied."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mes.commands.ingest import settle
from mes.db.session import driver
from mes.formats.messages import Unreadable, decode
from tests.stage import TYPES, Stage, time

EVENTS: dict[str, dict[str, Any]] = {
    "started": {"unit": "T1", "step": "build", "at": time(1), "run": "r", "operator": "ann", "location": "bay 3"},
    "completed": {"unit": "T1", "step": "build", "at": time(2), "outcome": "pass", "operator": "ann"},
    "installed": {
        "parent": {"part": "TRAY-1", "serial": "T1"},
        "position": "GPU1",
        "child": {"part": "GPU-1", "serial": "G1", "maker": "ACME"},
        "at": time(3),
        "operator": "ann",
    },
    "removed": {
        "parent": "T1",
        "position": "SCREWS",
        "child": {"part": "SCREW-1", "lot": "L1", "quantity": 4},
        "at": time(4),
        "reason": "loose",
    },
    "run": {
        "unit": "T1",
        "step": "test",
        "run": "r7",
        "started_at": time(5),
        "ended_at": time(65),
        "outcome": "pass",
        "fixture": "F1",
        "program": {"name": "power", "version": "1.2"},
        "measurements": [{"name": "power", "value": 150.5, "unit": "W", "low": 100, "high": 200, "position": "GPU1"}],
        "connections": [{"from": "A1", "to": "B1", "seen": ["B1"], "ohms": 0.1}],
        "defects": [{"code": "dent", "position": "GPU1", "text": "left side"}],
    },
    "samples": {"unit": "T1", "step": "test", "start": time(5), "period_s": 5, "channels": {"temp": [20.5, None, 21]}},
    "received": {"part": "GPU-1", "serial": "G9", "maker": "ACME", "date_code": "2644", "at": time(0)},
    "identified": {"unit": "T1", "identifiers": [{"kind": "mac", "value": "02:00:00:00:00:01"}]},
    "packed": {"unit": "T1", "at": time(70), "into": "crate 7"},
    "shipped": {"unit": "T1", "at": time(71), "order": "SO-1", "to": "Ohio"},
    "status": {"state": "down", "since": time(3), "reason": "fuse"},
}

DEEP = "§deep§"  # replaced in the text by 10,000 levels of lists
WRONG: list[Any] = [
    None, "", "x" * 70, "a b", "a\u0000b", "\ud800", "ÿ", -1, 0, 1e308, 10**30, 0.1, True, [], {}, [[]], {"a": 1}, DEEP,
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-02T08:00:00", "1970-01-01T00:00:00+00:00", "N/A", "NA",
]  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, the document itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in ((*path, key), *_paths(inner, (*path, key)))]


def _event(kind: str, id: str, data: Any) -> dict[str, Any]:
    station = "as-1" if kind in ("started", "completed", "installed", "removed") else "ft-1"
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"stations/{station}",
        "type": TYPES[kind][1],
        "time": time(100),
        "data": data,
    }


def _read(kind: str, event: Any) -> list[Any]:
    station = "as-1" if kind in ("started", "completed", "installed", "removed") else "ft-1"
    text = json.dumps(event).replace(f'"{DEEP}"', "[" * 10_000 + "]" * 10_000)
    return decode(station, TYPES[kind][0], text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("kind", EVENTS)
async def test_each_field_wrong_in_turn_costs_only_its_own_message(stage: Stage, kind: str) -> None:
    await stage.release("T1")
    await stage.send([*stage.build("T1", 0, "G11", "G12")])
    bad: list[Any] = []
    for number, path in enumerate(_paths(_event(kind, "x", EVENTS[kind]))):
        for nth, wrong in enumerate([*WRONG, "missing"]):
            event = _event(kind, f"bad-{number}-{nth}", copy.deepcopy(EVENTS[kind]))
            place: Any = event
            for key in path[:-1]:
                place = place[key]
            if wrong == "missing":
                del place[path[-1]]
            else:
                place[path[-1]] = wrong
            bad += _read(kind, event)
    settled = await stage.send(bad)
    assert all(one.fate in ("applied", "duplicate", "pending", "rejected") for one in settled)
    assert not [one for one in settled for why in one.reasons if why.code == "not_applied"]
    for one, answer in zip(bad, settled, strict=True):
        if isinstance(one, Unreadable):
            assert answer.fate == "rejected"
            assert answer.reasons[0].text
    (good,) = await stage.send([stage.message("status", "ft-1", state="idle", since=time(5))])
    assert good.fate == "applied"
    async with stage.database.reading() as connection:
        kept = await (await driver(connection)).fetchval("SELECT count(*) FROM message WHERE fate = 'rejected'")
    assert kept
    assert kept == len({one.sha256 for one in bad if isinstance(one, Unreadable)})


async def test_a_payload_that_is_no_event_at_all_is_kept_as_it_came(stage: Stage) -> None:
    payloads = [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"{",
        b"[" * 100_000,
        b"null",
        b'"text"',
        b"{}",
        b"1e999",
        b'{"id": "a\\u0000"}',
    ]
    arrived = [one for payload in payloads for one in decode("ft-1", "run", payload)]
    settled = await stage.send(arrived)
    assert {one.fate for one in settled} == {"rejected"}
    async with stage.database.reading() as connection:
        bodies = await (await driver(connection)).fetch("SELECT body FROM message ORDER BY key")
    assert {bytes(row["body"]) for row in bodies} == set(payloads)


_texts = st.text(max_size=80)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_nothing_that_can_be_sent_stops_ingest(stage: Stage, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(EVENTS)))
    event = _event(kind, data.draw(_texts), copy.deepcopy(EVENTS[kind]))
    for path in data.draw(st.lists(st.sampled_from(_paths(event)), max_size=3)):
        place: Any = event
        try:
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = data.draw(_values)
        except (KeyError, TypeError, IndexError):
            continue
    settled = await settle(stage.database, _read(kind, event), stage.now)
    assert not [one for one in settled for why in one.reasons if why.code == "not_applied"]
