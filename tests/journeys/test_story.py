"""One day, told in a random order by programs that are not ours to the real processes, one of them killed meanwhile.

What REST says in the end must be what the contract makes of the messages: an independent model works that out.
"""

from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.journeys.comparison import compare
from tests.journeys.model.floor import Floor
from tests.journeys.plant import Plant, program, until
from tests.journeys.story import Story, tell
from tests.journeys.teller import Said


@pytest.mark.parametrize(("seed", "shuffle"), [(1, 1), (1, 2), (2, 1), (3, 1)])
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
    named = model(story, story.stations, {}).fates.keys()
    until(lambda: plant.receipts.keys() >= named, "every message has a receipt")
    put_line(plant, story.stations | story.late_station)
    release(plant, story.late_order)


def shuffled(story: Story, rng: Random) -> list[Said]:
    """The messages of the day in an order of their own; where one must come before another, it does."""
    numbers = list(range(len(story.said)))
    numbers += rng.sample(numbers, len(numbers) // 3)
    rng.shuffle(numbers)
    for first, second in story.in_order:
        places = [place for place, number in enumerate(numbers) if number in (first, second)]
        for place, number in zip(places, sorted(numbers[place] for place in places), strict=True):
            numbers[place] = number
    return [story.said[number] for number in numbers]
