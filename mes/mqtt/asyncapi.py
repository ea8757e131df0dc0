"""The AsyncAPI 3 document: every topic, message and direction, from the types that are really read and written."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from mes.formats.messages import ANSWERS, FOREIGN, TYPES, StepAnswered, UnitRef
from mes.formats.messages.examples import Example, examples
from mes.formats.messages.values import NAME_PATTERN, NAME_RULE
from mes.mqtt import topics

STATION: Final = "ft-1"
"""The station of the examples."""
KINDS: Final = {**TYPES, **FOREIGN, **ANSWERS}
_SCHEMAS: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_NAME: Final = {"type": "string", "pattern": NAME_PATTERN, "description": NAME_RULE}
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
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "MES",
            "version": version,
            "description": "Stations and the MES over MQTT, 3.1.1 or 5, at QoS 1. Each message is one CloudEvents 1.0 "
            "object in structured mode, or a JSON array of them. `source` and `id` identify a message for ever: said "
            "twice, done once.",
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {"broker": _server()},
        "channels": {_id(kind): _channel(kind, types) for kind, types in KINDS.items()},
        "operations": {_operation_id(kind): _operation(kind) for kind in KINDS},
        "components": {
            "messages": messages,
            "schemas": _with_quantities(schemas),
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
        "messages": {one.__name__: {"$ref": f"#/components/messages/{one.__name__}"} for one in types.values()},
    }


def _operation(kind: str) -> dict[str, Any]:
    channel = f"#/channels/{_id(kind)}"
    operation: dict[str, Any] = {
        "action": "send" if kind in ANSWERS else "receive",
        "channel": {"$ref": channel},
        "summary": _SAID[kind],
        "messages": [{"$ref": f"{channel}/messages/{one.__name__}"} for one in KINDS[kind].values()],
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
            "time": {"type": "string", "format": "date-time"},
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


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is UnitRef:
        both = {"type": "object", "required": ["part", "serial"], "properties": {"part": _NAME, "serial": _NAME}}
        return {"anyOf": [_NAME, both], "description": "A serial, or part and serial where a serial is ambiguous."}
    raise NotImplementedError(kind)


def _with_quantities(schema: Any) -> Any:
    """Quantities are read as numbers, too, not only as the texts that msgspec's schema of a decimal allows."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return {"type": ["number", "string"]}
        return {name: _with_quantities(one) for name, one in schema.items()}
    return [_with_quantities(one) for one in schema] if isinstance(schema, list) else schema


def _id(kind: str) -> str:
    return kind.replace("/", "-")


def _operation_id(kind: str) -> str:
    return f"{'send' if kind in ANSWERS else 'receive'}-{_id(kind)}"
