"""What was tested since the shifts began: kept in memory and added to, so that a look costs what is new.

Runs are immutable. Their ids are made at receipt, before their transaction ends, so each look reads some seconds
again; what it has is not taken twice. A late run that is older than all of its unit and step takes their place.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.partitions import first_id
from mes.db.session import driver
from mes.domain.clock import SET_FROM
from mes.domain.facts import ERROR, FAIL, PRODUCTION
from mes.domain.yields import JudgedRun, counts, take_first

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
OVERLAP: Final = timedelta(seconds=60)
"""No transaction that stores runs lasts longer: one that sits idle is ended after half of it."""


def _ended(run: str) -> str:
    """When a run ended, in SQL: as `mes.domain.clock.effective_at` has it."""
    return (
        f"CASE WHEN {run}.ended_at < '{SET_FROM.isoformat()}' THEN {run}.received_at"
        f" ELSE least({run}.ended_at, {run}.received_at) END"
    )


_NEW = f"""
    SELECT r.id::text, r.unit_id::text AS unit, r.step, r.station,
           {_ended("r")} AS ended_at, r.verdict, r.purpose, u.serial, u.part,
           CASE WHEN r.verdict IN ('fail', 'error') THEN r.reasons END AS reasons,
           r.purpose = 'production' AND r.verdict IN ('pass', 'fail') AND EXISTS (
               SELECT FROM run e
               WHERE e.unit_id = r.unit_id AND e.step = r.step AND e.purpose = 'production'
                 AND e.verdict IN ('pass', 'fail')
                 AND ({_ended("e")}, e.id) < ({_ended("r")}, r.id)
           ) AS repeated
    FROM run r JOIN unit u ON u.id = r.unit_id
    WHERE r.id >= $1::uuid AND {_ended("r")} >= $2
"""


class ToldRun(NamedTuple):
    """A run with the names that people know, and why it did not pass."""

    run: JudgedRun
    serial: str
    part: str
    reasons: tuple[Mapping[str, Any], ...]


class ShiftRuns:
    """The runs since a moment. `first`: the first that counts of each unit and step; one from before stands in the way.

    `bad`: production runs that did not pass, by id. `last`: the newest run of each station. `version` rises with each
    run that is taken or dropped, so that who counted need not count again.
    """

    def __init__(self) -> None:
        self.since = self._read_to = self._pruned = _NEVER
        self.version = 0
        self.first: dict[tuple[str, str], JudgedRun] = {}
        self.bad: dict[str, ToldRun] = {}
        self.last: dict[str, JudgedRun] = {}
        self._taken: dict[str, datetime] = {}

    async def read(self, connection: AsyncConnection, since: datetime, at: datetime) -> "ShiftRuns":
        """Up to date; `since` may move on. Where it moves back, everything is read anew, into another one."""
        if self.since > since:
            anew = await ShiftRuns().read(connection, since, at)
            anew.version += self.version + 1
            return anew
        if self.since == _NEVER:
            start, ended_from = since, since
        else:
            # After the first look also what ended earlier is read: it may be an older first run.
            start, ended_from = self._read_to - OVERLAP, _NEVER
        for row in await (await driver(connection)).fetch(_NEW, first_id(start), ended_from):
            if row["id"] not in self._taken:
                self._take(row, at)
        self._forget(since, at)
        self.since, self._read_to = since, at
        return self

    def _take(self, row: Mapping[str, Any], at: datetime) -> None:
        run = JudgedRun(*(row[name] for name in JudgedRun._fields))
        self._taken[run.id] = at
        self.version += 1
        if counts(run) and not row["repeated"]:
            take_first(self.first, run)
        known = self.last.get(run.station)
        if known is None or run.ended_at >= known.ended_at:
            self.last[run.station] = run
        if run.verdict in (FAIL, ERROR) and run.purpose == PRODUCTION:
            self.bad[run.id] = ToldRun(run, row["serial"], row["part"], tuple(json.loads(row["reasons"])))

    def _forget(self, since: datetime, at: datetime) -> None:
        """Drop what ended before the shifts began, and what will not be read again."""
        if since != self.since:
            self.version += 1
            self.first = {key: run for key, run in self.first.items() if run.ended_at >= since}
            self.bad = {key: told for key, told in self.bad.items() if told.run.ended_at >= since}
        if at > self._pruned + OVERLAP:
            self._taken = {key: taken for key, taken in self._taken.items() if taken > at - 3 * OVERLAP}
            self._pruned = at
