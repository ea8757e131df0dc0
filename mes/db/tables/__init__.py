"""The whole schema, by subject.

Ids are UUIDv7 made by the writer unless said otherwise. Texts that are keys compare by bytes (`COLLATE "C"`). History
is rows that are closed, never overwritten. Partitions, the exclusion constraints' extension and the `measurement`
view are in the migrations; a test compares the rest of the migrations with this module.
"""

from mes.db.tables.columns import Xid8, metadata
from mes.db.tables.gate import in_hand, inbox, message
from mes.db.tables.people import account, login, operator, token
from mes.db.tables.planning import line, part, product, station, work_order
from mes.db.tables.quality import hold, nonconformance
from mes.db.tables.record import feed, journal, journal_position, journal_subject, ledger_head, station_journal
from mes.db.tables.runs import excursion, inventory, layout, recording, recording_line, run, sample_chunk
from mes.db.tables.units import attempt, identifier, installation, loading, lot, unit

__all__ = [
    "Xid8",
    "account",
    "attempt",
    "excursion",
    "feed",
    "hold",
    "identifier",
    "in_hand",
    "inbox",
    "installation",
    "inventory",
    "journal",
    "journal_position",
    "journal_subject",
    "layout",
    "ledger_head",
    "line",
    "loading",
    "login",
    "lot",
    "message",
    "metadata",
    "nonconformance",
    "operator",
    "part",
    "product",
    "recording",
    "recording_line",
    "run",
    "sample_chunk",
    "station",
    "station_journal",
    "token",
    "unit",
    "work_order",
]
