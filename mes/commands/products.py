"""Releasing product definitions. A released one never changes: the same document again is the same definition."""

from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.commands.act import Act, number_of
from mes.db import tables
from mes.db.journal import Event, Subject, append, new_id
from mes.domain.product import Definition
from mes.domain.product_check import check_against, children
from mes.domain.refusals import Refusal, reason, refuse
from mes.formats.canonical import canonical, sha256
from mes.formats.product_document import to_document

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('mes.product'))")

_CONTAINED = text(
    """
    SELECT p.part, array_agg(DISTINCT named.part) AS children
    FROM product p
    CROSS JOIN LATERAL jsonb_path_query(p.document::jsonb, '$.bom[*]') AS line
    CROSS JOIN LATERAL (
        SELECT line ->> 'part' AS part
        UNION ALL
        SELECT coalesce(alternate ->> 'part', alternate #>> '{}')
        FROM jsonb_path_query(line, '$.alternates[*]') AS alternate
    ) AS named
    WHERE named.part IS NOT NULL
    GROUP BY p.part
    """
)
"""What every known part may contain by any of its revisions."""


async def put_product(connection: AsyncConnection, definition: Definition, act: Act) -> bool:
    """Release a definition; False when it was already released. Refuses `definition_conflict`, `invalid`."""
    document = canonical(to_document(definition))
    digest = sha256(document)
    await connection.execute(_LOCK)
    if known := await _digest_of(connection, definition):
        if known != digest:
            raise refuse("definition_conflict", part=definition.part, revision=definition.revision)
        return False
    await _check_containment(connection, definition)
    product_id = await _insert(connection, definition, document.decode(), digest, act)
    await _put_parts(connection, definition)
    data = {
        "part": definition.part,
        "revision": definition.revision,
        "digest": digest,
        "by": await number_of(connection, act.by),
    }
    name = f"{definition.part} {definition.revision}"
    event = Event("mes.product.released", [Subject("product", product_id, name)], data)
    await append(connection, [event], site=act.site, at=act.at)
    return True


async def _digest_of(connection: AsyncConnection, definition: Definition) -> str | None:
    table = tables.product
    found = select(table.c.digest).where(table.c.part == definition.part, table.c.revision == definition.revision)
    return (await connection.execute(found)).scalar_one_or_none()


async def _check_containment(connection: AsyncConnection, definition: Definition) -> None:
    """Refuses a definition by which a part would contain itself through other parts."""
    rows = (await connection.execute(_CONTAINED)).all() if definition.bom else []
    problems = check_against(definition, {row.part: row.children for row in rows})
    if problems:
        raise Refusal(*(reason("invalid", f"{one.place} {one.text}.", field=one.place) for one in problems))


async def _insert(connection: AsyncConnection, definition: Definition, document: str, digest: str, act: Act) -> str:
    product_id = new_id()
    await connection.execute(
        tables.product.insert().values(
            id=product_id,
            part=definition.part,
            revision=definition.revision,
            name=definition.name,
            family=definition.family,
            source=definition.source,
            tracking=definition.tracking,
            document=document,
            digest=digest,
            released_at=act.at,
        )
    )
    return product_id


async def _put_parts(connection: AsyncConnection, definition: Definition) -> None:
    """Make the part known by its definition, and what its bill of materials names at least by name."""
    table = tables.part
    defined = {
        "source": definition.source,
        "tracking": definition.tracking,
        "receipt_required": definition.receipt_required,
        "defined": True,
    }
    await connection.execute(
        postgresql.insert(table)
        .values(part=definition.part, **defined)
        .on_conflict_do_update(index_elements=["part"], set_=defined)
    )
    named = {"source": "bought", "tracking": "serial", "receipt_required": False, "defined": False}
    rows = [{"part": part, **named} for part in sorted(children(definition))]
    if rows:
        await connection.execute(postgresql.insert(table).on_conflict_do_nothing(index_elements=["part"]).values(rows))
