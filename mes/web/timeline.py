"""A unit's trace as a timeline: a row for each step, nonconformance and hold, and the unit's moments above them."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mes.queries.traces import SpanView, TraceView
from mes.web.drawing import lasting

WIDTH: Final = 1000
LEFT: Final = 170
ROW: Final = 20
HEAD: Final = 24
TICKS: Final = 6
ROWS_MAX: Final = 60
_LIVED: Final = ("step", "nonconformance", "hold")
_MOVED: Final = ("installation", "removal")
_QUIET: Final = ("ask", "identification")
_TONES: Final = {"step": "busy", "run": "good", "nonconformance": "bad", "hold": "wait"}


class Mark(NamedTuple):
    """A bar (`width` in pixels) or a moment (0), in words on the pointer; {} in them is `at`."""

    x: float
    width: float
    tone: str
    text: str
    at: datetime


class Row(NamedTuple):
    """A line of the timeline."""

    y: int
    name: str
    marks: list[Mark]


class Timeline(NamedTuple):
    """A drawing of `height` pixels. `ticks`: where, and the moment there, said as `form`; `left_out`: rows without
    room."""

    height: int
    rows: list[Row]
    ticks: list[tuple[float, datetime]]
    form: str
    left_out: int


def timeline(trace: TraceView, now: datetime) -> Timeline | None:
    """The timeline of a trace; None where nothing happened. What is open lasts until now."""
    if not trace.spans and not trace.open:
        return None
    begins = [one.started_at for one in trace.spans] + [one.started_at for one in trace.open]
    ends = [one.ended_at for one in trace.spans] + ([now] if trace.open else [])
    scale = _Scale(min(begins), max(*ends, min(begins) + timedelta(seconds=1)))
    named: dict[str, list[Mark]] = {"life": [], "parts": []}
    for span in trace.spans:
        if span.kind not in _QUIET:
            named.setdefault(_row_of(span), []).append(scale.mark(span))
    for one in trace.open:
        tone = f"{_TONES.get(one.kind, 'busy')} is-open"
        mark = scale.bar(one.started_at, max(now, one.started_at), tone, f"{_plain(one.name)}, open since {{}}")
        named.setdefault(f"{one.kind}: {one.name}" if one.kind != "step" else one.name, []).append(mark)
    rows = [(name, marks) for name, marks in named.items() if marks]
    told = [Row(HEAD + index * ROW, name, marks) for index, (name, marks) in enumerate(rows[:ROWS_MAX])]
    return Timeline(HEAD + len(told) * ROW + 6, told, scale.ticks(), scale.form, max(len(rows) - ROWS_MAX, 0))


def _plain(name: str) -> str:
    """A name without what would be read as the place of a moment."""
    return name.replace("{}", "")


def _row_of(span: SpanView) -> str:
    if span.kind in _MOVED:
        return "parts"
    if span.kind in ("step", "run"):
        return str(span.attributes.get("mes.step", span.name))
    return f"{span.kind}: {span.name}" if span.kind in _LIVED else "life"


class _Scale:
    def __init__(self, begin: datetime, end: datetime) -> None:
        self.begin, self.end = begin, end

    def x(self, at: datetime) -> float:
        share = (at - self.begin) / (self.end - self.begin)
        return round(LEFT + (WIDTH - LEFT - 12) * share, 1)

    def mark(self, span: SpanView) -> Mark:
        tone = "bad" if span.status == "error" else _TONES.get(span.kind, "good")
        length = span.ended_at - span.started_at
        text = f"{_plain(span.name)}, {{}}"
        if not length:
            return Mark(self.x(span.started_at), 0, tone, text, span.started_at)
        return self.bar(span.started_at, span.ended_at, tone, f"{text}, {lasting(length)}")

    def bar(self, begin: datetime, end: datetime, tone: str, text: str) -> Mark:
        return Mark(self.x(begin), max(round(self.x(end) - self.x(begin), 1), 2.5), tone, text, begin)

    @property
    def form(self) -> str:
        """How exactly a moment is said, by how long it all lasts."""
        length = self.end - self.begin
        return "%m-%d %H:%M" if length > timedelta(hours=20) else "%H:%M:%S" if length < timedelta(hours=1) else "%H:%M"

    def ticks(self) -> list[tuple[float, datetime]]:
        moments = [self.begin + (self.end - self.begin) * index / (TICKS - 1) for index in range(TICKS)]
        return [(self.x(one), one) for one in moments]
