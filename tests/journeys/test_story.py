"""One day, told in a random order by programs that are not ours to the real processes, one of them killed meanwhile.

What REST says in the end must be what the contract makes of the messages: an independent model works that out.
"""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.journeys.comparison import compare
from tests.journeys.model.fates import digest, nature_of, readable
from tests.journeys.model.floor import Floor
from tests.journeys.plant import Plant, comes_true, program
from tests.journeys.story import Story, tell
from tests.journeys.teller import Said

SEEDS = os.environ.get("MES_TESTS_STORY_SEEDS", "1 2 3").split()
"""Which days are told; any numbers will do."""


@pytest.mark.parametrize(("seed", "shuffle"), [(1, 2), *((int(seed), 1) for seed in SEEDS)])
def test_a_day_comes_to_the_same_whatever_happens(
    database_url: str, broker_url: str, tmp_path: Path, seed: int, shuffle: int
) -> None:
    program("mosquitto_pub")
    story = tell(seed)
    with Plant(database_url, broker_url, tmp_path) as plant:
        set_up(plant, story)
        live_through(plant, story, Random(shuffle))
        compare(plant, story, model(story, story.stations | story.late_station, story.serials))


def model(story: Story, stations: dict[str, str], serials: dict[str, str]) -> Floor:
    """What the day comes to where these stations and units are known."""
    messages = [(one.station, one.payload) for one in story.said]
    return Floor(story.parts.documents, stations, serials, messages, datetime.now(UTC))


def set_up(plant: Plant, story: Story) -> None:
    """Start the processes and put the product, the line and the first orders over REST."""
    plant.mes("serve", "ingest", "feeds")
    plant.listen()
    plant.log_in()
    plant.await_rest()
    for document in story.parts.documents:
        plant.call("PUT", f"/products/{document['part']}/revisions/{document['revision']}", document)
    put_line(plant, story.stations)
    for order in story.orders:
        release(plant, order)
    plant.await_ingest(next(iter(story.stations)))


def put_line(plant: Plant, stations: dict[str, str]) -> None:
    plant.call("PUT", "/lines/L1", {"stations": [{"name": name, "kind": kind} for name, kind in stations.items()]})


def release(plant: Plant, order: dict[str, Any]) -> None:
    body = {name: value for name, value in order.items() if name != "number"}
    plant.call("PUT", f"/work-orders/{order['number']}", body)
    plant.call("POST", f"/work-orders/{order['number']}/release")


def live_through(plant: Plant, story: Story, rng: Random) -> None:
    """Publish everything in a random order, a third of it twice, and kill ingest with work in its hands."""
    said = shuffled(story, rng)
    half, later = len(said) // 2, len(said) * 3 // 4
    for one in said[:half]:
        plant.publish(one)
    plant.kill("ingest")
    for one in said[half:later]:
        plant.publish(one)
    plant.mes("ingest")
    for one in said[later:]:
        plant.publish(one)
    await_receipts(plant, said, set(model(story, story.stations, {}).fates))
    put_line(plant, story.stations | story.late_station)
    release(plant, story.late_order)


def await_receipts(plant: Plant, said: list[Said], named: set[str]) -> None:
    """Wait as a station does: what has no receipt is sent again, for a receipt may have died with ingest."""
    for _ in range(3):
        if comes_true(lambda: plant.receipts.keys() >= named, wait_s=10):
            return
        missing = named - plant.receipts.keys()
        for one in said:
            if digest(one.payload) in missing or any(id.encode() in one.payload for id in missing):
                plant.publish(one)
    assert plant.receipts.keys() >= named


def shuffled(story: Story, rng: Random) -> list[Said]:
    """The messages of the day in an order of their own; of those that tell of the same event, the first stays so."""
    numbers = list(range(len(story.said)))
    numbers += rng.sample(numbers, len(numbers) // 3)
    rng.shuffle(numbers)
    for alike in same_events(story):
        places = [place for place, number in enumerate(numbers) if number in alike]
        for place, number in zip(places, sorted(numbers[place] for place in places), strict=True):
            numbers[place] = number
    return [story.said[number] for number in numbers]


def same_events(story: Story) -> list[set[int]]:
    """The numbers of messages that share an id or tell of the same event."""
    groups: list[tuple[set[int], set[str]]] = []
    for number, one in enumerate(story.said):
        with suppress(ValueError):
            read = json.loads(one.payload)
            events = [event for event in (read if isinstance(read, list) else [read]) if readable(one.station, event)]
            told = {name for event in events for name in (event["id"], nature_of(event))}
            joined = [group for group in groups if group[1] & told]
            groups = [group for group in groups if group not in joined]
            groups.append(({number}.union(*(one[0] for one in joined)), told.union(*(one[1] for one in joined))))
    return [numbers for numbers, _ in groups if len(numbers) > 1]
