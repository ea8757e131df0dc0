"""Journal entries in words: what happened to a unit, who said so, and what was odd about it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from mes.domain.refusals import SENTENCES
from mes.queries.journal import PositionedEntry, person_in

LATE: Final = timedelta(seconds=5)
"""From when on it is told that something was recorded later than it happened."""
_STATIONS: Final = "stations/"
_OVER_REST: Final = "rest/"


class Told(NamedTuple):
    """An entry for reading. `at` is when it happened, `recorded_at` when it was recorded; `odd` are deviations.

    `person` and `place` say who told it or decided so, and at which station; one of them may be empty.
    """

    number: int
    position: int | None
    at: datetime
    recorded_at: datetime
    type: str
    text: str
    person: str
    place: str
    moved: str
    odd: list[str]

    @property
    def is_late(self) -> bool:
        """Whether it was recorded so long after it happened that both times matter."""
        return self.recorded_at - self.at >= LATE


def told(entries: Sequence[PositionedEntry], unit_id: str, names: Mapping[int, str]) -> list[Told]:
    """Entries that name a unit, in words. `names` are people's, by the numbers that stand for them."""
    read: list[tuple[PositionedEntry, dict[str, Any]]] = [(one, msgspec.json.decode(one.body)) for one in entries]
    causes = _Causes([entry for _, entry in read], unit_id)
    return [_told(one, entry, unit_id, names, causes) for one, entry in read]


def _told(
    one: PositionedEntry, entry: dict[str, Any], unit_id: str, names: Mapping[int, str], causes: "_Causes"
) -> Told:
    data: dict[str, Any] = entry.get("data", {})
    what: dict[str, Any] = data.get("fact", {}).get("what", {})
    words = _WORDS.get(entry["type"], _plainly)
    move = _move(data, unit_id)
    return Told(
        one.number,
        one.position,
        causes.moment_of(entry),
        datetime.fromisoformat(entry["time"]),
        entry["type"],
        words(entry["type"], data, what, unit_id),
        *_who(entry, names),
        f"{move['before']} → {move['after']}" if move else "",
        [SENTENCES.get(code, code) for code in data.get("deviations", ())],
    )


def _move(data: dict[str, Any], unit_id: str) -> dict[str, str] | None:
    """From which state to which an entry took a unit."""
    mine = next((subject["name"] for subject in data.get("subjects", ()) if subject["id"] == unit_id), "")
    found: dict[str, str] | None = data.get("moved", {}).get(mine)
    return found


def _who(entry: dict[str, Any], names: Mapping[int, str]) -> tuple[str, str]:
    """Who told it or decided so, and where: a person, a station, or the MES itself."""
    data = entry.get("data", {})
    fact = data.get("fact", {})
    source = str(fact.get("source", ""))
    number = person_in(data)
    person = names.get(number, f"no. {number}") if number is not None else ""
    if source.startswith(_STATIONS):
        return person, source.removeprefix(_STATIONS)
    if source.startswith(_OVER_REST) and not person:
        return "", "over REST"
    return person or ("the MES" if entry["source"] == (source or entry["source"]) else source), ""


class _Causes:
    """When things happened that the MES concluded: then when what it concluded them from did, as far as that is here.

    What is concluded is recorded in the same transaction as its cause, so beside it.
    """

    def __init__(self, entries: Sequence[dict[str, Any]], unit_id: str) -> None:
        self._moments: dict[object, datetime] = {}
        for entry in entries:
            data = entry.get("data", {})
            if fact := data.get("fact"):
                at = datetime.fromisoformat(fact["at"])
                self._moments[fact["source"], fact["id"]] = at
                if move := _move(data, unit_id):
                    self._moments[entry["time"], move["after"]] = at

    def moment_of(self, entry: dict[str, Any]) -> datetime:
        """When what an entry records happened."""
        data = entry.get("data", {})
        if stated := data.get("fact", {}).get("at") or data.get("happened_at"):
            return datetime.fromisoformat(stated)
        recorded_at = datetime.fromisoformat(entry["time"])
        if opened_by := data.get("opened_by"):
            return self._moments.get((opened_by["source"], opened_by["id"]), recorded_at)
        if entry["type"] == "mes.unit.completed":
            return self._moments.get((entry["time"], "completed"), recorded_at)
        return recorded_at


