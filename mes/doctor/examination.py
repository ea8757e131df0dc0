"""One examination: every area that is asked for, on the parts that the settings name or that are embedded."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from mes.doctor.broker import examine_broker, patient
from mes.doctor.database import examine_database
from mes.doctor.findings import AREAS, Finding
from mes.doctor.machine import examine_disk, examine_variables
from mes.doctor.stations import examine_stations
from mes.embedded.broker import Broker as EmbeddedBroker
from mes.embedded.parts import database as embedded_database
from mes.embedded.problems import PartError
from mes.mqtt.address import Broker, parse_url
from mes.settings import Settings

OF_DATABASE = frozenset(("database", "journal", "machine", "stations"))
OF_BROKER = frozenset(("broker", "stations"))


async def examine(
    using: Settings, unknown: Mapping[str, str | None], logins: Sequence[Broker], areas: Collection[str] = AREAS
) -> list[Finding]:
    """What is found in these areas, in their order. `logins` are stations' addresses at the broker, to be tried.

    Parts that are embedded are used where they run, and else started for the while.
    """
    found = list(examine_variables(unknown))
    if OF_DATABASE & set(areas):
        found += await _database(using)
    if OF_BROKER & set(areas):
        found += await _broker(using, logins, areas)
    if "machine" in areas:
        found += await asyncio.to_thread(lambda: list(examine_disk({"the data folder": using.data_dir})))
    return sorted((one for one in found if one.area in areas), key=lambda one: AREAS.index(one.area))


async def _database(using: Settings) -> list[Finding]:
    try:
        async with embedded_database(using) as url:
            return await examine_database(url, using.site)
    except PartError as error:
        return [Finding("database", "embedded", "error", str(error), "Set MES_DATABASE_URL, or mend what it says.")]


async def _broker(using: Settings, logins: Sequence[Broker], areas: Collection[str]) -> list[Finding]:
    if using.mqtt_url:
        return await _tried(using.mqtt_url, using, logins, areas)
    largest = using.message_max_bytes
    broker = EmbeddedBroker(using.data_dir, using.mqtt_port, exact=False, message_max_bytes=largest)
    try:
        async with broker.running() as url:
            return await _tried(url, using, logins, areas)
    except PartError as error:
        return [Finding("broker", "embedded", "error", str(error), "Set MES_MQTT_URL, or mend what it says.")]


async def _tried(url: str, using: Settings, logins: Sequence[Broker], areas: Collection[str]) -> list[Finding]:
    try:
        tried = patient(parse_url(url), using.message_max_bytes)
    except ValueError as error:
        return [Finding("broker", "reachable", "error", f"MES_MQTT_URL can't be read: {error}.", "Correct it.")]

    def try_out() -> list[Finding]:
        found = list(examine_broker(tried)) if "broker" in areas else []
        if "stations" in areas and all(one.check != "reachable" or one.level == "fine" for one in found):
            found += examine_stations(tried, logins)
        return found

    return await asyncio.to_thread(try_out)
