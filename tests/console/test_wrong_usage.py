"""What a person gets wrong on the command line is told in words, without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def mes(*arguments: str, folder: Path, **environment: str) -> tuple[int, str]:
    """The exit status and all that was written."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("MES_")}
    done = subprocess.run(
        [sys.executable, "-m", "mes", *arguments],
        cwd=folder,
        env={**others, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("option", ["--port", "--mqtt-port"])
def test_a_port_that_is_none(tmp_path: Path, option: str) -> None:
    status, said = mes("demo", option, "99999", folder=tmp_path)
    assert status == 2
    assert "65535" in said
    assert "Traceback" not in said


def test_a_setting_that_can_not_be_used(tmp_path: Path) -> None:
    status, said = mes("settings", folder=tmp_path, MES_PORT="abc")
    assert status == 1
    assert said.startswith("mes: MES_PORT=abc: ")
    assert "Traceback" not in said


def test_the_doctor_makes_no_mes_where_there_is_none(tmp_path: Path) -> None:
    status, said = mes("doctor", folder=tmp_path)
    assert (status, "No MES is in this folder" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_new_line_is_told_and_one_in_other_letters_refused(tmp_path: Path, database_url: str) -> None:
    def add(station: str, line: str) -> tuple[int, str]:
        return mes(
            "stations",
            "add",
            station,
            "--line",
            line,
            "--kind",
            "bench",
            folder=tmp_path,
            MES_DATABASE_URL=database_url,
        )

    status, said = add("b-1", "Cables")
    assert (status, "Cables is a new line: in UTC and without shifts" in said) == (0, True)
    assert "Other lines" not in said
    status, said = add("b-2", "Cables")
    assert (status, "new line" in said) == (0, False)
    status, said = add("b-3", "nope")
    assert status == 0
    assert "nope is a new line" in said
    assert "Other lines: Cables." in said
    status, said = add("b-4", "cables")
    assert (status, said.strip()) == (1, "mes: There is no line cables; there is Cables.")


def test_looking_at_the_schema_is_not_told(tmp_path: Path, database_url: str) -> None:
    script = (
        "import logging; from mes.services import begin_log; from mes.settings import settings;"
        "from mes.db.migrate import upgrade; begin_log(settings()); upgrade(settings().database_url);"
        "logging.getLogger('mes').info('begun')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MES_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [line.partition(" mes: ")[2] for line in done.stderr.splitlines()] == ["begun"]