_Words = Callable[[str, dict[str, Any], dict[str, Any], str], str]


def _plainly(type_: str, data: dict[str, Any], what: dict[str, Any], unit_id: str) -> str:
    """The type's own words, with what the entry says most."""
    name = type_.removeprefix("mes.").replace("_", " ").replace(".", " ").capitalize()
    said = [
        str(source[key])
        for key in ("step", "reason", "ruling", "into", "to")
        for source in (what, data)
        if key in source
    ]
    return " – ".join([name, *dict.fromkeys(said)])


def _moved_part(verb: str, away: str) -> _Words:
    def words(type_: str, data: dict[str, Any], what: dict[str, Any], unit_id: str) -> str:
        names = {subject["id"]: subject["name"] for subject in data.get("subjects", ())}
        position = what.get("position", "?")
        if what.get("child") == unit_id:
            return f"{away} {names.get(what.get('parent', ''), 'its parent')} at {position}"
        inside = names.get(what.get("child") or what.get("lot") or "", "")
        quantity = f" × {what['quantity']}" if what.get("quantity") else ""
        why = f" – {what['reason']}" if what.get("reason") else ""
        return f"{verb} {position}: {what.get('part', '')} {inside}{quantity}{why}"

    return words


def _run(type_: str, data: dict[str, Any], what: dict[str, Any], unit_id: str) -> str:
    verdict, claim = data.get("verdict", what.get("verdict")), what.get("claim")
    differs = f", claimed {claim}" if claim != verdict else ""
    purpose = "" if what.get("purpose", "production") == "production" else f" ({what['purpose']})"
    return f"Run of {what.get('step')}{purpose}: {verdict}{differs}"


def _answered(type_: str, data: dict[str, Any], what: dict[str, Any], unit_id: str) -> str:
    why = " ".join(one["text"] for one in data.get("reasons", ()))
    return f"May {what.get('step')} start? {'Yes.' if what.get('granted') else f'No. {why}'}"


def _with(words: str, *keys: str) -> _Words:
    """Fixed words, and what an entry says under the first of some names that it has."""

    def said(type_: str, data: dict[str, Any], what: dict[str, Any], unit_id: str) -> str:
        more = next((str(data[key]) for key in keys if data.get(key)), "")
        return f"{words}: {more}" if more else words

    return said


def _disposed(type_: str, data: dict[str, Any], what: dict[str, Any], unit_id: str) -> str:
    why = f" – {data['reason']}" if data.get("reason") else ""
    return f"Decided on {data.get('step') or 'the nonconformance'}: {str(data.get('ruling')).replace('_', ' ')}{why}"


_WORDS: Final[Mapping[str, _Words]] = {
    "mes.unit.created": lambda type_, data, what, unit_id: "Created",
    "mes.unit.completed": lambda type_, data, what, unit_id: "Completed",
    "mes.unit.refolded": lambda type_, data, what, unit_id: "Worked out again because of a late fact",
    "mes.unit.step.started": lambda type_, data, what, unit_id: f"{what.get('step')} started",
    "mes.unit.step.completed": lambda type_, data, what, unit_id: f"{what.get('step')} ended: {what.get('outcome')}",
    "mes.part.installed": _moved_part("Into", "Built into"),
    "mes.part.removed": _moved_part("Out of", "Taken out of"),
    "mes.run.judged": _run,
    "mes.samples.taken": lambda type_, data, what, unit_id: f"Samples of {what.get('step')}",
    "mes.step.answered": _answered,
    "mes.nonconformance.opened": _with("Nonconformance opened", "step"),
    "mes.nonconformance.diagnosed": _with("Found", "diagnosis"),
    "mes.nonconformance.repaired": _with("Done about it", "repair"),
    "mes.nonconformance.disposed": _disposed,
    "mes.hold.placed": _with("Put on hold", "reason"),
    "mes.hold.released": _with("Released from hold"),
}
