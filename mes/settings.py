"""Every setting, read from `MES_*` environment variables. The only reader of the environment."""

import difflib
import os
from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of one process. `mes settings` lists them with these descriptions."""

    model_config = SettingsConfigDict(env_prefix="MES_", frozen=True)

    data_dir: Path = Field(Path(".mes"), description="Folder of the embedded database, broker and secrets.")
    database_url: str | None = Field(
        None, description="postgresql://user:password@host:port/name; unset: the embedded database in the data folder."
    )
    mqtt_url: str | None = Field(
        None, description="mqtt[s]://user:password@host:port; unset: the embedded broker in the data folder."
    )
    site: str = Field("main", description="Name of this site; part of every journal entry's source.")
    host: str = Field("127.0.0.1", description="Address that REST and pages listen on.")
    port: int = Field(8460, ge=1, le=65535, description="Port of REST and pages.")
    mqtt_port: int = Field(1883, ge=1, le=65535, description="Port of the embedded broker.")
    message_max_bytes: int = Field(1024 * 1024, description="Largest MQTT message that is read, in bytes.")
    body_max_bytes: int = Field(8 * 1024 * 1024, description="Largest REST request body, in bytes.")
    batch_max_messages: int = Field(1000, description="Most messages that one ingest transaction takes.")
    batch_linger_ms: float = Field(5.0, description="How long ingest waits for a batch to fill, in milliseconds.")
    queue_max_messages: int = Field(5000, description="Most messages ingest holds in memory before it stops reading.")
    ingest_workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes that settle what ingest reads, each its share of the units; 0: ingest does it itself.",
    )
    pending_retry_s: float = Field(2.0, description="How often pending messages are looked at again, in seconds.")
    samples_keep_days: int | None = Field(
        None, ge=1, description="Telemetry is dropped, by whole months, so many days after it came; unset: never."
    )
    login_idle_hours: float = Field(12.0, description="A login ends when it was not used for so many hours.")
    history: bool = Field(
        False,
        description="Whether it is being loaded with history: what people decide, and what stations ask, "
        "may then be dated in the past (MES-Happened-At in REST, an ask's own time).",
    )
    run_offline_s: float = Field(
        900, description="How long the end of a run is waited for while its station is offline, in seconds."
    )
    run_silent_s: float = Field(
        86_400, description="How long the end of a run is waited for when nothing is told of it, in seconds."
    )
    metrics_port: int | None = Field(
        None,
        description="Port where ingest, answer or feeds tell their numbers to Prometheus; unset: nowhere. "
        "`mes up` gives ingest this one, and answer and feeds the next two.",
    )
    log_level: str = Field("INFO", description="Least severe level that is logged.")


class OpenTelemetry(BaseSettings):
    """What decides whether spans are sent. All else in `OTEL_*` is read by the exporter itself, as it is everywhere."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", frozen=True)

    exporter_otlp_endpoint: str = Field("", description="Receiver of spans over OTLP/HTTP; none: no spans are sent.")
    exporter_otlp_traces_endpoint: str = Field("", description="The same with its whole path; goes before it.")
    exporter_otlp_protocol: str = Field("", description="http/protobuf is the only one that is spoken.")
    exporter_otlp_traces_protocol: str = Field("", description="The same for spans; goes before it.")
    traces_exporter: str = Field("", description="none: no spans are sent.")
    sdk_disabled: str = Field("", description="true: no spans are sent.")

    @property
    def wanted(self) -> bool:
        """Whether spans are to be sent."""
        is_off = self.sdk_disabled.strip().lower() == "true" or self.traces_exporter.strip().lower() == "none"
        return bool(self.exporter_otlp_traces_endpoint or self.exporter_otlp_endpoint) and not is_off

    @property
    def problem(self) -> str | None:
        """Why spans that are wanted can't be sent."""
        protocol = self.exporter_otlp_traces_protocol or self.exporter_otlp_protocol
        if protocol not in ("", "http/protobuf"):
            return f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}; spans are sent by http/protobuf only."
        return None


@cache
def settings() -> Settings:
    """This process's settings, read once."""
    return Settings()


@cache
def open_telemetry() -> OpenTelemetry:
    """Where this process sends spans, read once."""
    return OpenTelemetry()


def unknown_variables() -> dict[str, str | None]:
    """Variables of the environment that look like a setting and are none, each with the one that was perhaps meant."""
    prefix = "MES_"
    known = {prefix + name.upper() for name in Settings.model_fields}
    # Names count in any case, as for the settings themselves.
    strays = sorted(name for name in os.environ if name.upper().startswith(prefix) and name.upper() not in known)
    near = {name: difflib.get_close_matches(name.upper(), known, 1, 0.8) for name in strays}
    return {name: found[0] if found else None for name, found in near.items()}
