"""OpenTelemetry, and nothing else knows it: units' spans on their way to an OTLP receiver, and ingest's own.

Where spans go, and how, is said by the standard `OTEL_*` variables, which the exporter reads itself: endpoint, headers,
certificates, compression, timeout. What a unit's trace is made of is in `mes.domain.trace`; when it is sent, in
`mes.feeds.traces`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any, Final, TypeVar

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link as OtelLink
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace import Status as OtelStatus

from mes.domain.trace import Attribute, Link, Span, Status
from mes.metrics import Metrics

T = TypeVar("T")
log = logging.getLogger(__name__)

SPANS_MAX: Final = 512
"""Most spans in one request."""
REFUSED: Final = frozenset({400, 413, 422})
"""Answers that mean that a request will never be taken: OTLP forbids to send it again."""
CLOSE_S: Final = 2.0
"""How long a process that ends waits for its last spans to be sent."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_CODES: Final = {Status.UNSET: StatusCode.UNSET, Status.OK: StatusCode.OK, Status.ERROR: StatusCode.ERROR}


class NotSent(Exception):  # noqa: N818 - what became of spans, not an error of ours
    """The receiver can't be reached or does not take spans now; the text says why."""


class UnitSpans:
    """Sends units' spans. One that is sent again has the same ids, so a receiver that stores by id stores it once."""

    def __init__(self, site: str, metrics: Metrics) -> None:
        """`site` tells the spans of several factories apart. Raises ValueError where a variable can't be read."""
        self._sent = metrics.counter("mes_spans_sent_total", "Units' spans that the receiver took.")
        self._refused = metrics.counter("mes_spans_refused_total", "Units' spans that the receiver refuses for good.")
        self._resource = resource(site)
        self._answered: int | None = None
        session = requests.Session()
        session.hooks["response"].append(self._note_answer)
        self._exporter = OTLPSpanExporter(session=session)

    async def send(self, spans: Sequence[Span]) -> None:
        """Send spans and return when they were taken; raises NotSent.

        A span that the receiver will never take is logged and left out, so that those behind it are sent.
        """
        for at in range(0, len(spans), SPANS_MAX):
            await self._send(spans[at : at + SPANS_MAX])

    def close(self) -> None:
        """Give up what is being tried."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    async def _send(self, spans: Sequence[Span]) -> None:
        taken = await _in_thread(lambda: self._export(spans))
        if taken:
            self._sent.add(len(spans))
            return
        if self._answered not in REFUSED:
            raise NotSent(f"it answered {self._answered}" if self._answered else "it can't be reached")
        if len(spans) == 1:
            self._refused.add()
            log.error("the receiver refuses span %s of trace %s for good", spans[0].span_id, spans[0].trace_id)
            return
        middle = len(spans) // 2
        await self._send(spans[:middle])
        await self._send(spans[middle:])

    def _export(self, spans: Sequence[Span]) -> bool:
        self._answered = None
        result = self._exporter.export([readable(span, self._resource) for span in spans])
        # The exporter takes a redirect for success; nobody stored anything.
        return result is SpanExportResult.SUCCESS and (self._answered or 0) < 300

    def _note_answer(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._answered = response.status_code


class OwnSpans:
    """Spans of what the MES itself does: sent in the background, dropped where nobody takes them."""

    def __init__(self, site: str, process: str) -> None:
        self._provider = TracerProvider(resource=resource(site, process), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("mes")

    def tell(
        self,
        name: str,
        started_at: datetime,
        ended_at: datetime,
        attributes: dict[str, Attribute],
        links: Iterable[Link] = (),
        *,
        failed: bool = False,
    ) -> None:
        """Something that was done, as a trace of its own."""
        span = self._tracer.start_span(
            name,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=_links(links),
            start_time=_nanoseconds(started_at),
        )
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(_nanoseconds(ended_at))

    def close(self) -> None:
        """Send what is left, for a moment at most."""
        last = Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(CLOSE_S)


def resource(site: str, process: str | None = None) -> Resource:
    """Who speaks. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say it better if they are set."""
    told = {"service.name": "mes", "mes.site": site, **({"service.instance.id": process} if process else {})}
    return Resource(told).merge(OTELResourceDetector().detect())


def readable(span: Span, of: Resource) -> ReadableSpan:
    """A unit's span as the SDK's exporters take it."""
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
        resource=of,
        attributes={**span.attributes, "mes.kind": span.kind},
        links=_links(span.links),
        kind=SpanKind.INTERNAL,
        status=OtelStatus(_CODES[span.status]),
        start_time=_nanoseconds(span.started_at),
        end_time=_nanoseconds(span.ended_at),
        instrumentation_scope=InstrumentationScope("mes.units"),
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _links(links: Iterable[Link]) -> list[OtelLink]:
    return [OtelLink(_context(one.trace_id, one.span_id), {"mes.relation": one.relation.value}) for one in links]


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000


async def _in_thread(work: Callable[[], T]) -> T:
    """Work that blocks, in a thread that never keeps a process from ending, as the loop's own threads would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except BaseException as error:
            failed = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failed)

    Thread(target=run, daemon=True).start()
    return await done
