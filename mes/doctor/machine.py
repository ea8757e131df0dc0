"""This machine and what it was told: free disk, and variables that look like settings and are none."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from mes.doctor.findings import Finding

AREA: Final = "machine"
FREE_MIN_BYTES: Final = 2 * 1024**3
FREE_LOW_SHARE: Final = 0.1
_GIB: Final = 1024**3


def examine_disk(folders: Mapping[str, Path]) -> Iterator[Finding]:
    """Free room where things are written, by what it is. A folder that is not there is looked for further up."""
    for what, folder in folders.items():
        there = next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), None)
        if there is not None:
            yield _room(what, there)


def _room(what: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / _GIB:.1f} GiB of {usage.total / _GIB:.1f} are free for {what} ({folder})."
    advice = "Make room: a full disk stops the record, and stations fill their spools."
    if usage.free < FREE_MIN_BYTES:
        return Finding(AREA, f"disk of {what}", "error", text, advice)
    if usage.free < FREE_LOW_SHARE * usage.total:
        return Finding(AREA, f"disk of {what}", "warning", text, advice)
    return Finding(AREA, f"disk of {what}", "fine", text)


def examine_variables(unknown: Mapping[str, str | None]) -> Iterator[Finding]:
    """Variables that are no setting, each with the setting that was perhaps meant."""
    if not unknown:
        yield Finding("settings", "variables", "fine", "Every MES_* variable is a setting.")
    for name, meant in unknown.items():
        text = f"{name} is set and is no setting: it does nothing."
        if meant:
            yield Finding("settings", name, "error", text, f"{meant} was meant, by its looks: correct the name.")
        else:
            yield Finding("settings", name, "warning", text, "`mes settings` lists all there are.")
