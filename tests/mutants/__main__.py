"""`python -m tests.mutants [NAME…]`: 0 if every fault was noticed, 1 if one survived, 2 if one could not be tried."""

import sys
from collections.abc import Sequence

from tests.mutants.faults import FAULTS, fault
from tests.mutants.trial import GREEN, Trial, copied_tree, run_tests, try_fault


def main(names: Sequence[str]) -> int:
    """Try the faults of these names, or all; print a table."""
    chosen = [fault(name) for name in names] or list(FAULTS)
    with copied_tree() as copy:
        print("The tests without any fault …", flush=True)
        status, said = run_tests(copy, sorted({test for one in chosen for test in one.tests}))
        if status != GREEN:
            print(f"They have to be green before a fault can turn them red:\n{said}")
            return 2
        trials = []
        for one in chosen:
            trials.append(try_fault(copy, one))
            print(row(trials[-1]), flush=True)
    survivors = [trial for trial in trials if not trial.noticed]
    for trial in survivors:
        print(f"\n{trial.fault.name} in {trial.fault.file}: {trial.verdict}\n{trial.said}")
    print(f"\n{len(trials) - len(survivors)} of {len(trials)} faults were noticed.")
    return 0 if not survivors else 1 if all(trial.ran for trial in survivors) else 2


def row(trial: Trial) -> str:
    """One line of the table."""
    return f"{trial.fault.name:<30} {trial.fault.promise:<58} {trial.verdict:<10} {trial.took_s:5.1f} s"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyError as unknown:
        print(f"No fault is called {unknown}. There are: {', '.join(one.name for one in FAULTS)}")
        sys.exit(2)
