"""What arrives at a receiver is what the record says, once, whole, and the same when it is sent again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from mes.db import sequencer
from mes.feeds.following import follow
from mes.feeds.traces import NAME, TraceFeed, export, export_unit
from mes.queries.feeds import FeedProgress, feeds_progress
from mes.queries.health import vitals
from mes.queries.journal import journal_slice
from mes.tracing import UnitSpans
from tests.feeds.floor import STATION_SPAN, STATION_TRACE, build_and_fail, repair_and_ship, trace, unit_id
from tests.feeds.receiver import Receiver
from tests.stage import Stage


async def send_all(stage: Stage, spans: UnitSpans) -> int:
    await sequencer.number(stage.database)
    count, _ = await export(stage.database, spans)
    return count


async def test_what_is_sent_is_what_the_record_says(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    await build_and_fail(stage)
    await repair_and_ship(stage)
    count = await send_all(stage, unit_spans)
    assert count == len(receiver.spans) == len(receiver.ids)
    said = 0
    for serial in ("T1", "T1-A", "T1-B", "T1-C"):
        view = await trace(stage, serial)
        sent = [span for span in receiver.spans if span.trace_id == view.trace_id]
        told = {(one.span_id, one.parent_id or "", one.name) for one in view.spans}
        assert told == {(one.span_id, one.parent_id, one.name) for one in sent}
        said += len(sent)
    assert said == count, "nothing belongs to a trace that is no unit's"


async def test_every_parent_arrived_before(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    await build_and_fail(stage)
    await repair_and_ship(stage)
    await send_all(stage, unit_spans)
    seen: set[tuple[str, str]] = set()
    roots = Counter[str]()
    for span in receiver.spans:
        if span.parent_id:
            assert (span.trace_id, span.parent_id) in seen, span
        else:
            roots[span.trace_id] += 1
        seen.add((span.trace_id, span.span_id))
    assert set(roots.values()) == {1}
    assert roots.keys() == {span.trace_id for span in receiver.spans}


async def test_a_trace_tells_the_whole_life(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    await build_and_fail(stage)
    await repair_and_ship(stage)
    await send_all(stage, unit_spans)
    of_unit = receiver.of(await unit_id(stage, "T1"))
    names = Counter(span.name for span in of_unit)
    assert names == {
        "release": 1,
        "install GPU1": 2,
        "install GPU2": 1,
        "install SCREWS": 1,
        "step build": 1,
        "step test": 2,
        "run test": 2,
        "diagnose test": 1,
        "repair test": 1,
        "remove GPU1": 1,
        "nonconformance test": 1,
        "complete": 1,
        "ship": 1,
    }
    failed, passed = (span for span in of_unit if span.name == "run test")
    assert (failed.status, passed.status) == (2, 1)
    assert failed.attributes["mes.claim"] == "pass"
    assert failed.attributes["mes.verdict"] == "fail"
    assert failed.attributes["mes.station"] == "ft-1"
    assert failed.attributes["mes.values"] == 1
    assert failed.attributes["mes.failed"] == ["power"]
    assert (failed.ended_ns - failed.started_ns) == 60 * 10**9
    assert failed.resource["service.name"] == "mes"
    assert failed.resource["mes.site"] == "main"
    (flaw,) = (span for span in of_unit if span.name == "nonconformance test")
    assert {(relation, span) for _, span, relation in flaw.links} == {
        ("opened_by", failed.span_id),
        ("settled_by", passed.span_id),
    }


async def test_a_part_and_its_parent_link_to_each_other(
    stage: Stage, receiver: Receiver, unit_spans: UnitSpans
) -> None:
    await build_and_fail(stage)
    await repair_and_ship(stage)
    await send_all(stage, unit_spans)
    spans = {(span.trace_id, span.span_id): span for span in receiver.spans}
    linked = Counter[str]()
    for span in receiver.spans:
        for trace_id, span_id, relation in span.links:
            if relation in ("part", "parent"):
                other = spans[trace_id, span_id]
                assert (span.trace_id, span.span_id) in {link[:2] for link in other.links}
                assert other.trace_id != span.trace_id
                linked[relation] += 1
    assert linked == {"part": 4, "parent": 4}, "three installed, one of them removed"


async def test_a_stations_own_trace_is_linked(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    await build_and_fail(stage)
    await send_all(stage, unit_spans)
    (run,) = receiver.named("run test")
    assert (STATION_TRACE, STATION_SPAN, "station") in run.links


async def test_one_unit_can_be_sent_again(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    await build_and_fail(stage)
    await send_all(stage, unit_spans)
    before = receiver.of(await unit_id(stage, "T1"))
    receiver.clear()
    assert await export_unit(stage.database, unit_spans, await unit_id(stage, "T1")) == len(before)
    assert receiver.spans == before


async def test_slices_make_the_same_spans_as_the_whole(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    """However the journal is cut, and whatever the feed remembers of a unit."""
    await build_and_fail(stage)
    await repair_and_ship(stage)
    await send_all(stage, unit_spans)
    whole = receiver.ids
    receiver.clear()
    feed = TraceFeed(stage.database, unit_spans, kept_max=1)
    after = -1
    while True:
        async with stage.database.reading() as connection:
            entries = await journal_slice(connection, after, 3)
        if not entries:
            break
        await feed.deliver(entries)
        after = entries[-1].position or 0
    assert receiver.ids == whole
    assert len(receiver.spans) == len(whole), "none twice"


@asynccontextmanager
async def fed(stage: Stage, spans: UnitSpans) -> AsyncIterator[None]:
    """The sequencer and the feed at work."""
    works = [sequencer.run(stage.database), follow(stage.database, NAME, TraceFeed(stage.database, spans).deliver)]
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def progress(stage: Stage, wanted: Callable[[FeedProgress], bool]) -> FeedProgress:
    """The feed's, as soon as it is as wanted."""
    async with asyncio.timeout(20):
        while True:
            async with stage.database.reading() as connection:
                found = await feeds_progress(connection)
                numbered = (await vitals(connection)).journal_unnumbered == 0
            if numbered and found and wanted(found[0]):
                return found[0]
            await asyncio.sleep(0.05)


