"""What the image installs, to the byte: `python deploy/lock.py` renews both lists, with uv.

`requirements.lock` is what the product needs, `build.lock` what builds it; versions and hashes only. Where they are
downloaded from is the machine's business, so neither names an address.
"""

import subprocess
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = ("requirements.lock", "build.lock")
INSTALLER: Final = "uv>=0.9,<1"
OPTIONS: Final = "--universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links -q"


def build_requirements() -> list[str]:
    """What the build stage needs: the project's build backend, and uv, which installs the rest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [*project["build-system"]["requires"], INSTALLER]


def compile_lock(source: str, given: str | None = None) -> str:
    """The lock of a requirements file (`-` for what is given), resolved as of the date in pyproject."""
    command = ["uv", "pip", "compile", *OPTIONS.split(), "--python-version", "3.11", source]
    return subprocess.run(command, cwd=ROOT, input=given, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    texts = compile_lock("pyproject.toml"), compile_lock("-", "\n".join(build_requirements()))
    for name, text in zip(LOCKS, texts, strict=True):
        (ROOT / "deploy" / name).write_text(text)
