"""The kill matrix in its short form: a few kills of a few kinds, and every message is where it should be."""

import pytest

from mes.embedded.broker import find_mosquitto
from tests.bench.__main__ import measure


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed, and amqtt can not redeliver")
def test_nothing_is_lost_or_doubled_whatever_is_killed() -> None:
    figures = measure("faults", short=True)
    assert len(figures["cases"]) == 3
    for row in figures["cases"]:
        assert row["kills"] >= 2, row
        assert row["sent"] == row["applied"] > 0, row
        wrong = ("pending", "rejected", "doubled", "half_applied", "lost", "spool")
        assert [name for name in wrong if row[name]] == [], row
    assert (figures["fsync"], figures["synchronous_commit"]) == ("on", "on")
