"""Nothing that is committed names a machine, a download address or a secret."""

import re

from tests.house.sources import committed_texts

HERE = "tests/house/test_places.py"
FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(home|Users|work|workspace)/[\w.-]+"),
    "a download address": re.compile(
        r"(files\.pythonhosted|(?<![\w.])pypi\.org|registry\.npmjs|deb\.debian|archive\.ubuntu|\bmirrors?\.\w+\.)", re.I
    ),
    "an index option": re.compile(r"--(extra-)?index-url|UV_(DEFAULT_)?INDEX|PIP_INDEX|\[\[tool\.uv\.index\]\]"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an address in a private network": re.compile(
        r"(?<![\d.])(10\.\d+|192\.168|172\.(1[6-9]|2\d|3[01]))\.\d+\.\d+(?![\d.])"
    ),
}


def test_nothing_names_a_machine() -> None:
    found = [
        f"{name}:{number} names {what}: {line.strip()[:80]}"
        for name, content in committed_texts()
        if name != HERE
        for number, line in enumerate(content.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert not found, "Make it a setting, or leave it to the machine:\n" + "\n".join(found)
