"""Every fault finds what it is to break, and the quickest of them are noticed. All: `python -m tests.mutants`."""

from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tests.mutants.faults import FAULTS, QUICK, Fault, fault, source
from tests.mutants.trial import GREEN, copied_tree, run_tests, try_fault


@pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
def test_fault_finds_what_it_is_to_break(one: Fault) -> None:
    assert one.broken(source(one)) != source(one), "Let the fault follow the code: tests/mutants/faults.py"


@pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
def test_tests_that_are_to_notice_it_exist(one: Fault) -> None:
    for test in one.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), path
        assert f"def {name}" in (ROOT / path).read_text(), test


def test_quick_faults_are_noticed() -> None:
    chosen = [fault(name) for name in QUICK]
    with copied_tree() as copy:
        status, said = run_tests(copy, [test for one in chosen for test in one.tests])
        assert status == GREEN, said
        unnoticed = [trial for one in chosen if not (trial := try_fault(copy, one)).noticed]
    assert not unnoticed, unnoticed


def test_fault_that_no_test_notices_is_told_apart(tmp_path: Path) -> None:
    """A fault is noticed by red tests only: not by none that ran, and not by all being green."""
    (tmp_path / "promise.py").write_text("KEPT = True\n")
    (tmp_path / "test_promise.py").write_text("import promise\ndef test_it(): assert promise.KEPT is not None\n")
    (tmp_path / "test_other.py").write_text("import promise\ndef test_it(): assert promise.KEPT\n")
    kept = Fault("kept", "", "promise.py", "True", "False", ("test_promise.py",))
    assert try_fault(tmp_path, kept).verdict == "SURVIVED"
    assert try_fault(tmp_path, kept._replace(tests=("test_missing.py",))).verdict == "not tried"
    assert try_fault(tmp_path, kept._replace(new="0 / 0 if", tests=("test_promise.py",))).verdict == "not tried"
    assert try_fault(tmp_path, kept._replace(tests=("test_other.py",))).verdict == "noticed"
    assert (tmp_path / "promise.py").read_text() == "KEPT = True\n"
    with pytest.raises(ValueError, match="stands 0 times"):
        try_fault(tmp_path, kept._replace(old="nowhere"))
