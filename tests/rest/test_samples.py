"""Telemetry over REST: said by a station, read as points that a chart can draw."""

from tests.rest.floor import Floor

SAMPLES = {
    "specversion": "1.0",
    "id": "s1",
    "source": "stations/st-01",
    "type": "mes.samples.taken",
    "time": "2026-11-22T10:05:00Z",
    "data": {
        "unit": "CB-1-000001",
        "step": "test",
        "run": "r1",
        "start": "2026-11-22T10:00:00Z",
        "period_s": 5,
        "channels": {"temperature": [20, 21, None, 95, 24, 25], "current": [1, 1, 1, 1, 1, 1]},
    },
}


async def test_samples_are_read_by_channel_run_and_time(floor: Floor) -> None:
    await floor.released()
    told = await floor.done("POST", "/stations/st-01/messages", SAMPLES)
    assert told["settled"][0]["fate"] == "applied"
    page = await floor.done("GET", "/units/CB-1-000001/samples?points=2")
    current, temperature = page["items"]
    assert (current["channel"], temperature["channel"], page["next_cursor"]) == ("current", "temperature", None)
    assert [(one["low"], one["high"], one["samples"]) for one in temperature["points"]] == [(20, 21, 2), (24, 95, 3)]
    asked = {"channel": "temperature", "run": "r1", "from": "2026-11-22T10:00:15Z", "to": "2026-11-22T10:00:20Z"}
    (part,) = (await floor.done("GET", "/units/CB-1-000001/samples", params=asked))["items"]
    assert [(one["at"], one["mean"]) for one in part["points"]] == [
        ("2026-11-22T10:00:15Z", 95),
        ("2026-11-22T10:00:20Z", 24),
    ]


async def test_what_can_not_be_asked_of_samples(floor: Floor) -> None:
    await floor.released()
    for query in ("points=2001", "points=-1", "from=yesterday", "from=2026-11-22T10:00:00Z&to=2026-11-21T10:00:00Z"):
        assert (await floor.refused(422, "GET", f"/units/CB-1-000001/samples?{query}"))["code"] == "invalid", query
