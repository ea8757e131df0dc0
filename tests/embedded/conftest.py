"""A data folder whose database is made already: making one takes long, and few tests are about that."""

import shutil
from pathlib import Path

import pytest

from mes.embedded.postgres import Postgres
from tests import parts


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder to copy from; nothing runs in it."""
    server = Postgres(tmp_path_factory.mktemp("made"), durable=False)
    parts.run(server.start())
    parts.run(server.stop())
    return server.data_dir


@pytest.fixture
def data_dir(made: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own, with a database in it that was ended in good order."""
    return Path(shutil.copytree(made, tmp_path / "data"))
