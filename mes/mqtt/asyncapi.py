"""The AsyncAPI 3 document: every topic, message and direction, from the types that are really read and written."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from mes.formats.messages import ANSWERS, FOREIGN, MESSAGE_MAX_BYTES, TYPES, StepAnswered, UnitRef
from mes.formats.messages.cloudevents import BATCH_MAX_MESSAGES, DEPTH_MAX
from mes.formats.messages.examples import Example, examples
from mes.formats.messages.values import NAME_PATTERN, NAME_RULE, QUANTITY_MAX, SERIAL_RULE, TIME_RULE, YEARS
from mes.formats.openhtf import OUTCOMES, PHASES_MAX
from mes.mqtt import topics

STATION: Final = "ft-1"
"""The station of the examples."""
KINDS: Final = {**TYPES, **FOREIGN, **ANSWERS}
_ABOUT: Final = (
    "Stations and the MES over MQTT, 3.1.1 or 5, at QoS 1. Each message is one CloudEvents 1.0 object in structured "
    "mode, or a JSON array of them (a batch). `source` and `id` identify a message for ever: said twice, done once.\n\n"
    f"A message has at most {MESSAGE_MAX_BYTES:,} bytes where the MES is not set otherwise, a batch at most "
    f"{BATCH_MAX_MESSAGES:,} messages. It is JSON in UTF-8 without a byte order mark, nested at most {DEPTH_MAX} "
    "levels deep. A number fits a double. No text holds NUL or half of a surrogate pair. Times have a zone and are "
    f"of the years {YEARS.start}–{YEARS.stop - 1}. What unprogrammed hardware reports (N/A, 0000, "
    "To be filled by O.E.M.) is no serial and no identifier. Fields that the MES does not know are ignored."
)
_SCHEMAS: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_NAME: Final = {"type": "string", "pattern": NAME_PATTERN, "description": NAME_RULE}
_SERIAL: Final = {**_NAME, "description": SERIAL_RULE}
_TIME: Final = {"type": "string", "format": "date-time", "description": TIME_RULE}
_NULL: Final = {"type": "null"}
_QUANTITY: Final = {
    "type": ["number", "string"],
    "minimum": 0.000001,
    "maximum": int(QUANTITY_MAX),
    "pattern": r"^(?=[0.]*[1-9])(10{12}|[0-9]{1,12}(\.[0-9]{1,6})?)(?![\s\S])",
    "description": "More than 0, at most 10^12, with at most 6 decimals. As a text it is exact whatever writes it.",
}
_SAID: Final = {
    "step": "Steps that begin, and steps that measure nothing and end.",
    "assembly": "Parts put into positions and taken out.",
    "run": "Test runs with their values.",
    "run/ocptv": "Lines of OCP Test & Validation output, sent while the test runs.",
    "run/openhtf": "OpenHTF test records.",
    "run/cable-report": "Cable testers' reports.",
    "samples": "Telemetry.",
    "inventory": "What electronics say is in a unit.",
    "unit": "Parts received, units identified, packed and shipped.",
    "material": "Lots mounted at a station.",
    "status": "What a station is doing; retained, and its last will.",
    "ask": "May this step begin?",
    "answers": "What the MES answers, and that a run should stop.",
    "receipts": "What became of a station's messages, after the commit.",
    "wanted": "What the MES wants to be sent again.",
}


def _given(field: str, kind: Mapping[str, Any] | None = None, **others: Mapping[str, Any]) -> dict[str, Any]:
    """That a field is there and not null, or is of a kind; and what others are."""
    return {"required": [field], "properties": {field: kind or {"not": _NULL}, **others}}


_MILLIS: Final = {
    "type": "integer",
    "minimum": 946_684_800_000,
    "maximum": 7_258_118_399_999,
    "description": "Milliseconds since 1970, in the years 2000–2199.",
}
_OBJECTS: Final = {"type": "array", "items": {"type": "object"}}
_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "PartReceived": {"oneOf": [_given("serial"), _given("lot")]},
    "Child": {"oneOf": [_given("serial"), _given("lot"), _given("quantity", serial=_NULL, lot=_NULL)]},
    "SamplesTaken": {"oneOf": [_given("period_s"), _given("offsets_s")]},
    "InventoryRead": {
        "oneOf": [
            _given("items", {"type": "array", "minItems": 1}),
            _given("redfish", {"type": "object", "minProperties": 1}),
        ]
    },
    "OpenHtfRecord": {
        "description": "An OpenHTF test record as its framework writes it, with `step`, and `unit` where its `dut_id` "
        f"is not the unit's serial. `end_time_millis` is not before `start_time_millis`; a `dut_id` is {SERIAL_RULE}.",
        "required": ["step", "start_time_millis", "end_time_millis", "outcome"],
        "properties": {
            "start_time_millis": _MILLIS,
            "end_time_millis": _MILLIS,
            "outcome": {"enum": list(OUTCOMES)},
            "outcome_details": _OBJECTS,
            "phases": {**_OBJECTS, "maxItems": PHASES_MAX},
        },
        "anyOf": [_given("unit"), _given("dut_id", _SERIAL)],
    },
    "MessagesWanted": {"properties": {"until": {"anyOf": [_TIME, _NULL], "default": None}}},
}
"""What the types of data can't say of themselves: which of their fields go together, and what is read elsewhere."""


