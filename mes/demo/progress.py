"""How far the floor is, line by line, on the terminal; and, live, what happens on it."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stations.floor.deeds import Deed, Diagnosed, Fact, Ordered, Question, Repaired, Ruled, Shipped, Stopped
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
        """So much is to happen."""
        for line, count in Counter(map(self._line, deeds)).items():
            self._progress.update(self._bars[line], total=count)

    def done(self, deed: Deed) -> None:
        """One thing happened."""
        self._progress.advance(self._bars[self._line(deed)])

    def _line(self, deed: Deed) -> str:
        return self._line_of[deed.what.station] if isinstance(deed.what, Fact | Question | Stopped) else OFFICE


class News:
    """Live: what would be talked about on the floor, as it happens. Use it with `with`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._count = 0
        self._status = console.status("Live production…")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def done(self, deed: Deed) -> None:
        """One thing happened."""
        self._count += 1
        self._status.update(f"Live production: {self._count} things happened so far. Ctrl-C stops everything.")
        if told := _told(deed):
            self._say(told)

    def trouble(self, what: str) -> None:
        """Something went otherwise than planned."""
        self._say(f"[yellow]{escape(what)}[/]")

    def _say(self, what: str) -> None:
        self._console.print(f"[dim]{datetime.now():%H:%M:%S}[/]  {what}")


def _told(deed: Deed) -> str | None:
    what = deed.what
    if isinstance(what, Ordered):
        return f"ERP released {what.number}: {len(what.serials)} × {what.part}"
    if isinstance(what, Stopped):
        return f"[red]{what.unit}[/] broke a limit in {what.step}: the MES stopped the run at {what.station}"
    if isinstance(what, Diagnosed):
        return f"[red]{what.unit}[/] failed {what.step}. {what.by}: {escape(what.found)}"
    if isinstance(what, Repaired):
        return f"[bold]{what.unit}[/] {what.by}: {escape(what.done)} It is tested again."
    if isinstance(what, Ruled):
        return f"[red]{what.unit}[/] {what.by} decided: {what.ruling}. {escape(what.why)}"
    if isinstance(what, Shipped):
        return f"[green]{what.unit}[/] shipped to {what.to}"
    return None
