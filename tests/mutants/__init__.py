"""Tests of the tests: faults are put into a copy of the code, one at a time, and named tests have to turn red.

`python -m tests.mutants` tries all of them; `python -m tests.mutants NAME…` some. The suite tries the quickest.
"""
