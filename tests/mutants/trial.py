"""Trying faults on a copy of the tree, so that a trial that is broken off leaves the code as it was."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.house.sources import ROOT
from tests.mutants.faults import Fault

COPIED = ("mes", "stations", "tests", "migrations", "deploy", "pyproject.toml", "README.md", "LICENSE")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")
TRIAL_MAX_S = 300.0
GREEN, RED = 0, 1
"""How pytest ends when all tests passed, and when some failed. Whatever else it says, the tests did not run."""


class Trial(NamedTuple):
    """How the tests that are to notice a fault ended with it; `said` are their last lines."""

    fault: Fault
    noticed: bool
    ran: bool
    took_s: float
    said: str

    @property
    def verdict(self) -> str:
        """In a word."""
        if not self.ran:
            return "not tried"
        return "noticed" if self.noticed else "SURVIVED"


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of the project in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="mes-mutants-") as folder:
        copy = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=LEFT_OUT)
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, copy / name)
        yield copy


def run_tests(copy: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Run tests of a copied tree, up to the first failure: pytest's status and its last lines."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=TRIAL_MAX_S)
    except subprocess.TimeoutExpired:
        return RED, f"no end after {TRIAL_MAX_S:.0f} s"
    return done.returncode, "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])


def try_fault(copy: Path, fault: Fault) -> Trial:
    """Put a fault into the copy, run the tests that are to notice it, and take it out again."""
    path = copy / fault.file
    before = path.read_text()
    began = time.monotonic()
    path.write_text(fault.broken(before))
    try:
        status, said = run_tests(copy, fault.tests)
    finally:
        path.write_text(before)
    return Trial(fault, status == RED, status in (GREEN, RED), time.monotonic() - began, said)
