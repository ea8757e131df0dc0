"""Journal entries in words: what happened to a unit, who said so, and what was odd about it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from mes.domain.refusals import SENTENCES
from mes.queries.journal import PositionedEntry


class Told(NamedTuple):
    """An entry for reading. `at` is when it happened, `recorded_at` when it was recorded; `odd` are deviations."""

    number: int
    position: int | None
    at: datetime
    recorded_at: datetime
    type: str
    text: str
    source: str
    moved: str
    odd: list[str]


def told(entries: Iterable[PositionedEntry], unit_id: str) -> list[Told]:
    """Entries that name a unit, in words."""
    return [_told(one, unit_id) for one in entries]


def _told(one: PositionedEntry, unit_id: str) -> Told:
    entry = msgspec.json.decode(one.body)
    data: dict[str, Any] = entry.get("data", {})
    fact: dict[str, Any] = data.get("fact", {})
    words = _WORDS.get(entry["type"], _plainly)
    recorded_at = datetime.fromisoformat(entry["time"])
    at = datetime.fromisoformat(fact["at"]) if "at" in fact else recorded_at
    mine = next((subject["name"] for subject in data.get("subjects", ()) if subject["id"] == unit_id), "")
    move = data.get("moved", {}).get(mine)
    return Told(
        one.number,
        one.position,
        at,
        recorded_at,
        entry["type"],
        words(entry["type"], data, fact.get("what", {}), unit_id),
        fact.get("source", entry["source"]),
        f"{move['before']} → {move['after']}" if move else "",
        [SENTENCES.get(code, code) for code in data.get("deviations", ())],
    )


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
}
