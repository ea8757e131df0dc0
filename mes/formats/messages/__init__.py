"""The wire contract: every message between stations and the MES, over MQTT or HTTP.

`values` says what a single value may be, `facts` and `answers` what each type of message holds, `foreign` what other
people's testers say, `cloudevents` how it is wrapped, read and written, `mending` why something can't be read. No
topic, no connection: see `mes.mqtt`.
"""

from mes.formats.messages.answers import (
    Fate,
    MessagesSettled,
    MessagesWanted,
    RunStop,
    SettledMessage,
    StepAnswered,
    WireReason,
    wire_reasons,
)
from mes.formats.messages.cloudevents import (
    ANSWERS,
    MESSAGE_MAX_BYTES,
    TYPES,
    Arrived,
    Message,
    Unreadable,
    decode,
    decode_answer,
    encode_event,
    encode_settled,
)
from mes.formats.messages.facts import (
    Child,
    Defect,
    Fact,
    Identifier,
    InventoryItem,
    InventoryRead,
    MaterialLoaded,
    MaterialUnloaded,
    PartInstalled,
    PartReceived,
    PartRemoved,
    Program,
    ReportedConnection,
    ReportedMeasurement,
    RunReported,
    StationStatus,
    StepAsked,
    StepCompleted,
    StepStarted,
    UnitIdentified,
    UnitPacked,
    UnitShipped,
)
from mes.formats.messages.foreign import FOREIGN, ForeignRunReported, OcptvLines, RunOfLines, recorded_run
from mes.formats.messages.mending import is_unicode
from mes.formats.messages.samples import SamplesTaken, sample_times
from mes.formats.messages.values import UnitRef, Wrong
from mes.formats.ocptv.lines import TEXT_MAX as LINE_MAX
from mes.formats.ocptv.lines import stand_in

__all__ = [
    "ANSWERS",
    "FOREIGN",
    "LINE_MAX",
    "MESSAGE_MAX_BYTES",
    "TYPES",
    "Arrived",
    "Child",
    "Defect",
    "Fact",
    "Fate",
    "ForeignRunReported",
    "Identifier",
    "InventoryItem",
    "InventoryRead",
    "MaterialLoaded",
    "MaterialUnloaded",
    "Message",
    "MessagesSettled",
    "MessagesWanted",
    "OcptvLines",
    "PartInstalled",
    "PartReceived",
    "PartRemoved",
    "Program",
    "ReportedConnection",
    "ReportedMeasurement",
    "RunOfLines",
    "RunReported",
    "RunStop",
    "SamplesTaken",
    "SettledMessage",
    "StationStatus",
    "StepAnswered",
    "StepAsked",
    "StepCompleted",
    "StepStarted",
    "UnitIdentified",
    "UnitPacked",
    "UnitRef",
    "UnitShipped",
    "Unreadable",
    "WireReason",
    "Wrong",
    "decode",
    "decode_answer",
    "encode_event",
    "encode_settled",
    "is_unicode",
    "recorded_run",
    "sample_times",
    "stand_in",
    "wire_reasons",
]
