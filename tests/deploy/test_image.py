"""The image, built without Docker: the Dockerfile's own lines in a fresh environment, and what comes of them."""

import os
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import parts
from tests.deploy import dockerfile

LOCK = dockerfile.ROOT / "deploy" / "requirements.lock"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.+?))? \\$", re.M)
BUILDERS = {"hatchling", "pip", "setuptools", "uv", "wheel"}


def pinned(text: str) -> dict[str, tuple[str, str | None]]:
    """Version and marker by name."""
    return {canonicalize_name(name): (version, marker) for name, version, marker in PINNED.findall(text)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage leaves."""
    folder = tmp_path_factory.mktemp("image")
    build, _ = dockerfile.stages()
    dockerfile.build(build, folder)
    return folder


class Container:
    """The final stage at work: its ENV and nothing of ours, its entrypoint."""

    def __init__(self, root: Path, **settings: str) -> None:
        _, final = dockerfile.stages()
        told = dockerfile.environment(final)
        self.bin = root / "opt" / "mes" / "bin"
        self.environment = {
            **{name: value for name, value in told.items() if name != "PATH"},
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "MES_HOST": "127.0.0.1",
            **settings,
        }
        self.place = root / "tmp"
        self.place.mkdir(exist_ok=True)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [self.bin.joinpath(command[0]), *command[1:]],
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )


def test_the_image_works(root: Path, empty_database_url: str) -> None:
    """Migrates, knows the products, serves, says that it is well, and writes nothing where it is installed."""
    port = str(parts.any_port())
    container = Container(root, MES_DATABASE_URL=empty_database_url, MES_PORT=port)
    before = _files(root / "opt" / "mes")
    assert container.run("mes", "migrate").returncode == 0
    _, final = dockerfile.stages()
    products = next(one.rest.split() for one in final if one.word == "COPY" and "products" in one.rest)
    assert products == ["deploy/products", "/usr/share/mes/products"]
    loaded = container.run("mes", "products", "load", *map(str, (dockerfile.ROOT / products[0]).glob("*.yaml")))
    assert loaded.returncode == 0, loaded.stderr
    assert (dockerfile.only(final, "ENTRYPOINT"), dockerfile.only(final, "CMD")) == ('["mes"]', '["serve"]')
    check = dockerfile.health_check(final)
    assert container.run(*check).returncode != 0
    served = subprocess.Popen([container.bin / "mes", "serve"], cwd=container.place, env=container.environment)
    try:
        parts.wait_for_port(int(port), 20)
        assert container.run(*check).returncode == 0
    finally:
        served.terminate()
        assert served.wait(20) == 0
    assert _files(root / "opt" / "mes") == before


def test_it_holds_what_the_lock_says_and_nothing_that_builds(root: Path) -> None:
    (site,) = (root / "opt" / "mes" / "lib").glob("python*/site-packages")
    installed = {canonicalize_name(one.name): one.version for one in metadata.distributions(path=[str(site)])}
    locked = pinned(LOCK.read_text())
    assert not installed.keys() & BUILDERS
    assert installed.keys() - locked.keys() == {"mes"}
    assert all(installed[name] == version for name, (version, _) in locked.items() if name in installed)
    assert (site / "mes" / "_bundled" / "migrations" / "env.py").is_file()
    assert (site / "mes" / "_bundled" / "products" / "rack.yaml").is_file()


def test_the_final_stage_is_nobody_in_particular_and_builds_nothing() -> None:
    _, final = dockerfile.stages()
    words = [one.word for one in final]
    assert dockerfile.only(final, "USER") == "mes"
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not any(re.search(r"\b(pip|uv|apt-get)\b", one.rest) for one in final if one.word == "RUN")
    assert any(one.rest.startswith("--from=build /opt/mes ") for one in final if one.word == "COPY")


@pytest.mark.parametrize("name", ["requirements.lock", "build.lock"])
def test_a_lock_pins_and_hashes_everything_and_names_no_address(name: str) -> None:
    text = (LOCK.parent / name).read_text()
    assert "://" not in text
    assert "index" not in text
    for block in re.split(r"(?m)^(?=\S)", text)[1:]:
        assert PINNED.match(block), block
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


def test_the_lock_is_of_this_project() -> None:
    """Whatever the project asks for is there in a version it allows, and whatever that asks for, too."""
    project = tomllib.loads((dockerfile.ROOT / "pyproject.toml").read_text())["project"]
    locked = pinned(LOCK.read_text())
    wanted = [Requirement(one) for one in project["dependencies"]]
    seen: set[str] = set()
    while wanted:
        one = wanted.pop()
        name = canonicalize_name(one.name)
        assert name in locked, f"{name} is not locked: python deploy/lock.py"
        assert one.specifier.contains(locked[name][0], prereleases=True), f"{one}: python deploy/lock.py"
        if name not in seen:
            seen.add(name)
            wanted += [told for told in _needs(one, locked[name][0]) if _applies(told, one.extras)]


def _needs(one: Requirement, version: str) -> list[Requirement]:
    """What a version asks for; nothing where another one is installed here, which may ask for something else."""
    if metadata.version(one.name) != version:
        return []
    return [Requirement(told) for told in metadata.requires(one.name) or ()]


def _applies(told: Requirement, extras: set[str]) -> bool:
    marker = told.marker
    here = {key: str(value) for key, value in default_environment().items()}
    return marker is None or any(marker.evaluate({**here, "extra": extra}) for extra in (*extras, ""))


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
