"""Every bench works, in its short form; what it measures then means nothing."""

import pytest

from mes.embedded.broker import find_mosquitto
from tests.bench.__main__ import measure, table


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed, and a bench preloads its queue")
def test_ingest_is_measured_beside_its_rivals() -> None:
    figures = measure("ingest", short=True, commit_delay_us=1000)
    rates = ("ingest_per_s", "raw_copy_per_s", "script_per_s", "orm_per_s", "again_per_s", "live_per_s")
    assert all(figures[rate] > 0 for rate in rates)
    assert figures["journal_entries"] > figures["messages"] > figures["distinct_units"]
    assert (figures["fsync"], figures["synchronous_commit"], figures["commit_delay"]) == ("on", "on", "1000")
    assert figures["script_per_s"] < 1000
    assert "ratio_raw" in table(figures)


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed, and a bench preloads its queue")
def test_memory_is_measured_with_a_backlog() -> None:
    figures = measure("backlog", short=True)
    assert figures["applied"] == figures["messages"]
    assert figures["reader_peak_mib"] >= figures["reader_idle_mib"] > 0


def test_telemetry_is_measured_beside_a_row_per_sample() -> None:
    figures = measure("telemetry", short=True)
    rates = ("samples_per_s", "samples_merged_per_s", "row_samples_per_s", "row_copy_samples_per_s")
    assert all(figures[rate] > 0 for rate in rates)
    assert figures["bytes_per_sample"] < figures["row_bytes_per_sample"]
    assert figures["journal_entries"] == figures["messages"]


def test_open_boards_are_measured() -> None:
    figures = measure("pages", short=True)
    assert figures["usual_updates_seen"] > 0
    assert figures["usual_serve_core_pct"] > 0


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed, and a bench preloads its queue")
def test_asks_are_timed_beside_a_bare_echo() -> None:
    figures = measure("ask", short=True)
    assert 0 < figures["echo_p50_ms"] <= figures["echo_p99_ms"]
    assert 0 < figures["ask_p50_ms"] <= figures["ask_p99_ms"]
    assert figures["asks_loaded"] > 0
    assert figures["ask_p99_loaded_ms"] > 0
