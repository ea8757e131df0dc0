"""One full example of every message that a station may send: each field of the contract is in it."""

import json
from typing import Any

AT = "2026-11-22T10:00:00Z"
LATER = "2026-11-22T10:05:00+00:00"

DATA: dict[str, tuple[str, dict[str, Any]]] = {
    "mes.step.started": (
        "step",
        {"unit": "RK-1", "step": "assemble", "at": AT, "run": "r1", "operator": "Ann", "location": "bay 4"},
    ),
    "mes.step.completed": (
        "step",
        {"unit": "RK-1", "step": "assemble", "at": AT, "outcome": "pass", "run": "r1", "operator": "Ann"},
    ),
    "mes.part.installed": (
        "assembly",
        {
            "parent": {"part": "TRAY", "serial": "TR-1"},
            "position": "U12/GPU3",
            "child": {"part": "GPU", "serial": "G-1", "maker": "Acme"},
            "at": AT,
            "operator": "Ann",
        },
    ),
    "mes.part.removed": (
        "assembly",
        {
            "parent": "TR-1",
            "position": "SCREWS",
            "child": {"part": "M3", "lot": "L-1", "quantity": 4.5},
            "at": AT,
            "reason": "wrong length",
        },
    ),
    "mes.run.reported": (
        "run",
        {
            "unit": "RK-1",
            "step": "burn-in",
            "run": "r2",
            "purpose": "production",
            "started_at": AT,
            "ended_at": LATER,
            "outcome": "fail",
            "operator": "Ann",
            "fixture": "F-3",
            "program": {"name": "soak", "version": "1.4"},
            "measurements": [
                {
                    "name": "temp",
                    "value": 71.5,
                    "unit": "°C",
                    "low": 0,
                    "high": 70.0,
                    "outcome": "fail",
                    "position": "U12",
                },
                {"name": "leds", "value": [True, None, "red", 3]},
            ],
            "connections": [{"from": "A1", "to": "B1", "seen": ["B1", "B2"], "ohms": 0.08}],
            "defects": [{"code": "SHORT", "position": "U12/GPU3", "text": "seen under the lens"}],
        },
    ),
    "mes.inventory.read": (
        "inventory",
        {
            "unit": "RK-1",
            "at": AT,
            "run": "r2",
            "items": [
                {"position": "GPU1", "part": "GPU", "serial": "G-1", "kind": "gpu", "firmware": {"VBIOS": "97"}},
                {"position": "BMC", "firmware": "26.1"},
            ],
        },
    ),
    "mes.samples.taken": (
        "samples",
        {
            "unit": "RK-1",
            "step": "burn-in",
            "run": "r2",
            "start": AT,
            "period_s": 5,
            "purpose": "production",
            "channels": {"U1/temp": [1.5, None, 2], "U2/temp": [1, 2, 3]},
        },
    ),
    "mes.part.received": (
        "unit",
        {"part": "GPU", "at": AT, "lot": "L-7", "quantity": "100", "maker": "Acme", "date_code": "2647"},
    ),
    "mes.material.loaded": (
        "material",
        {"part": "M3", "lot": "L-7", "at": AT, "maker": "Acme", "quantity": "2000", "place": "F1", "operator": "ann"},
    ),
    "mes.material.unloaded": (
        "material",
        {"part": "M3", "lot": "L-7", "at": AT, "maker": "Acme", "quantity": "12.5", "place": "F1", "operator": "ann"},
    ),
    "mes.unit.identified": (
        "unit",
        {"unit": "RK-1", "identifiers": [{"kind": "mac", "value": "02:42:ac:11:00:02"}]},
    ),
    "mes.unit.packed": ("unit", {"unit": "RK-1", "at": AT, "into": "crate 9"}),
    "mes.unit.shipped": ("unit", {"unit": "RK-1", "at": AT, "order": "WO-1", "to": "Hall 3"}),
    "mes.station.status": ("status", {"state": "down", "since": AT, "reason": "no air", "will": False}),
    "mes.step.asked": (
        "ask",
        {"unit": "RK-1", "step": "burn-in", "parts": [{"part": "GPU", "serial": "G-1"}], "after": ["m1"]},
    ),
}


def event(type: str, data: Any, id: str = "m1", station: str = "st-1", **more: Any) -> dict[str, Any]:
    """The envelope that a station puts around data."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"stations/{station}",
        "type": type,
        "time": AT,
        "data": data,
    } | more


def example(type: str, **changes: Any) -> bytes:
    """The example of a type with some fields of its data changed."""
    return json.dumps(event(type, DATA[type][1] | changes)).encode()
