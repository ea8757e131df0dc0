"""How far the floor is, line by line, on the terminal."""

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stations.floor.deeds import Deed, Fact, Question
from stations.floor.plant import Plant

OFFICE = "office"


class LineProgress:
    """A bar for each line, and one for the office. Use it with `with`."""

    def __init__(self, console: Console, plant: Plant) -> None:
        self._line_of: Mapping[str, str] = {bench.name: bench.line for bench in plant.benches}
        columns = (TextColumn("{task.description:<12}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, refresh_per_second=4)
        self._bars = {line: self._progress.add_task(line, total=0) for line in (*plant.lines(), OFFICE)}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def expect(self, deeds: list[Deed]) -> None:
        """So much more is to happen."""
        for line, count in Counter(map(self._line, deeds)).items():
            task = self._progress.tasks[self._bars[line]]
            self._progress.update(self._bars[line], total=(task.total or 0) + count)

    def done(self, deed: Deed) -> None:
        """One thing happened."""
        self._progress.advance(self._bars[self._line(deed)])

    def _line(self, deed: Deed) -> str:
        return self._line_of[deed.what.station] if isinstance(deed.what, Fact | Question) else OFFICE
