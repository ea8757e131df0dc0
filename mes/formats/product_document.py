"""Product definitions as people and ERPs write them: YAML files and JSON bodies, in the shape of the contract.

Reading collects every problem of a document at once, each with its place and mend. Writing gives one stable form:
defaults are left out, lists keep their order, so that a definition's digest is the same however it was written down.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mes.domain.product import BomLine, Connection, Definition, Step
from mes.domain.product_check import Problem, check
from mes.formats import canonical, plain_yaml
from mes.formats.fields import Fields, Problems
from mes.formats.product_sections import ReadFile, read_definition


class InvalidDefinition(ValueError):  # noqa: N818 - named for the document
    """A document is no valid product definition. Carries every problem found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.place}: {problem.text}" for problem in problems))
        self.problems = problems


def load(path: Path) -> Definition:
    """The definition in a YAML (or .json) file; `netlist_file` is read relative to it.

    Raises InvalidDefinition, and OSError when the file itself can't be read.
    """
    content = path.read_bytes()
    if path.suffix == ".json":
        return from_json(content, lambda name: (path.parent / name).read_bytes())
    return from_yaml(content, lambda name: (path.parent / name).read_bytes())


def from_yaml(content: str | bytes, read_file: ReadFile | None = None) -> Definition:
    """The definition in a YAML text. Raises InvalidDefinition."""
    try:
        decoded = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        return from_document(plain_yaml.parse(decoded), read_file)
    except UnicodeDecodeError as error:
        raise InvalidDefinition([Problem("document", f"is no UTF-8 text at byte {error.start}")]) from None
    except plain_yaml.InvalidYaml as error:
        raise InvalidDefinition(error.problems) from None


def from_json(content: str | bytes, read_file: ReadFile | None = None) -> Definition:
    """The definition in a JSON text. Raises InvalidDefinition."""
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return found

    if len(content) > plain_yaml.TEXT_LENGTH_MAX:
        raise InvalidDefinition([Problem("document", f"is longer than {plain_yaml.TEXT_LENGTH_MAX} characters")])
    try:
        document = json.loads(content, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        why = "is nested too deep" if isinstance(error, RecursionError) else f"is no JSON: {error}"
        raise InvalidDefinition([Problem("document", why)]) from None
    if twice:
        raise InvalidDefinition(
            [Problem(name[:80], "is given a second time in one object; keep one") for name in twice]
        )
    return from_document(document, read_file)


def from_document(document: Any, read_file: ReadFile | None = None) -> Definition:
    """The definition in a parsed document. Raises InvalidDefinition with everything that is wrong with it.

    `read_file` reads what `netlist_file` names; without it (over REST) the sheet's text comes as `netlist_csv`.
    """
    problems = Problems()
    fields = Fields(document, "", problems)
    definition = read_definition(fields, read_file)
    checked = [] if not fields.is_object else check(definition)
    broken = {_section(problem.place) for problem in problems}
    for problem in checked:
        if not broken & _LEANS_ON.get(_section(problem.place), {_section(problem.place)}):
            problems.note(*problem)
    if problems:
        raise InvalidDefinition(list(problems))
    return definition


# A section is checked for sense only where it, and those it refers to, could be read: no consequences of other
# mistakes are reported.
_LEANS_ON = {
    "bom": {"bom", "route", "part"},
    "route": {"route", "bom", "characteristics", "netlist", "netlist_file", "netlist_csv", "source"},
    "tracking": {"tracking", "source"},
    "serial_pattern": {"serial_pattern", "tracking"},
}


def _section(place: str) -> str:
    return place.split(".")[0].split("[")[0]


def to_document(definition: Definition) -> dict[str, Any]:
    """The contract's shape of a definition in its one stable form; `from_document` gives the same definition back."""
    return _given(
        part=definition.part,
        revision=definition.revision,
        name=definition.name,
        family=definition.family,
        source=definition.source,
        tracking=definition.tracking,
        serial_pattern=definition.serial_pattern,
        receipt_required=definition.receipt_required or None,
        bom=[_bom_line_document(line) for line in definition.bom],
        route=[_step_document(step) for step in definition.route],
        characteristics=[
            _given(
                name=one.name,
                unit=one.unit,
                low=one.low,
                high=one.high,
                equals=one.equals,
                position=one.position,
                beyond_s=one.beyond_s,
            )
            for one in definition.characteristics
        ],
        netlist=[_connection_document(wire) for wire in definition.netlist],
        firmware=[
            _given(name=one.name, versions=list(one.versions), position=one.position, kind=one.kind)
            for one in definition.firmware
        ],
    )


def digest(definition: Definition) -> str:
    """The SHA-256, in hexadecimal, of a definition's stable form: the same definition, the same digest."""
    return canonical.digest(to_document(definition))


def _given(**fields: Any) -> dict[str, Any]:
    """Fields that say something: None and empty lists are left out."""
    return {name: value for name, value in fields.items() if value is not None and value != []}


def _bom_line_document(line: BomLine) -> dict[str, Any]:
    quantity = int(line.quantity) if line.quantity == line.quantity.to_integral_value() else float(line.quantity)
    return _given(
        positions=list(line.positions),
        part=line.part,
        alternates=[
            one.part if one.maker is None else {"part": one.part, "maker": one.maker} for one in line.alternates
        ],
        quantity=None if quantity == 1 else quantity,
        retest_from=line.retest_from,
    )


def _step_document(step: Step) -> dict[str, Any]:
    return _given(
        step=step.step,
        station_kind=step.station_kind,
        after=list(step.after),
        needs=list(step.needs),
        installs=list(step.installs),
        min_s=step.min_s,
        attempts=step.attempts,
        on_no_answer=None if step.on_no_answer == "stop" else step.on_no_answer,
        signed=step.signed or None,
    )


def _connection_document(wire: Connection) -> dict[str, Any]:
    named: Iterable[tuple[str, Any]] = (
        ("from", wire.end_a),
        ("to", wire.end_b),
        ("ohms_max", wire.ohms_max),
        ("length", wire.length),
        ("type", wire.type),
    )
    return _given(**dict(named))
