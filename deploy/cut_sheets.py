"""The rules by which the shipped cut sheets are wired: `python deploy/cut_sheets.py` writes both again.

A cartridge joins one accelerator of each compute tray to each switch tray; a pod's top-of-rack switches form a cube.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Final

PRODUCTS: Final = Path(__file__).parent / "products"
TRAYS: Final = tuple(f"U{unit:02}" for unit in (*range(9, 19), *range(28, 36)))
SWITCH_TRAYS: Final = tuple(f"U{unit:02}" for unit in range(19, 28))
ASICS: Final = (1, 2)
PAIRS: Final = (1, 2, 3, 4)
RACKS: Final = 8
PLANES: Final = ("U40", "U41")
FIRST_UPLINK: Final = 59
TRUNK_LENGTHS: Final = {1: "5m", 2: "7m", 4: "10m"}
"""By how many racks a trunk spans."""
_END: Final = ("Hostname", "Hall", "Aisle", "Rack", "Shelf U", "Tray", "Port", "Label", "Node Type")

Row = tuple[str, ...]


def cartridge() -> Iterator[Row]:
    """A row per pair: an accelerator's link n ends at ASIC n of the rack, at the port that its tray has there."""
    asics = list(product(SWITCH_TRAYS, ASICS))
    for (number, tray), (link, (switch, asic)), pair in product(enumerate(TRAYS, 1), enumerate(asics, 1), PAIRS):
        yield tray, f"{tray}-L{link:02}-P{pair}", switch, f"{switch}-A{asic}-T{number:02}-P{pair}", "", "TWX-30AWG"


def pod() -> Iterator[Row]:
    """A row per trunk, two between neighbours of the cube: racks whose numbers, counted from 0, differ in one bit."""
    for span, plane, rack, cable in product(TRUNK_LENGTHS, PLANES, range(RACKS), (0, 1)):
        if not rack & span:
            port = FIRST_UPLINK + 2 * (span.bit_length() - 1) + cable
            ends = _port(rack, plane, port), _port(rack | span, plane, port)
            yield *ends[0], *ends[1], TRUNK_LENGTHS[span], "MPO12-SM"


def _port(rack: int, plane: str, port: int) -> Row:
    number = f"{rack + 1:02}"
    label = f"H1A{number}{plane}-1-{port}"
    return f"tor-a{number}-{plane.lower()}", "H1", "A", number, plane, "1", str(port), label, "TOR"


def sheet(end: Row, rows: Iterable[Row]) -> str:
    """A cut sheet's text: both header rows, then the cables."""
    blank = ("",) * (len(end) - 1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("Source", *blank, "Destination", *blank, "Cable Length", "Cable Type"))
    writer.writerow((*end, *end, "", ""))
    writer.writerows(rows)
    return text.getvalue()


def sheets() -> dict[str, str]:
    """Every cut sheet's text by its file's name."""
    return {"cartridge-netlist.csv": sheet(("Tray", "Label"), cartridge()), "pod-cut-sheet.csv": sheet(_END, pod())}


if __name__ == "__main__":
    for name, text in sheets().items():
        (PRODUCTS / name).write_text(text)
