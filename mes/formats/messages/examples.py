"""One example of every message, as the AsyncAPI document shows it: together they tell of one tray."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from mes.formats.messages.cloudevents import ANSWERS, TYPES
from mes.formats.messages.foreign import FOREIGN

UNIT: Final = "TRAY-000001"
RUN: Final = "ft-1-4711"
_OCPTV: Final = [
    {"sequenceNumber": 0, "timestamp": "2026-11-02T09:20:00Z", "schemaVersion": {"major": 2, "minor": 0}},
    {
        "sequenceNumber": 1,
        "timestamp": "2026-11-02T09:20:00Z",
        "testRunArtifact": {
            "testRunStart": {
                "name": "power",
                "version": "1.4",
                "commandLine": "power --once",
                "parameters": {},
                "dutInfo": {"dutInfoId": "dut0"},
            }
        },
    },
    {
        "sequenceNumber": 2,
        "timestamp": "2026-11-02T09:21:00Z",
        "testRunArtifact": {"testRunEnd": {"status": "COMPLETE", "result": "PASS"}},
    },
]
_CABLE_REPORT: Final = """Test Results
 Result:, PASS
"""


class Example(NamedTuple):
    """A message of a type, on the topic of its kind."""

    kind: str
    type: str
    time: str
    data: Mapping[str, Any]

    def event(self, station: str) -> dict[str, Any]:
        """The whole message of a station, or of the MES to it."""
        source = "mes/main" if self.kind in ANSWERS else f"stations/{station}"
        return {
            "specversion": "1.0",
            "id": f"{self.kind.replace('/', '-')}-{self.type.rpartition('.')[2]}-1",
            "source": source,
            "type": self.type,
            "time": self.time,
            "data": dict(self.data),
        }


def examples() -> Iterator[Example]:
    """Every example, in the order in which it happens. Each type that there is has one."""
    for kind, types in {**TYPES, **FOREIGN, **ANSWERS}.items():
        for name in types:
            at, data = DATA[name]
            yield Example(kind, name, f"2026-11-02T{at}Z", data)


def _at(time: str) -> str:
    return f"2026-11-02T{time}Z"


DATA: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "mes.part.received": (
        "08:00:00",
        {"part": "GPU-1", "serial": "GPU-000001", "maker": "Acme", "date_code": "2644", "at": _at("08:00:00")},
    ),
    "mes.station.status": ("08:30:00", {"state": "running", "since": _at("08:30:00")}),
    "mes.material.loaded": (
        "08:40:00",
        {
            "part": "SCREW-1",
            "lot": "L-7731",
            "maker": "Bossard",
            "quantity": 2000,
            "place": "F1",
            "at": _at("08:40:00"),
        },
    ),
    "mes.material.unloaded": (
        "12:30:00",
        {"part": "SCREW-1", "lot": "L-7731", "maker": "Bossard", "quantity": 40, "place": "F1", "at": _at("12:30:00")},
    ),
    "mes.step.asked": (
        "08:59:50",
        {
            "unit": UNIT,
            "step": "build",
            "parts": [{"part": "GPU-1", "serial": "GPU-000001"}],
            "after": ["unit-received-1"],
        },
    ),
    "mes.step.answered": (
        "08:59:51",
        {"asked": "ask-asked-1", "granted": True, "grant": "0193a1c2", "valid_s": 300},
    ),
    "mes.step.started": ("09:00:00", {"unit": UNIT, "step": "build", "at": _at("09:00:00"), "operator": "E-1042"}),
    "mes.part.installed": (
        "09:01:00",
        {
            "parent": {"part": "TRAY-1", "serial": UNIT},
            "position": "GPU1",
            "child": {"part": "GPU-1", "serial": "GPU-000001"},
            "at": _at("09:01:00"),
            "operator": "E-1042",
        },
    ),
    "mes.part.removed": (
        "09:04:00",
        {
            "parent": UNIT,
            "position": "GPU1",
            "child": {"part": "GPU-1", "serial": "GPU-000001"},
            "at": _at("09:04:00"),
            "reason": "bent pin",
        },
    ),
    "mes.step.completed": ("09:10:00", {"unit": UNIT, "step": "build", "at": _at("09:10:00"), "outcome": "aborted"}),
    "mes.run.reported": (
        "09:15:00",
        {
            "unit": UNIT,
            "step": "test",
            "run": RUN,
            "purpose": "production",
            "started_at": _at("09:12:00"),
            "ended_at": _at("09:15:00"),
            "outcome": "fail",
            "fixture": "FX-3",
            "program": {"name": "power", "version": "1.4"},
            "measurements": [
                {"name": "power", "value": 212.5, "unit": "W", "low": 100, "high": 200, "outcome": "fail"}
            ],
            "connections": [{"from": "J1.1", "to": "J2.1", "seen": ["J2.1"], "ohms": 0.08}],
            "defects": [{"code": "OVER_POWER", "position": "GPU1", "text": "12 W over"}],
        },
    ),
    "mes.inventory.read": (
        "09:14:00",
        {
            "unit": UNIT,
            "at": _at("09:14:00"),
            "run": RUN,
            "items": [
                {
                    "position": "GPU1",
                    "part": "GPU-1",
                    "serial": "GPU-000001",
                    "firmware": {"VBIOS": "97.10"},
                    "kind": "gpu",
                }
            ],
        },
    ),
    "mes.samples.taken": (
        "09:15:00",
        {
            "unit": UNIT,
            "step": "test",
            "run": RUN,
            "start": _at("09:12:00"),
            "period_s": 5,
            "purpose": "production",
            "channels": {"GPU1/power": [140.5, 141.0, None, 212.5]},
        },
    ),
    "mes.run.stop": (
        "09:13:00",
        {
            "unit": UNIT,
            "step": "test",
            "run": RUN,
            "reasons": [{"code": "limit_broken", "text": "power is above 200 W.", "facts": {"channel": "GPU1/power"}}],
        },
    ),
    "org.opencompute.ocptv": ("09:21:00", {"unit": UNIT, "step": "test", "run": "ft-1-4712", "lines": _OCPTV}),
    "com.google.openhtf.record": (
        "09:31:00",
        {
            "step": "test",
            "dut_id": UNIT,
            "station_id": "ft-1",
            "start_time_millis": 1793611800000,
            "end_time_millis": 1793611860000,
            "outcome": "PASS",
            "outcome_details": [],
            "metadata": {"test_name": "power", "test_version": "1.4"},
            "phases": [],
            "log_records": [],
        },
    ),
    "mes.cable.report": ("09:41:00", {"unit": UNIT, "step": "test", "run": "ft-1-4713", "text": _CABLE_REPORT}),
    "mes.unit.identified": (
        "09:50:00",
        {"unit": UNIT, "identifiers": [{"kind": "mac", "value": "02:42:ac:11:00:02"}]},
    ),
    "mes.unit.packed": ("10:00:00", {"unit": UNIT, "at": _at("10:00:00"), "into": "CRATE-9"}),
    "mes.unit.shipped": ("11:00:00", {"unit": UNIT, "at": _at("11:00:00"), "order": "SO-88", "to": "Hall 3"}),
    "mes.messages.settled": (
        "09:01:01",
        {
            "settled": [
                {"id": "assembly-installed-1", "fate": "applied"},
                {
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "fate": "rejected",
                    "reasons": [{"code": "unreadable", "text": "It is not JSON."}],
                },
            ]
        },
    ),
    "mes.messages.wanted": ("12:00:00", {"since": _at("08:00:00"), "until": _at("09:00:00")}),
}
