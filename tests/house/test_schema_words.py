"""Every table and column says what it is, in the model and in the database itself."""

from sqlalchemy import text

from mes.db.session import Database
from mes.db.tables import metadata


def test_model_is_commented() -> None:
    silent = [table.name for table in metadata.sorted_tables if not table.comment]
    silent += [str(column) for table in metadata.sorted_tables for column in table.columns if not column.comment]
    assert not silent, f"Give it a comment in mes/db/tables, with its unit or what null means: {silent}"


async def test_database_is_commented(database_url: str) -> None:
    """What psql's \\d+ shows comes from the migrations."""
    database = Database(database_url, pool_size=1)
    async with database.reading() as connection:
        rows = await connection.execute(
            text(
                "SELECT c.relname || '.' || a.attname AS name "
                "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
                "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
                "AND c.relname <> 'alembic_version' AND (obj_description(c.oid, 'pg_class') IS NULL "
                "OR col_description(c.oid, a.attnum) IS NULL)"
            )
        )
        silent = list(rows.scalars())
    await database.close()
    assert not silent, f"Add the comment to the migration: {silent}"


def test_comments_are_sentences() -> None:
    texts = {table.name: table.comment for table in metadata.sorted_tables}
    texts |= {str(column): column.comment for table in metadata.sorted_tables for column in table.columns}
    odd = [name for name, comment in texts.items() if comment and not comment.rstrip().endswith((".", "…", "?", "]"))]
    assert not odd, f"Write a short sentence and end it: {odd}"
