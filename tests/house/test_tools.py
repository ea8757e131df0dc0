"""The linter, the formatter, the type checker and the import contracts are part of the suite."""

from tests.house.sources import run_tool


def test_linter_is_content() -> None:
    said = run_tool("ruff", "check", "--output-format=concise", ".")
    assert not said, f"Mend with `ruff check --fix`:\n{said}"


def test_formatting_is_uniform() -> None:
    said = run_tool("ruff", "format", "--check", ".")
    assert not said, f"Mend with `ruff format`:\n{said}"


def test_types_fit() -> None:
    said = run_tool("mypy")
    assert not said, f"Mend the types, rather than silencing them:\n{said}"


def test_imports_point_down_only() -> None:
    # What follows its logo.
    said = run_tool("lint-imports", "--no-cache").rpartition("▲")[2].strip("│ ╚╝─┘\n")
    assert not said, f"Move the code to the layer whose kind of thing it is (see pyproject, importlinter):\n{said}"
