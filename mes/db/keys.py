"""Entry keys as text columns: sortable by bytes in the order of the floor, and readable in psql."""

from datetime import UTC, datetime

from mes.domain.facts import Key


def key_text(key: Key) -> str:
    """A key as text. Sources hold no blanks, so blanks part the fields; the id may hold anything."""
    at = key.at.astimezone(UTC).isoformat(timespec="microseconds")
    return f"{at[:-6]}Z {key.rank:02d} {key.source} {key.id}"


def parse_key(text: str) -> Key:
    """The key that `key_text` gave this text for."""
    at, rank, source, entry_id = text.split(" ", 3)
    return Key(datetime.fromisoformat(at), int(rank), source, entry_id)
