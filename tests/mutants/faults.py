"""The faults: each breaks one promise that the product must not break unnoticed.

A fault replaces a text that stands exactly once in its file. When the code moves on, the text has to follow: a fault
that finds nothing to break is an error, not a success.
"""

from typing import NamedTuple

from tests.house.sources import ROOT


class Fault(NamedTuple):
    """A change to one file, and the tests that have to notice it (as pytest names them)."""

    name: str
    promise: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def broken(self, source: str) -> str:
        """The file with the fault in it. Raises ValueError unless the text to replace stands there exactly once."""
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: the text to replace stands {found} times in {self.file}, not once")
        return source.replace(self.old, self.new)


FAULTS = (
    Fault(
        "acknowledge-before-commit",
        "Acknowledged means committed.",
        "mes/mqtt/consumer.py",
        "        done = await self._take(batch, at)\n",
        "        self._bridge.ack(batch)\n        done = await self._take(batch, at)\n",
        ("tests/mqtt/test_consumer.py::test_it_is_acknowledged_only_once_settled",),
    ),
    Fault(
        "no-inbox-gate",
        "A message said twice is done once.",
        "mes/commands/batch.py",
        "            if one.name in new:\n                new.remove(one.name)\n",
        "            if True:\n                new.discard(one.name)\n",
        ("tests/commands/test_ingest.py::test_said_again_is_done_once",),
    ),
    Fault(
        "duplicate-natural-key",
        "The same event under a new id is not done again.",
        "mes/commands/translation.py",
        "    natural = _natural_key(message)\n",
        "    natural = None\n",
        ("tests/commands/test_ingest.py::test_said_again_is_done_once",),
    ),
    Fault(
        "superseded-still-believed",
        "A corrected installation is not in the genealogy.",
        "mes/queries/genealogy.py",
        "    AND (i.superseded_at IS NULL OR i.superseded_at > CAST(:known_at AS timestamptz))\n",
        "",
        ("tests/queries/test_genealogy.py::test_what_is_believed_now_is_so_now",),
    ),
    Fault(
        "late-mount-ignored",
        "A mount that becomes known late changes what earlier units are said to hold.",
        "mes/commands/material.py",
        "takes_lot(one) and with_lot(one, old) != with_lot(one, true)]",
        "not one]",
        ("tests/commands/test_ingest_material.py::test_a_mount_that_comes_late_changes_what_was_built",),
    ),
    Fault(
        "cursor-by-sequence",
        "No entry ever appears behind a cursor.",
        "mes/db/sequencer.py",
        "              AND xid < pg_snapshot_xmin(pg_current_snapshot())\n            ORDER BY xid, id\n",
        "            ORDER BY xid, id\n",
        ("tests/db/test_sequencer.py::test_older_transaction_that_commits_later_is_not_overtaken",),
    ),
    Fault(
        "no-new-era",
        "A restore into another cluster loses no entry.",
        "mes/db/sequencer.py",
        "    if head.foreign_cluster:\n",
        "    if False:\n",
        ("tests/db/test_restore.py::test_restore_into_another_cluster",),
    ),
    Fault(
        "entry-without-previous-hash",
        "An entry that is left out is noticed.",
        "mes/db/journal.py",
        '        "previous": head.hash,\n',
        '        "previous": None,\n',
        ("tests/db/test_journal.py::test_chains_follow_on_and_their_heads_stand_on_the_subjects",),
    ),
    Fault(
        "missing-value-passes",
        "A run without a required value does not pass.",
        "mes/domain/run.py",
        "    verdict = FAIL if fails else ERROR if faults else PASS\n",
        "    verdict = FAIL if fails else PASS\n",
        ("tests/domain/test_run.py::test_what_a_step_needs_and_does_not_get_is_the_program_s_fault",),
    ),
    Fault(
        "limits-exclusive",
        "A value on its limit is within it.",
        "mes/domain/limits.py",
        "    within = (low is None or low <= value) and (high is None or value <= high)\n",
        "    within = (low is None or low < value) and (high is None or value < high)\n",
        ("tests/domain/test_limits.py::test_limits_are_inclusive_and_take_finite_numbers_only",),
    ),
    Fault(
        "failed-counts-as-passed",
        "A failed test does not pass its step.",
        "mes/domain/attempts.py",
        "        turn.fail(attempt.step)\n",
        "        _pass(turn, attempt.step)\n",
        ("tests/domain/test_attempts.py::test_a_fail_always_fails_the_step_and_opens_a_nonconformance",),
    ),
    Fault(
        "predecessors-ignored",
        "A step does not pass before those that come first.",
        "mes/domain/gates.py",
        "    if earlier := open_before(progress, route, name):\n",
        "    if earlier := []:\n",
        ("tests/domain/test_attempts.py::test_a_pass_out_of_turn_does_not_count",),
    ),
    Fault(
        "order-of-arrival",
        "A late fact is folded where it belongs.",
        "mes/commands/folding.py",
        "        again = late | taken_back\n",
        "        again = set(taken_back)\n",
        ("tests/commands/test_ingest.py::test_order_batches_and_repeats_never_matter",),
    ),
    Fault(
        "grant-by-what-was",
        "A step is granted by what is so when the grant is recorded.",
        "mes/db/asks.py",
        "        SELECT id FROM unit WHERE id = $1 AND xmin = $2::text::xid FOR NO KEY UPDATE\n",
        "        SELECT id FROM unit WHERE id = $1 AND $2::text IS NOT NULL FOR NO KEY UPDATE\n",
        ("tests/commands/test_asking.py::test_what_moves_the_unit_meanwhile_is_taken_into_account",),
    ),
    Fault(
        "watched-limit-ignored",
        "A limit that is broken too long while a run is on fails it.",
        "mes/domain/watch.py",
        "        if self.first is None or self.lasted_s < self.allowed_s:\n",
        "        if True:\n",
        ("tests/domain/test_live_limits.py::test_too_long_beyond_a_limit_fails_the_step_at_once",),
    ),
    Fault(
        "merged-telemetry-cut",
        "Telemetry that is merged keeps every sample.",
        "mes/domain/telemetry.py",
        "    values = [value for one in stretches for value in one.values]\n",
        "    values = [value for one in stretches[1:] for value in one.values]\n",
        ("tests/domain/test_telemetry.py::test_merging_keeps_every_sample_whatever_the_order",),
    ),
    Fault(
        "open-to-everybody",
        "A token does what its role may do, and nothing else.",
        "mes/rest/access.py",
        "    if not caller.roles & allowed:\n",
        "    if False:\n",
        ("tests/rest/test_access.py::test_every_role_on_every_route",),
    ),
)
QUICK = ("missing-value-passes", "limits-exclusive", "predecessors-ignored", "watched-limit-ignored")
"""Tried by the suite itself: their tests need nothing but Python."""


def fault(name: str) -> Fault:
    """The fault of this name. Raises KeyError."""
    return {one.name: one for one in FAULTS}[name]


def source(one: Fault) -> str:
    """The file that a fault changes, as it is."""
    return (ROOT / one.file).read_text()
