"""A database with its pool, for the tests of this folder."""

from tests.db.conftest import database

__all__ = ["database"]
