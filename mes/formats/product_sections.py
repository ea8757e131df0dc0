"""The sections of a product document, each read from its fields into the domain's value."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from mes.domain.product import Alternate, BomLine, Characteristic, Connection, Definition, Firmware, Step
from mes.formats import cut_sheet
from mes.formats.fields import Fields, number, show, text

ITEMS_MAX = 5_000
STEPS_MAX = 500
CONNECTIONS_MAX = cut_sheet.CABLES_MAX

ReadFile = Callable[[str], str | bytes]
"""Reads a file that a definition names, relative to it. May raise OSError."""


def read_definition(fields: Fields, read_file: ReadFile | None) -> Definition:
    """The definition in a document's fields; where something could not be read, a stand-in with a problem noted."""
    definition = Definition(
        part=fields.required("part"),
        revision=_revision(fields),
        name=fields.required("name"),
        family=fields.required("family"),
        source=fields.text("source", "made") or "",
        tracking=fields.text("tracking", "serial") or "",
        serial_pattern=fields.text("serial_pattern"),
        receipt_required=fields.flag("receipt_required"),
        bom=tuple(map(_bom_line, fields.objects("bom", ITEMS_MAX))),
        route=tuple(map(_step, fields.objects("route", STEPS_MAX))),
        characteristics=tuple(map(_characteristic, fields.objects("characteristics", ITEMS_MAX))),
        netlist=_netlist(fields, read_file),
        firmware=tuple(map(_firmware, fields.objects("firmware", ITEMS_MAX))),
    )
    fields.done(
        "part, revision, name, family, source, tracking, serial_pattern, receipt_required, bom, route, "
        "characteristics, netlist, netlist_file, netlist_csv, firmware"
    )
    return definition


def _revision(fields: Fields) -> str:
    """A revision; a whole number is taken as its digits, since nobody puts quotes around `revision: 2`."""
    value = fields.raw("revision")
    return str(value) if type(value) is int and 0 <= value < 10**9 else fields.required("revision")


def _bom_line(fields: Fields) -> BomLine:
    line = BomLine(
        positions=_one_or_many(fields, "position", "positions"),
        part=fields.required("part"),
        alternates=tuple(
            found for item, place in fields.items("alternates", ITEMS_MAX) if (found := _alternate(item, place, fields))
        ),
        quantity=_quantity(fields),
        retest_from=fields.text("retest_from"),
    )
    fields.done("position, positions, part, alternates, quantity, retest_from")
    return line


def _one_or_many(fields: Fields, one: str, many: str) -> tuple[str, ...]:
    """A field that is given once as text or several times as list, exactly one of the two."""
    if fields.has(one) and fields.has(many):
        fields.note(many, f"is given beside {one}; use one of the two")
    if fields.has(one):
        fields.raw(many)
        return (fields.required(one),)
    if not fields.has(many):
        fields.note(one, f"is missing; give {one}, or {many} as a list")
    return fields.texts(many, ITEMS_MAX)


def _alternate(item: Any, place: str, parent: Fields) -> Alternate | None:
    if not isinstance(item, dict):
        part = text(item, place, parent.problems)
        return None if part is None else Alternate(part)
    fields = Fields(item, place, parent.problems)
    alternate = Alternate(fields.required("part"), fields.text("maker"))
    fields.done("part, maker")
    return alternate


def _quantity(fields: Fields) -> Decimal:
    found = fields.number("quantity")
    if found is None:
        return Decimal(1)
    return Decimal(int(found)) if found.is_integer() else Decimal(repr(found))


def _step(fields: Fields) -> Step:
    step = Step(
        step=fields.required("step"),
        station_kind=fields.required("station_kind"),
        after=fields.texts("after", STEPS_MAX),
        needs=fields.texts("needs", ITEMS_MAX),
        installs=fields.texts("installs", ITEMS_MAX),
        min_s=fields.number("min_s"),
        attempts=fields.whole("attempts"),
        on_no_answer=fields.text("on_no_answer", "stop") or "",
        signed=fields.flag("signed"),
    )
    fields.done("step, station_kind, after, needs, installs, min_s, attempts, on_no_answer, signed")
    return step


def _characteristic(fields: Fields) -> Characteristic:
    characteristic = Characteristic(
        name=fields.required("name"),
        unit=fields.text("unit"),
        low=fields.number("low"),
        high=fields.number("high"),
        equals=_equals(fields),
        position=fields.text("position"),
        beyond_s=fields.number("beyond_s"),
    )
    fields.done("name, unit, low, high, equals, position, beyond_s")
    return characteristic


def _equals(fields: Fields) -> str | float | bool | None:
    value = fields.raw("equals")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return fields.text("equals")
    if isinstance(value, int | float):
        return number(value, f"{fields.place}.equals", fields.problems)
    fields.note("equals", f"is {show(value)}; give a text, a number, true or false")
    return None


def _netlist(fields: Fields, read_file: ReadFile | None) -> tuple[Connection, ...]:
    given = [name for name in ("netlist", "netlist_file", "netlist_csv") if fields.has(name)]
    if len(given) > 1:
        fields.note(given[1], f"is given beside {given[0]}; use one of them")
    file, sheet = fields.raw("netlist_file"), fields.raw("netlist_csv")
    if file is not None:
        return _sheet_in_file(fields, file, read_file)
    if sheet is not None:
        return _sheet(fields, "netlist_csv", sheet)
    return tuple(map(_connection, fields.objects("netlist", CONNECTIONS_MAX)))


def _sheet_in_file(fields: Fields, file: Any, read_file: ReadFile | None) -> tuple[Connection, ...]:
    name = text(file, "netlist_file", fields.problems)
    if name is None:
        return ()
    if read_file is None:
        fields.note("netlist_file", "names a file, which can't be read from here; send its text as netlist_csv")
        return ()
    try:
        return _sheet(fields, "netlist_file", read_file(name))
    except OSError as error:
        fields.note("netlist_file", f"{name!r} can't be read: {error.strerror or error}")
        return ()


def _sheet(fields: Fields, field: str, content: Any) -> tuple[Connection, ...]:
    if not isinstance(content, str | bytes):
        fields.note(field, f"is {show(content)}; give the cut sheet's text")
        return ()
    try:
        return cut_sheet.read(content)
    except cut_sheet.InvalidCutSheet as error:
        for problem in error.problems:
            fields.note(field, f"{problem.place} {problem.text}")
        return ()


def _connection(fields: Fields) -> Connection:
    connection = Connection(
        end_a=fields.required("from"),
        end_b=fields.required("to"),
        ohms_max=fields.number("ohms_max"),
        length=fields.text("length"),
        type=fields.text("type"),
    )
    fields.done("from, to, ohms_max, length, type")
    return connection


def _firmware(fields: Fields) -> Firmware:
    firmware = Firmware(
        name=fields.required("name"),
        versions=_one_or_many(fields, "version", "versions"),
        position=fields.text("position"),
        kind=fields.text("kind"),
    )
    fields.done("position, kind, name, version, versions")
    return firmware
