"""A process's own numbers, as a Prometheus server reads them (text format 0.0.4), and the address where it does.

Written by hand: what is needed of the format fits on a page, and a batch of a thousand lags goes into a histogram in
one call. Nothing here knows what is counted.
"""

import asyncio
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

REQUEST_MAX_BYTES: Final = 8192
REQUEST_TIMEOUT_S: Final = 5.0
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Labels = tuple[tuple[str, str], ...]


class Metric:
    """Values by labels under one name. `kind` is counter or gauge."""

    def __init__(self, name: str, kind: str, told: str) -> None:
        self.name, self.kind, self.told = name, kind, told
        self._values: dict[_Labels, float] = {}

    def add(self, amount: float = 1, **labels: str) -> None:
        """Count on."""
        key = tuple(sorted(labels.items()))
        self._values[key] = self._values.get(key, 0) + amount

    def set(self, value: float, **labels: str) -> None:
        """Note how it is now."""
        self._values[tuple(sorted(labels.items()))] = value

    def lines(self) -> Iterator[str]:
        """Its values as text."""
        for labels, value in sorted(self._values.items()):
            yield f"{self.name}{_shown(labels)} {_number(value)}"


class Histogram:
    """How values are spread: counts up to each inclusive bound, and beyond the last."""

    kind = "histogram"

    def __init__(self, name: str, told: str, bounds: Sequence[float]) -> None:
        self.name, self.told, self.bounds = name, told, tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0

    def observe(self, values: Iterable[float]) -> None:
        """Take in some values."""
        seen = list(values)
        for at, count in Tally([bisect_left(self.bounds, value) for value in seen]).items():
            self._counts[at] += count
        self._sum += sum(seen)

    def lines(self) -> Iterator[str]:
        """Its buckets as text, each with all below it."""
        total = 0
        for bound, count in zip((*map(_number, self.bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{le="{bound}"}} {total}'
        yield f"{self.name}_sum {_number(self._sum)}"
        yield f"{self.name}_count {total}"


class Metrics:
    """All numbers of one process, or of one answer."""

    def __init__(self) -> None:
        self._all: list[Metric | Histogram] = []

    def counter(self, name: str, told: str) -> Metric:
        """What only grows."""
        return self._keep(Metric(name, "counter", told))

    def gauge(self, name: str, told: str, value: float | None = None) -> Metric:
        """What goes up and down."""
        metric = self._keep(Metric(name, "gauge", told))
        if value is not None:
            metric.set(value)
        return metric

    def histogram(self, name: str, told: str, bounds: Sequence[float]) -> Histogram:
        """What is spread; `bounds` rise."""
        histogram = Histogram(name, told, bounds)
        self._all.append(histogram)
        return histogram

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        lines: list[str] = []
        for one in self._all:
            lines += [f"# HELP {one.name} {_escaped(one.told)}", f"# TYPE {one.name} {one.kind}", *one.lines()]
        return "\n".join(lines) + "\n"

    def _keep(self, metric: Metric) -> Metric:
        self._all.append(metric)
        return metric


@asynccontextmanager
async def told_at(metrics: Metrics, host: str, port: int) -> AsyncIterator[None]:
    """Answer `GET /metrics` (and `/healthz`) on an address while the block lasts."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head, metrics.text))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, host, port, limit=REQUEST_MAX_BYTES)
    try:
        yield
    finally:
        server.close()


def _answer(head: bytes, text: Callable[[], str]) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    status, body = "404 Not Found", "There is /metrics and /healthz.\n"
    if method not in (b"GET", b"HEAD"):
        status, body = "405 Method Not Allowed", "Only GET.\n"
    elif path in (b"/metrics", b"/healthz"):
        status, body = "200 OK", text() if path == b"/metrics" else "alive\n"
    content = body.encode()
    told = f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(content)}\r\n"
    return f"{told}Connection: close\r\n\r\n".encode() + (b"" if method == b"HEAD" else content)


def _shown(labels: _Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in labels) + "}" if labels else ""


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
