"""Reason codes are stable words: each has a sentence, is said somewhere, and is tested."""

import ast
from collections.abc import Iterator
from pathlib import Path

from mes.domain.refusals import SENTENCES
from tests.house.sources import CODE, named, python_files, tree

SPEAKERS = ("reason", "refuse", "Reason")
HOME = "mes/domain/refusals.py"
RESERVED = {
    "operator_not_qualified",
    "program_not_approved",
    "work_order_held",
}
"""Stable words of the contract whose rules are still to come. May only shrink."""


def texts(path: Path) -> Iterator[str]:
    """Every text constant in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def said(path: Path) -> Iterator[tuple[int, str]]:
    """Codes that a file gives as first argument to whoever makes a reason: (line, code)."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and node.args and _name(node.func) in SPEAKERS:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def named_in(*folders: str) -> set[str]:
    """Codes that appear as texts anywhere in these folders."""
    return {text for path in python_files(*folders) if named(path) != HOME for text in texts(path)} & set(SENTENCES)


def test_every_code_said_has_a_sentence() -> None:
    strays = [
        f"{named(path)}:{line} {code}"
        for path in python_files(*CODE)
        for line, code in said(path)
        if code not in SENTENCES
    ]
    assert not strays, f"Add a sentence to {HOME}, or use a code that has one: {strays}"


def test_every_sentence_is_said() -> None:
    silent = set(SENTENCES) - named_in(*CODE) - RESERVED
    assert not silent, f"Nothing says these any more; take them out of {HOME}: {sorted(silent)}"


def test_every_code_is_tested() -> None:
    elsewhere = set(python_files("tests")) - set(python_files("tests/house"))
    tested = {text for path in elsewhere for text in texts(path)}
    untested = set(SENTENCES) - RESERVED - tested
    assert not untested, f"Write a test that meets these codes: {sorted(untested)}"


def test_reserved_codes_exist() -> None:
    assert set(SENTENCES) >= RESERVED


def test_sentences_are_sentences() -> None:
    odd = [code for code, sentence in SENTENCES.items() if not (sentence[0].isupper() and sentence.endswith("."))]
    assert not odd
