"""Runs that broke a limit while they were on: their rows say FAIL and why, beside the verdict of their values.

Which runs did so is the fold's word, and stands with their attempts. A late fact may take it back; so the row keeps
what its values alone came to, among the facts of the reason.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.session import driver

_FAIL: Final = """
    UPDATE run r SET verdict = 'fail', reasons = (r.reasons::jsonb || jsonb_build_array(jsonb_build_object(
        'code', $2::text, 'text', $3::text, 'facts', jsonb_build_object('verdict_of_values', r.verdict))))::text
    FROM attempt a
    WHERE r.unit_id = ANY($1::uuid[]) AND a.unit_id = r.unit_id AND a.run_id = r.id AND $2 = ANY(a.deviations)
      AND NOT r.reasons::jsonb @> jsonb_build_array(jsonb_build_object('code', $2::text))
    """
_CLEAR: Final = """
    UPDATE run r SET verdict = told.verdict, reasons = told.reasons
    FROM (
        SELECT r.id, one.value -> 'facts' ->> 'verdict_of_values' AS verdict, (
            SELECT coalesce(jsonb_agg(other.value), '[]')::text FROM jsonb_array_elements(r.reasons::jsonb) AS other
            WHERE other.value ->> 'code' <> $2::text) AS reasons
        FROM run r CROSS JOIN LATERAL jsonb_array_elements(r.reasons::jsonb) AS one
        WHERE r.unit_id = ANY($1::uuid[]) AND one.value ->> 'code' = $2::text
    ) AS told
    WHERE r.id = told.id AND NOT EXISTS (
        SELECT FROM attempt a WHERE a.unit_id = r.unit_id AND a.run_id = r.id AND $2 = ANY(a.deviations))
    """


async def tell_broken_runs(connection: AsyncConnection, units: Collection[str], code: str, text: str) -> None:
    """Bring runs of these units in line with their attempts: `code` is the deviation of those that broke a limit."""
    raw = await driver(connection)
    await raw.execute(_FAIL, list(units), code, text)
    await raw.execute(_CLEAR, list(units), code)
