"""The compose file: valid by its published schema, and safe where a first user would not look."""

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from typer.testing import CliRunner

from mes.__main__ import app
from mes.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "mes"}


def test_it_is_valid() -> None:
    schemas = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(FILE)


def test_nothing_starts_without_passwords_and_none_is_given() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert wanted == {"POSTGRES_PASSWORD", "MES_BROKER_PASSWORD"}
    assert not re.search(r"\$\{\w*PASSWORD(:-|-|\})", TEXT)
    example = (DEPLOY / ".env.example").read_text()
    for name in wanted:
        assert re.search(rf"(?m)^{name}=$", example)
    others = set(re.findall(r"\$\{(\w+):-", TEXT))
    assert all(re.search(rf"(?m)^# {name}=", example) for name in others)


def test_only_rest_and_the_stations_door_are_published_and_only_here() -> None:
    ports = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert ports.keys() == {"serve", "broker"}
    assert all(port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:") for told in ports.values() for port in told)
    assert ports["broker"][0].endswith(":1884"), "the door where a station's name takes the place of its client id"
    assert FILE["networks"]["inside"]["internal"] is True


def test_what_runs_is_watched_comes_back_and_leaves_bounded_logs() -> None:
    once = {"migrate", "accounts", "setup"}
    for name, one in SERVICES.items():
        assert one["logging"]["options"].keys() == {"max-size", "max-file"}, name
        if name not in once:
            assert one["restart"] == "unless-stopped", name
    # The image itself says how `serve` is watched; the collector's image has no program to ask with.
    assert SERVICES.keys() - {name for name, one in SERVICES.items() if "healthcheck" in one} - once == {
        "serve",
        "collector",
    }


def test_ours_write_nowhere_and_have_no_powers() -> None:
    assert OURS.keys() == {"migrate", "accounts", "ingest", "answer", "feeds", "serve", "setup"}
    for name, one in OURS.items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["tmpfs"] == ["/tmp"], name


def test_each_waits_for_what_it_needs() -> None:
    for name in ("ingest", "answer", "feeds", "serve"):
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "database": {"condition": "service_healthy"},
            "broker": {"condition": "service_healthy"},
        }
    assert SERVICES["broker"]["depends_on"]["accounts"]["condition"] == "service_completed_successfully"


def test_its_commands_and_settings_exist() -> None:
    known = {f"MES_{name.upper()}" for name in Settings.model_fields}
    for name, one in OURS.items():
        assert {key for key in one["environment"] if key.startswith("MES_")} <= known
        words = [word for word in one["command"] if not word.startswith(("-", "/"))]
        done = CliRunner().invoke(app, [*(["broker", "passwords"] if "broker" in words else words[:1]), "--help"])
        assert done.exit_code == 0, name


def test_every_mount_is_there_and_every_volume_is_named() -> None:
    for one in SERVICES.values():
        for source, _, _ in (str(mount).partition(":") for mount in one.get("volumes", ())):
            assert (DEPLOY / source).exists() if source.startswith(".") else source in FILE["volumes"]


def test_the_collector_listens_where_spans_are_sent() -> None:
    told = yaml.safe_load((DEPLOY / "collector.yaml").read_text())
    endpoint = told["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    sent = {one["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] for one in OURS.values()}
    assert sent == {f"http://collector:{endpoint.rpartition(':')[2]}"}
    for pipeline in told["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= told[kind].keys()
    assert set(told["service"]["extensions"]) <= told["extensions"].keys()
