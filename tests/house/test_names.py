"""Names are the field's own words: nothing is called after being useful in general."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import CODE, EVERYTHING, named, python_files, tree

SAYS_NOTHING = re.compile(r"(^|_)(utils?|helpers?|managers?|services?|base|misc|common|handler_factory)(_|$)")
FIELD_WORDS = {
    "mes/embedded/processes.py": {"Service", "service", "services"},
    "mes/services.py": {"services"},
}
"""A service of `mes up` is the field's own word for a process that is kept running; it is no drawer for functions."""


def words(name: str) -> str:
    """UnitManager and unit_manager alike."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def defined(path: Path) -> Iterator[str]:
    """The file's name and those of the classes and functions in it."""
    yield path.parent.name if path.stem == "__init__" else path.stem
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def test_names_say_what_things_are() -> None:
    strays = [
        f"{named(path)}: {name}"
        for path in python_files(*EVERYTHING)
        for name in defined(path)
        if SAYS_NOTHING.search(words(name)) and name not in FIELD_WORDS.get(named(path), ())
    ]
    assert not strays, f"Name it after what it is about, in the words of the floor: {strays}"


def test_tests_are_in_the_tests_folder() -> None:
    strays = [
        f"{named(path)}: {name}" for path in python_files(*CODE) for name in defined(path) if name.startswith("test_")
    ]
    assert not strays, f"Only tests/ may have names that begin with test_: {strays}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        named(path) for path in python_files(*CODE) if path.read_text().strip() and not ast.get_docstring(tree(path))
    ]
    assert not silent, f"Begin with a docstring: the life of the thing, and what does not belong there: {silent}"
