"""Only `mes.settings` reads the environment."""

import ast

from tests.house.sources import CODE, named, python_files, tree

READERS = {
    "mes/settings.py": "it is the reader",
    "mes/embedded/processes.py": "hands the whole environment on to child processes",
}


def test_only_settings_reads_the_environment() -> None:
    strays = [
        f"{named(path)}:{node.lineno}"
        for path in python_files(*CODE)
        if named(path) not in READERS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "putenv")
    ]
    assert not strays, f"Make it a field of mes.settings.Settings and pass the value in: {strays}"
