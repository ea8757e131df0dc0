"""What pages are dressed in: style, script, icon; read once, served by us under addresses that name their content.

An address is valid for ever, so browsers keep the file for a year. An address of an older version, which a page opened
before an update may still ask for, gets the file of today and is not kept.
"""

import gzip
import hashlib
from collections.abc import Callable
from functools import cached_property
from mimetypes import guess_type
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("static")
FOR_EVER: Final = "public, max-age=31536000, immutable"
_PACKED: Final = ("text/", "application/javascript", "image/svg")


class Static:
    """One file. It is read, and packed, when it is first asked for."""

    def __init__(self, name: str, read: Callable[[], bytes]) -> None:
        self.name = name
        self._read = read
        self.media_type = guess_type(name)[0] or "application/octet-stream"

    @cached_property
    def content(self) -> bytes:
        """The file."""
        return self._read()

    @cached_property
    def packed(self) -> bytes | None:
        """The file as gzip; None where that is not worth it."""
        return gzip.compress(self.content, 9, mtime=0) if self.media_type.startswith(_PACKED) else None

    @cached_property
    def digest(self) -> str:
        """What its address names it by."""
        return hashlib.sha256(self.content).hexdigest()[:16]


class Statics:
    """All files, by name."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: Static(path.name, path.read_bytes) for path in folder.iterdir() if path.is_file()}
        self._own = tuple(self._files.values())

    def add(self, name: str, read: Callable[[], bytes]) -> None:
        """One more file, that is not in our folder: a library's own."""
        self._files[name] = Static(name, read)

    def get(self, name: str) -> Static | None:
        """A file."""
        return self._files.get(name)

    @property
    def version(self) -> str:
        """Changes when any of our own files does."""
        together = "".join(sorted(file.digest for file in self._own))
        return hashlib.sha256(together.encode()).hexdigest()[:16]

    def address(self, name: str) -> str:
        """Where a file is."""
        return f"/static/{self._files[name].digest}/{name}"


STATICS: Final = Statics(FOLDER)