@cache
def asyncapi(version: str) -> Mapping[str, Any]:
    """The document of this version of the API. Directions are the MES's: it receives facts and sends answers."""
    shown = {one.type: one for one in examples()}
    structs = {name: struct for types in KINDS.values() for name, struct in types.items()}
    told, schemas = msgspec.json.schema_components(structs.values(), schema_hook=_schema_of, ref_template=_SCHEMAS)
    messages = {
        one.__name__: _message(name, schema, shown[name])
        for (name, one), schema in zip(structs.items(), told, strict=True)
    }
    batches = {_batch_id(kind): _batch(kind, types, shown) for kind, types in KINDS.items() if kind not in ANSWERS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "MES",
            "version": version,
            "description": _ABOUT,
            "x-message-max-bytes": MESSAGE_MAX_BYTES,
            "x-batch-max-messages": BATCH_MAX_MESSAGES,
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {"broker": _server()},
        "channels": {_id(kind): _channel(kind, types) for kind, types in KINDS.items()},
        "operations": {_operation_id(kind): _operation(kind) for kind in KINDS},
        "components": {
            "messages": messages | batches,
            "schemas": _with_rules(_with_quantities(schemas)),
            "securitySchemes": {
                "password": {
                    "type": "userPassword",
                    "description": "The station's name and the secret that `mes stations add` printed.",
                }
            },
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": "{host}",
        "protocol": "mqtt",
        "description": "The floor's broker. A station may say and hear what is under its own name only.",
        "variables": {"host": {"default": "localhost:1883", "description": "Its host and port."}},
        "security": [{"$ref": "#/components/securitySchemes/password"}],
    }


def _channel(kind: str, types: Mapping[str, type]) -> dict[str, Any]:
    return {
        "address": f"{topics.ROOT}/{{station}}/{kind}",
        "description": _SAID[kind],
        "parameters": {"station": {"description": f"The station's name: {NAME_RULE}.", "examples": [STATION]}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(kind, types)},
    }


def _operation(kind: str) -> dict[str, Any]:
    channel = f"#/channels/{_id(kind)}"
    operation: dict[str, Any] = {
        "action": "send" if kind in ANSWERS else "receive",
        "channel": {"$ref": channel},
        "summary": _SAID[kind],
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _names(kind, KINDS[kind])],
        "bindings": {"mqtt": {"qos": 1, "retain": kind == topics.STATUS, "bindingVersion": "0.2.0"}},
    }
    if kind == topics.ASK:
        answers = f"#/channels/{_id(topics.ANSWERS)}"
        operation["reply"] = {
            "channel": {"$ref": answers},
            "messages": [{"$ref": f"{answers}/messages/{StepAnswered.__name__}"}],
        }
    return operation


def _message(name: str, data: Mapping[str, Any], shown: Example) -> dict[str, Any]:
    envelope = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _TEXT,
            "source": {**_TEXT, "description": "stations/{station}; from the MES mes/{site}."},
            "type": {"const": name},
            "time": _TIME,
            "traceparent": {"type": "string", "description": "W3C trace context, if the sender traces."},
            "data": data,
        },
    }
    return {
        "name": name,
        "title": name,
        "contentType": "application/cloudevents+json",
        "payload": envelope,
        "examples": [{"name": "example", "payload": shown.event(STATION)}],
    }


def _batch(kind: str, types: Mapping[str, type], shown: Mapping[str, Example]) -> dict[str, Any]:
    """Several messages of one topic in an array, each of which stands alone."""
    payloads = [{"$ref": f"#/components/messages/{one.__name__}/payload"} for one in types.values()]
    return {
        "name": _batch_id(kind),
        "title": f"Several messages on {kind} at once, of which each stands alone",
        "contentType": "application/cloudevents-batch+json",
        "payload": {"type": "array", "maxItems": BATCH_MAX_MESSAGES, "items": {"oneOf": payloads}},
        "examples": [{"name": "example", "payload": [shown[name].event(STATION) for name in types]}],
    }


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is UnitRef:
        both = {"type": "object", "required": ["part", "serial"], "properties": {"part": _NAME, "serial": _SERIAL}}
        return {"anyOf": [_SERIAL, both], "description": "A serial, or part and serial where a serial is ambiguous."}
    raise NotImplementedError(kind)


def _with_quantities(schema: Any) -> Any:
    """Quantities are read as numbers, too, not only as the texts that msgspec's schema of a decimal allows."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return _QUANTITY
        return {name: _with_quantities(one) for name, one in schema.items()}
    return [_with_quantities(one) for one in schema] if isinstance(schema, list) else schema


def _with_rules(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas with what their types can't say."""
    return {name: _with_rule(schema, _RULES.get(name, {})) for name, schema in schemas.items()}


def _with_rule(schema: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, **rule, "properties": {**schema["properties"], **rule.get("properties", {})}}


def _names(kind: str, types: Mapping[str, type]) -> list[str]:
    """The messages on a topic. Only stations send batches."""
    return [*(one.__name__ for one in types.values()), *(() if kind in ANSWERS else (_batch_id(kind),))]


def _batch_id(kind: str) -> str:
    return "".join(word.capitalize() for word in _id(kind).split("-")) + "Batch"


def _id(kind: str) -> str:
    return kind.replace("/", "-")


def _operation_id(kind: str) -> str:
    return f"{'send' if kind in ANSWERS else 'receive'}-{_id(kind)}"
