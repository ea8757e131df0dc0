"""A server that is told to stop does so in good order."""

import signal
from pathlib import Path

import pytest

from tests.journeys.plant import Plant


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_without_a_word_of_trouble(
    database_url: str, broker_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    with Plant(database_url, broker_url, tmp_path) as plant:
        plant.mes("serve")
        plant.await_rest()
        plant.processes["serve"].send_signal(number)
        assert plant.processes["serve"].wait(10) == 0
    said = (tmp_path / "serve.log").read_text()
    assert "Shutting down" in said
    assert "Traceback" not in said
