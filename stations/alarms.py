"""What a station's people should hear of: said in the log, and to whoever listens."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from mes.formats.messages import SettledMessage
from stations.spool import Spool, SpoolError, SpoolFullError

REASONS_TOLD: Final = 5
"""So many of the reasons of rejected messages an alarm tells."""

log = logging.getLogger(__name__)

AlarmCode: TypeAlias = Literal[
    "spool_filling",  # it is 80 % full: the MES can't be reached, or does not keep up
    "spool_full",  # what is said now is refused; or its disk is full, and receipts can't be noted
    "spool_damaged",  # it was mended at the start, or has to be
    "no_receipts",  # the broker takes our messages and the MES says nothing to them, nor when they are sent again
    "unreachable",  # no connection to the broker for half a minute
    "unsteady",  # it ends again and again: is another program connected as the same station?
    "clock_skew",
    "refused",  # the broker does not let us in, or not hear or say what is ours
    "rejected",  # the MES can't read what was said: it will not be on the record; the text names the mend
    "too_large",  # a message in the spool is larger than the broker takes; it stays there
]


class Alarm(NamedTuple):
    """Something a person should mend: a stable word, and a sentence."""

    code: AlarmCode
    text: str


OnAlarm: TypeAlias = Callable[[Alarm], None]


class Alarms:
    """Says each trouble once, until it is over."""

    def __init__(self, station: str, on_alarm: OnAlarm | None) -> None:
        self._station = station
        self._on_alarm = on_alarm
        self._standing: set[AlarmCode] = set()

    def give(self, code: AlarmCode, text: str) -> None:
        """There is trouble. The listener must not raise; if it does, that is logged."""
        if code in self._standing:
            return
        self._standing.add(code)
        log.warning("%s: %s", self._station, text)
        if self._on_alarm is None:
            return
        try:
            self._on_alarm(Alarm(code, text))
        except Exception:
            log.exception("whoever listens to the alarms of %s failed", self._station)

    def over(self, *codes: AlarmCode) -> None:
        """The trouble is over; when it comes again, it is said again."""
        self._standing.difference_update(codes)


def tell_spool(alarms: Alarms, error: SpoolError) -> None:
    """What is wrong with a spool that could not be used."""
    alarms.give("spool_full" if isinstance(error, SpoolFullError) else "spool_damaged", str(error))


def tell_held(alarms: Alarms, spool: Spool) -> None:
    """That receipts are in memory only: it ends with the program, and what they settle is sent again by the next."""
    alarms.give(
        "spool_full",
        f"The disk of the spool {spool.path} is full: {spool.held} receipts are kept in memory until it has room.",
    )


def tell_rejected(alarms: Alarms, settled: Sequence[SettledMessage]) -> None:
    """What receipts of our messages say was rejected, which people mend once: it is told again when rejections come
    after receipts without any."""
    rejected = [one for one in settled if one.fate == "rejected"]
    if not rejected:
        if settled:
            alarms.over("rejected")
        return
    texts = list(dict.fromkeys(reason.text for one in rejected for reason in one.reasons))
    more = f" And {len(texts) - REASONS_TOLD} other reasons." if len(texts) > REASONS_TOLD else ""
    named = rejected[0].id if len(rejected) == 1 else f"{len(rejected)} messages"
    alarms.give("rejected", f"The MES rejected {named}: {' '.join(texts[:REASONS_TOLD])}{more}")
