"""The traces of a whole rack by the delivered definitions: from the rack to its last part by links, and back."""

import time
from collections import Counter, deque

from mes.db import sequencer
from mes.db.session import Database
from mes.feeds.traces import export
from mes.tracing import UnitSpans
from tests.deploy.delivered import RACK, installed
from tests.deploy.test_rack_build import build_the_rack, order_a_rack, rows
from tests.feeds.receiver import Received, Receiver


async def test_a_racks_parts_are_reached_by_links(database_url: str, receiver: Receiver, unit_spans: UnitSpans) -> None:
    database = Database(database_url)
    await order_a_rack(database)
    await build_the_rack(database)
    await sequencer.number(database)
    began, cpu = time.perf_counter(), time.process_time()
    count, _ = await export(database, unit_spans)
    print(f"{count} spans in {time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s of CPU")
    assert len(receiver.ids) == len(receiver.spans) == count
    traces: dict[str, list[Received]] = {}
    for span in receiver.spans:
        assert not span.parent_id or span.parent_id in {one.span_id for one in traces[span.trace_id]}
        traces.setdefault(span.trace_id, []).append(span)
    ((rack,),) = await rows(database, "SELECT replace(id::text, '-', '') FROM unit WHERE part = :rack", rack=RACK)
    reached = follow(traces, rack, "part")
    assert len(reached) - 1 == installed(RACK).total() == 690
    parts = Counter(traces[one][0].attributes["mes.part"] for one in reached - {rack})
    assert parts == installed(RACK)
    assert all(rack in follow(traces, one, "parent") for one in reached)
    await database.close()


def follow(traces: dict[str, list[Received]], start: str, relation: str) -> set[str]:
    """The traces that links of one relation lead to."""
    found, waiting = {start}, deque([start])
    while waiting:
        for span in traces[waiting.popleft()]:
            for trace_id, span_id, said in span.links:
                if said == relation and trace_id not in found:
                    assert any(one.span_id == span_id for one in traces[trace_id])
                    found.add(trace_id)
                    waiting.append(trace_id)
    return found
