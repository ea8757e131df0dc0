"""Rules about imports that are finer than whole packages."""

from tests.house.sources import CODE, imports, named, python_files

OPEN_TO_STATIONS = ("mes.formats.messages", "mes.mqtt.topics")
SQL = ("db", "queries", "commands")
STATEMENT_FREE = ("sqlalchemy.exc", "sqlalchemy.ext.asyncio")


def test_stations_know_only_the_contract() -> None:
    """A station is somebody else's machine: it shares the wire contract with the MES and nothing else."""
    strays = [
        f"{named(path)} imports {module}.{name}".rstrip(".")
        for path in python_files("stations")
        for module, name in imports(path)
        if module.split(".")[0] == "mes"
        and not any(f"{module}.{name}.".startswith(f"{allowed}.") for allowed in OPEN_TO_STATIONS)
    ]
    assert not strays, f"Stations may import {OPEN_TO_STATIONS} only: {strays}"


def test_statements_are_made_where_sql_lives() -> None:
    """Elsewhere a connection may be handed on and an error be told, but no statement be made."""
    strays = [
        f"{named(path)} imports {module}.{name}"
        for path in python_files("mes")
        if named(path).split("/")[1] not in SQL
        for module, name in imports(path)
        if module.split(".")[0] == "sqlalchemy" and module not in STATEMENT_FREE
    ]
    assert not strays, f"Put the statement into a function in {SQL}: {strays}"


def test_code_does_not_import_tests() -> None:
    strays = [
        named(path) for path in python_files(*CODE) for module, _ in imports(path) if module.split(".")[0] == "tests"
    ]
    assert not strays, f"What the product needs belongs into mes or stations: {strays}"
