"""Serials of what is built here, drawn from each product's own pattern and reserved when it is ordered.

The ERP names them in its orders. They say the same year and week whenever the floor runs, so that the same seed gives
the same serials.
"""

from typing import Final

from stations.floor.products import Catalog

BLOCK: Final = 100_000
"""Numbers that one floor may use of each pattern."""
DATE: Final = {"yyyy": "2026", "yy": "26", "ww": "45"}


class Serials:
    """The serials of one floor: those of its block."""

    def __init__(self, catalog: Catalog, block: int) -> None:
        self._catalog = catalog
        self.block = block
        self._first = block * BLOCK + 1
        self._used: dict[str, int] = {}

    def draw(self, part: str, count: int) -> tuple[str, ...]:
        """The next serials of a part."""
        product = self._catalog[part]
        pattern = product.serial_pattern or f"{part}-{{n:06}}"
        used = self._used.get(part, 0)
        self._used[part] = used + count
        numbers = range(self._first + used, self._first + used + count)
        return tuple(pattern.format(n=number, **DATE) for number in numbers)
