"""The Dockerfile as Docker reads it, and its build stage run without Docker, in a folder instead of a root."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ABSOLUTE = ("/opt", "/src", "/usr/share/mes")


class Instruction(NamedTuple):
    """One instruction: its word and what follows it."""

    word: str
    rest: str


def stages() -> list[list[Instruction]]:
    """The instructions of each stage; what stands before the first FROM is left out."""
    found: list[list[Instruction]] = []
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            found.append([])
        if word and found:
            found[-1].append(Instruction(word, rest.strip()))
    return found


def only(stage: list[Instruction], word: str) -> str:
    """What follows the one instruction of this word."""
    (found,) = [one.rest for one in stage if one.word == word]
    return found


def environment(stage: list[Instruction]) -> dict[str, str]:
    """What ENV sets, as it is written."""
    pairs = [pair.partition("=") for one in stage if one.word == "ENV" for pair in shlex.split(one.rest)]
    return {name: value for name, _, value in pairs}


def sent_to_builder() -> list[str]:
    """What .dockerignore lets through: it begins by leaving out everything."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return [line[1:] for line in lines if line.startswith("!")]


def build(stage: list[Instruction], root: Path) -> None:
    """Do what the build stage says, with `root` in place of `/`. Its ENV says only how not to fill an image."""
    place = root
    for one in stage:
        if one.word == "WORKDIR":
            place = root / one.rest.lstrip("/")
            place.mkdir(parents=True)
        elif one.word == "COPY":
            *sources, target = one.rest.split()
            for source in sources:
                _copy(source, place / target, into=target.endswith("/"))
        elif one.word == "RUN":
            _run(one.rest, root, place)


def moved(command: str, root: Path) -> str:
    """A command of the image as it reads below `root`, with this Python for the image's."""
    for path in ABSOLUTE:
        command = command.replace(path, f"{root}{path}")
    return command.replace("python -m venv", f"{sys.executable} -m venv")


def health_check(stage: list[Instruction]) -> list[str]:
    """The command of HEALTHCHECK."""
    command: list[str] = json.loads(only(stage, "HEALTHCHECK").partition("CMD ")[2])
    return command


def _copy(source: str, target: Path, *, into: bool) -> None:
    assert any(source == one or source.startswith(f"{one}/") for one in sent_to_builder()), f"{source} is ignored"
    here = ROOT / source
    if here.is_dir():
        shutil.copytree(here, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        return
    target = target / here.name if into else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(here, target)


def _run(command: str, root: Path, place: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(["sh", "-ec", moved(command, root)], cwd=place, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
