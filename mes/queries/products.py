"""Product definitions as they were released."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.pages import Page, after, cut


@dataclass(frozen=True, slots=True)
class ProductSummary:
    """A released definition without its document."""

    part: str
    revision: str
    name: str
    family: str
    source: str
    tracking: str
    digest: str
    released_at: datetime


_LIST = text(
    """
    SELECT part, revision, name, family, source, tracking, digest, released_at FROM product
    WHERE (CAST(:part AS text) IS NULL OR part = :part) AND (CAST(:family AS text) IS NULL OR family = :family)
      AND (CAST(:after_part AS text) IS NULL OR (part, revision) > (:after_part, :after_revision))
    ORDER BY part, revision LIMIT :limit
    """
)
_DOCUMENT = text("SELECT document FROM product WHERE part = :part AND revision = :revision")


async def list_products(
    connection: AsyncConnection, *, part: str | None, family: str | None, limit: int, cursor: str | None
) -> Page[ProductSummary]:
    """Definitions by part and revision."""
    after_part, after_revision = after(cursor, 2)
    asked = {"part": part, "family": family, "after_part": after_part, "after_revision": after_revision}
    rows = await connection.execute(_LIST, {**asked, "limit": limit + 1})
    return cut([ProductSummary(*row) for row in rows], limit, lambda one: (one.part, one.revision))


async def product_document(connection: AsyncConnection, part: str, revision: str) -> str:
    """A definition's document, canonical JSON. Refuses `unknown_product`."""
    document = (await connection.execute(_DOCUMENT, {"part": part, "revision": revision})).scalar_one_or_none()
    if document is None:
        raise refuse("unknown_product", part=part, revision=revision)
    return str(document)
