"""Finding a unit by what somebody typed or scanned: any identifier, or the serials that come nearest."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

NEAR_MAX = 12
"""Most units that are offered."""
_PREFIX_MIN = 3


@dataclass(frozen=True, slots=True)
class Match:
    """A unit that a text may mean. `kind` and `value`: the identifier that was found; `name`: its definition's."""

    part: str
    serial: str
    maker: str
    state: str
    name: str | None
    kind: str
    value: str


_NEAR = text(
    """
    SELECT u.part, u.serial, u.maker, u.state, p.name, found.kind, found.value
    FROM (
        SELECT DISTINCT ON (one.unit_id) one.unit_id, one.kind, one.value, tried.nearness
        FROM unnest(CAST(:firsts AS text[]), CAST(:lasts AS text[])) WITH ORDINALITY AS tried (first, last, nearness)
        CROSS JOIN LATERAL (
            SELECT i.unit_id, i.kind, i.value FROM identifier i
            WHERE i.value >= tried.first COLLATE "C" AND i.value <= tried.last COLLATE "C"
            ORDER BY i.value LIMIT :limit
        ) AS one
        ORDER BY one.unit_id, tried.nearness
    ) AS found
    JOIN unit u ON u.id = found.unit_id LEFT JOIN product p ON p.id = u.product_id
    WHERE u.site = :site
    ORDER BY found.nearness, found.value, u.part LIMIT :limit
    """
)


async def near_units(connection: AsyncConnection, site: str, typed: str) -> list[Match]:
    """The units that a text may mean, the nearest first: as it is, in other letters, as a beginning, or nearly so."""
    ranges = _ranges(typed.strip()[:64])
    if not ranges:
        return []
    asked = {"firsts": [one[0] for one in ranges], "lasts": [one[1] for one in ranges], "site": site}
    return [Match(*row) for row in await connection.execute(_NEAR, {**asked, "limit": NEAR_MAX})]


def _ranges(typed: str) -> list[tuple[str, str]]:
    """What to look for, best first, as first and last text of a range. Whatever is typed costs few index lookups."""
    cleaned = "".join(letter for letter in typed if letter.isprintable())
    spellings = list(dict.fromkeys(one for one in (cleaned, cleaned.upper(), cleaned.lower()) if one))
    ranges = [(one, one) for one in spellings]
    for length in range(len(cleaned), _PREFIX_MIN - 1, -1):
        ranges += [(one[:length], one[:length] + "\x7f") for one in spellings]
    return list(dict.fromkeys(ranges))