async def test_a_dead_receiver_holds_nothing_up(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    receiver.answer = 503
    async with fed(stage, unit_spans):
        await build_and_fail(stage)
        stuck = await progress(stage, lambda one: one.failing_since is not None)
        assert receiver.spans == []
        assert "503" in (stuck.problem or "")
        await build_and_fail(stage, "T2")
        assert (await progress(stage, lambda one: one.behind > stuck.behind)).position == stuck.position
        receiver.answer = 200
        done = await progress(stage, lambda one: one.behind == 0)
    assert (done.failing_since, done.problem) == (None, None)
    assert len(receiver.spans) == len(receiver.ids) == await send_all(stage, unit_spans)


async def test_what_a_receiver_refuses_for_good_is_left_out(
    stage: Stage, receiver: Receiver, unit_spans: UnitSpans
) -> None:
    receiver.refuses = "step build"
    await build_and_fail(stage)
    count = await send_all(stage, unit_spans)
    assert len(receiver.spans) == count - 1
    assert not receiver.named("step build")


async def test_the_feed_goes_on_where_it_was(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    for serial in ("T1", "T2"):
        await build_and_fail(stage, serial)
        async with fed(stage, unit_spans):
            await progress(stage, lambda one: one.behind == 0)
    assert len(receiver.spans) == len(receiver.ids), "none twice"
    assert len(receiver.named("release")) == 2


async def test_two_processes_send_once(stage: Stage, receiver: Receiver, unit_spans: UnitSpans) -> None:
    async with fed(stage, unit_spans), fed(stage, unit_spans):
        await build_and_fail(stage)
        await progress(stage, lambda one: one.behind == 0)
    assert len(receiver.spans) == len(receiver.ids)
