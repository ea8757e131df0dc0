"""Entry keys as text columns: sortable by bytes in the order of the floor, and readable in psql."""

from datetime import datetime

from mes.db.journal import moment
from mes.domain.facts import Key


def key_text(key: Key) -> str:
    """A key as text. Sources hold no blanks, so blanks part the fields; the id may hold anything."""
    return f"{moment(key.at)} {key.rank:02d} {key.source} {key.id}"


def parse_key(text: str) -> Key:
    """The key that `key_text` gave this text for."""
    at, rank, source, entry_id = text.split(" ", 3)
    return Key(datetime.fromisoformat(at), int(rank), source, entry_id)
