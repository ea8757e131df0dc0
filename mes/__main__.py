"""The `mes` command."""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from mes import ingesting, services
from mes.console.examining import doctor
from mes.console.running import run_until_done, settings_with, with_parts, wrong_settings
from mes.console.setting_up import GROUPS
from mes.console.station import station
from mes.console.tracing import traces
from mes.db.migrate import upgrade
from mes.embedded.parts import database as embedded_database
from mes.local import Local, running
from mes.settings import open_telemetry, settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)
app.add_typer(traces, name="traces")
app.add_typer(station, name="station")
app.command()(doctor)

DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded database and broker.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of REST and pages.")]
ReadyFile = Annotated[Path | None, typer.Option(help="File to write when it is ready.", hidden=True)]
MetricsPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port where its numbers are told to Prometheus.")
]
MqttPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the embedded broker.")]


@app.command()
def up(data_dir: DataDir = None, port: Port = None, mqtt_port: MqttPort = None) -> None:
    """Run everything on this machine, for real use: database, broker and all services, until Ctrl-C."""
    using = settings_with(data_dir=data_dir, port=port, mqtt_port=mqtt_port)
    services.begin_log(using)

    async def run() -> None:
        async with running(using) as (local, supervisor):
            typer.echo(_where(local))
            await supervisor.watch()

    run_until_done(run())


def _where(local: Local) -> str:
    return (
        f"The MES runs.  Dashboard: {local.api_url}/   REST: {local.api_url}/api/v1   MQTT: {local.parts.mqtt_url}\n"
        "Who may log in to the dashboard: mes users add NAME --role supervisor\n"
        f"A token with all rights is in {local.token_file}.  Ctrl-C stops everything."
    )


@app.command()
def serve() -> None:
    """Run REST and pages."""
    from mes.serving import serve as serving  # the web framework is loaded only where it serves

    services.begin_log(settings())
    run_until_done(with_parts(settings(), serving))


@app.command()
def ingest(
    slot: Annotated[int | None, typer.Option(help="Share the work with other slots; without it one does all.")] = None,
    ready_file: ReadyFile = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Run ingest: facts from the broker into the record."""
    services.begin_log(settings())
    told = settings_with(metrics_port=metrics_port)
    run_until_done(with_parts(told, lambda using: ingesting.ingest(using, slot, ready_file)))


@app.command()
def answer(ready_file: ReadyFile = None, metrics_port: MetricsPort = None) -> None:
    """Run answers: may this step begin?"""
    services.begin_log(settings())
    told = settings_with(metrics_port=metrics_port)
    run_until_done(with_parts(told, lambda using: services.answer(using, ready_file)))


@app.command()
def feeds(metrics_port: MetricsPort = None) -> None:
    """Run the feeds: what reads the journal."""
    services.begin_log(settings())
    run_until_done(with_parts(settings_with(metrics_port=metrics_port), services.feeds))


@app.command()
def migrate() -> None:
    """Bring the database's schema to this version."""

    async def run() -> None:
        async with embedded_database(settings()) as url:
            await asyncio.to_thread(upgrade, url)

    run_until_done(run())
    typer.echo("The database is up to date.")


@app.command("settings")
def list_settings() -> None:
    """List every setting: its variable, value and meaning."""
    for prefix, using in (("MES", settings()), ("OTEL", open_telemetry())):
        for name, field in type(using).model_fields.items():
            typer.echo(f"{prefix}_{name.upper()}={getattr(using, name) if getattr(using, name) is not None else ''}")
            typer.echo(f"    {field.description}")


@app.command()
def demo(
    racks: Annotated[int, typer.Option(min=1, max=50, help="Racks to build, with all that is in them.")] = 2,
    speed: Annotated[float, typer.Option(min=1, max=1000, help="How fast live production begins to go.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=999_999, help="The same seed gives the same floor.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="End when the racks are done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON summary as the last line.")] = False,
    data_dir: DataDir = None,
    port: Port = None,
    mqtt_port: MqttPort = None,
) -> None:
    """Run a factory on this machine: simulated stations build racks and all that is in them."""
    from mes.demo import Wish, show  # the demo's parts are loaded only when it runs

    using = settings_with(data_dir=data_dir, port=port, mqtt_port=mqtt_port, history=True)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")

    def told(summary: dict[str, Any]) -> None:
        if as_json:
            typer.echo(json.dumps(summary))

    async def run() -> None:
        async with running(using, any_port=port is None, any_mqtt_port=mqtt_port is None) as (local, supervisor):
            watching = asyncio.create_task(supervisor.watch())
            try:
                done = await show(local, Wish(racks, speed, seed, once, using.data_dir, using.site), told)
            finally:
                watching.cancel()
        if not done:
            raise typer.Exit(1)

    run_until_done(run())


def main() -> None:
    """Entry of the `mes` program."""
    # Reading our own pipe's end should not look like a crash.
    try:
        app()
    except ValidationError as error:
        sys.exit(wrong_settings(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
