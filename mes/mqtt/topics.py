"""The tree of topics: `mes/v1/{station}/{kind}`."""

import hmac
from functools import lru_cache
from typing import Final, NamedTuple

from mes.domain.identity import check_name, is_name

ROOT: Final = "mes/v1"
FACT_KINDS: Final = (
    "step",
    "assembly",
    "run",
    "run/ocptv",
    "run/openhtf",
    "run/cable-report",
    "samples",
    "inventory",
    "unit",
    "material",
)
"""Kinds of topic that carry facts, for the ingest processes."""
STATUS: Final = "status"
ASK: Final = "ask"
ANSWERS: Final = "answers"
RECEIPTS: Final = "receipts"
WANTED: Final = "wanted"
KINDS: Final = frozenset({*FACT_KINDS, STATUS, ASK, ANSWERS, RECEIPTS, WANTED})


class Address(NamedTuple):
    """Whose topic it is and what goes there."""

    station: str
    kind: str


def topic(station: str, kind: str) -> str:
    """The topic of a station and kind. Raises ValueError for a name or kind that can't be part of one."""
    if problem := check_name(station):
        raise ValueError(f"the station name {station!r} {problem}")
    if kind not in KINDS:
        raise ValueError(f"there is no topic for {kind!r}")
    return f"{ROOT}/{station}/{kind}"


@lru_cache(10_000)
def parse(topic: str) -> Address | None:
    """Whose topic it is, or None where it isn't one of ours."""
    if not topic.startswith(ROOT + "/"):
        return None
    station, _, kind = topic[len(ROOT) + 1 :].partition("/")
    return Address(station, kind) if is_name(station) and kind in KINDS else None


def ingest_subscriptions(share: str | None = None) -> tuple[str, ...]:
    """What an ingest process listens to; with `share` the facts are divided among the processes that name it.

    Status is never shared: it is retained, and a broker sends what is retained to plain subscriptions only.
    """
    shared = f"$share/{share}/" if share else ""
    return (*(f"{shared}{ROOT}/+/{kind}" for kind in FACT_KINDS), f"{ROOT}/+/{STATUS}")


def ingest_share(site: str, password: str | None) -> str:
    """The group among whose members a broker divides the facts, the same for every process with this password.

    A secret where there is a password. Mosquitto's access list is not asked about a subscription: a station that knew
    the group could join it, and its share of all facts would be dropped on the way to it.
    """
    if not password:
        return f"mes-{site}"
    return f"mes-{site}-{hmac.digest(password.encode(), f'share/{site}'.encode(), 'sha256').hex()}"


def ask_subscriptions() -> tuple[str, ...]:
    """What the answering process listens to."""
    return (f"{ROOT}/+/{ASK}",)


def station_subscriptions(station: str) -> tuple[str, ...]:
    """What a station listens to."""
    return tuple(topic(station, kind) for kind in (ANSWERS, RECEIPTS, WANTED))


def ingest_client_id(site: str, slot: int) -> str:
    """The fixed client id of an ingest process.

    Fixed, because a broker keeps what a dead member of a share had been sent until that client id returns.
    """
    return f"mes-ingest-{site}-{slot}"
