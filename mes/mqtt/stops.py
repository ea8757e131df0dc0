"""Word to a station that a run has failed while it is on, because a watched limit was broken.

It goes out after the commit that failed the run, and again with every later message of samples of that run until it
ends: a station that did not hear it hears it then.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import uuid_utils

from mes.domain.live_limits import CODE
from mes.formats.messages import RunStop, UnitRef, encode_event, wire_reasons
from mes.mqtt import topics
from mes.mqtt.receipts import Receipt, Settled


def write_stops(settled: Iterable[Settled], source: str, at: datetime) -> Iterator[Receipt]:
    """A `mes.run.stop` for each message that showed a run failing."""
    for one in settled:
        if not one.reasons or one.fate != "applied":
            continue
        # A report that ends such a run is given the same code, without a step: that run needs no stop any more.
        why = tuple(reason for reason in one.reasons if reason.code == CODE and "step" in reason.facts)
        if why:
            facts = why[0].facts
            stop = RunStop(UnitRef(facts["unit"]), facts["step"], facts.get("run"), wire_reasons(why))
            payload = encode_event("mes.run.stop", source, str(uuid_utils.uuid7()), at, stop)
            yield Receipt(topics.topic(one.station, topics.ANSWERS), payload)
