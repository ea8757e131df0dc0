"""One examination: every area that is asked for, on the parts that the settings name or that are embedded."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from mes.doctor.broker import examine_broker, patient, reach
from mes.doctor.database import examine_database
from mes.doctor.findings import AREAS, Finding, guarded
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
        found += _held_up("journal", areas, await guarded("database", "examined", _database(using)))
    if OF_BROKER & set(areas):
        found += _held_up("stations", areas, await guarded("broker", "examined", _broker(using, logins, areas)))
    if "machine" in areas:
        found += await guarded("machine", "disk", asyncio.to_thread(_disk, using))
    return sorted((one for one in found if one.area in areas), key=lambda one: AREAS.index(one.area))


def _disk(using: Settings) -> list[Finding]:
    return list(examine_disk({"the data folder": using.data_dir}))


def _held_up(area: str, areas: Collection[str], found: list[Finding]) -> list[Finding]:
    """What was found. Where all of an area was left out because of an error of another, that error counts as its own.

    Else somebody who asks for that area alone would be told that nothing is wrong.
    """
    if area not in areas or any(one.area == area for one in found):
        return found
    return [*found, *(one._replace(area=area) for one in found if one.level == "error" and one.area not in areas)]


async def _database(using: Settings) -> list[Finding]:
    try:
        async with embedded_database(using) as url:
            return await examine_database(url, using.site)
    except PartError as error:
        return [Finding("database", "embedded", "error", str(error), "Set MES_DATABASE_URL, or mend what it says.")]


async def _broker(using: Settings, logins: Sequence[Broker], areas: Collection[str]) -> list[Finding]:
    if using.mqtt_url:
        return await _tried(using.mqtt_url, None, using, logins, areas)
    largest = using.message_max_bytes
    broker = EmbeddedBroker(using.data_dir, using.mqtt_port, exact=False, message_max_bytes=largest)
    try:
        async with broker.running() as url:
            return await _tried(url, broker.kind, using, logins, areas)
    except PartError as error:
        return [Finding("broker", "embedded", "error", str(error), "Set MES_MQTT_URL, or mend what it says.")]


async def _tried(
    url: str, embedded: str | None, using: Settings, logins: Sequence[Broker], areas: Collection[str]
) -> list[Finding]:
    try:
        tried = patient(parse_url(url), using.message_max_bytes, using.site, embedded)
    except ValueError as error:
        return [Finding("broker", "reachable", "error", f"MES_MQTT_URL can't be read: {error}.", "Correct it.")]

    def try_out() -> list[Finding]:
        found = [reach(tried)]
        if found[0].level == "fine" and "broker" in areas:
            found += examine_broker(tried)
        if found[0].level == "fine" and "stations" in areas:
            found += examine_stations(tried, logins)
        return found

    return await asyncio.to_thread(try_out)
