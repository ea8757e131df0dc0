"""What does not fit on a screen or two is not understood in one reading."""

import ast
from statistics import median

from tests.house.sources import CODE, EVERYTHING, named, python_files, tree

FUNCTION_MAX_LINES = 70
FUNCTION_MEDIAN_MAX_LINES = 12
FILE_MAX_LINES = 350


def function_lengths() -> dict[str, int]:
    """Lines of every function of the product, its docstring included."""
    return {
        f"{named(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in python_files(*CODE, "tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_functions_are_short() -> None:
    long = {name: lines for name, lines in function_lengths().items() if lines > FUNCTION_MAX_LINES}
    assert not long, f"Split at the seams that the comments in it name: {long}"


def test_the_usual_function_is_very_short() -> None:
    assert median(function_lengths().values()) <= FUNCTION_MEDIAN_MAX_LINES


def test_files_are_about_one_thing() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in python_files(*EVERYTHING)}
    long = {
        name: lines for name, lines in lengths.items() if lines > FILE_MAX_LINES and not name.startswith("migrations/")
    }
    assert not long, f"Find the second noun in it and give it a file: {long}"
