"""A receiver of spans over OTLP/HTTP: it decodes what arrives, and can refuse, fail or hang."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Received:
    """A span as it arrived; links are (trace, span, relation)."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    started_ns: int
    ended_ns: int
    status: int
    attributes: dict[str, Any]
    links: tuple[tuple[str, str, str], ...]
    resource: dict[str, Any]


@dataclass
class Receiver:
    """What a receiver has heard. While `answer` is not 200 nothing is kept; `refuses` makes it refuse some requests."""

    url: str = ""
    answer: int = 200
    requests: int = 0
    refuses: str = ""
    spans: list[Received] = field(default_factory=list)

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def of(self, unit_id: str) -> list[Received]:
        return [span for span in self.spans if span.trace_id == unit_id.replace("-", "")]

    @property
    def ids(self) -> set[tuple[str, str]]:
        return {(span.trace_id, span.span_id) for span in self.spans}

    def take(self, body: bytes) -> int:
        self.requests += 1
        if self.answer != 200:
            return self.answer
        spans = list(decoded(body))
        if self.refuses and any(span.name == self.refuses for span in spans):
            return 400
        self.spans += spans
        return 200

    def clear(self) -> Self:
        self.spans.clear()
        return self


def decoded(body: bytes) -> Iterator[Received]:
    """The spans of a request."""
    request = ExportTraceServiceRequest.FromString(body)
    for batch in request.resource_spans:
        resource = _attributes(batch.resource.attributes)
        for scope in batch.scope_spans:
            for span in scope.spans:
                links = tuple(
                    (link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes).get("mes.relation", ""))
                    for link in span.links
                )
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                times = (span.start_time_unix_nano, span.end_time_unix_nano)
                told = _attributes(span.attributes)
                yield Received(*ids, span.name, *times, span.status.code, told, links, resource)


def _attributes(given: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in given}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status = receiver.take(body) if self.path == "/v1/traces" else 404
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
