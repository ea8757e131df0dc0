"""The project's own files, as the rules of this folder read them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("mes", "stations")
EVERYTHING = (*CODE, "tests", "migrations")


def python_files(*folders: str) -> list[Path]:
    """Every Python file under these folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    """The path as people write it: from the project's root."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """The file's syntax."""
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a file imports: (module, name) for `from module import name`, (module, "") for `import module`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", one.name) for one in node.names)
        elif isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names)


def committed_texts() -> Iterator[tuple[str, str]]:
    """Every text file of the project that is or would be committed: (name, content)."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True
    )
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else _walked()
    for name in names:
        path = ROOT / name
        if name and path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield name, content.decode(errors="replace")


def _walked() -> list[str]:
    """The same without git, as in an unpacked archive."""
    top = [*EVERYTHING, "deploy", "README.md", "CHANGELOG.md", "pyproject.toml"]
    files = [path for name in top for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))]
    return [named(path) for path in files if path.is_file() and "__pycache__" not in path.parts]


def run_tool(name: str, *arguments: str) -> str:
    """Run a tool of this environment on the project: what it says, empty when it is content."""
    program = Path(sys.executable).with_name(name)
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}"
