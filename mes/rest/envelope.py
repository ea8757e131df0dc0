"""What every answer has in common: a request id, the API's number, a limit on the body, and no bare failure.

The outermost layer, in plain ASGI: it sees every request before any of it is read, and every exception last.
"""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Mapping

import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mes.domain.refusals import SENTENCES
from mes.rest.errors import MEDIA_TYPE, problem_body

API_VERSION = 2
"""Rises with each change of the API and has a line in the CHANGELOG."""

log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,128}")


class _TooLargeError(Exception):
    """More of a body came than is allowed."""


class Envelope:
    """Wraps the whole application. `answers` counts what was answered, by method and status."""

    def __init__(self, app: ASGIApp, *, body_max_bytes: int, answers: Counter[tuple[str, int]]) -> None:
        self.app = app
        self.body_max_bytes = body_max_bytes
        self.answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        scope["request_id"] = request_id
        began = time.perf_counter()
        started = False

        async def send_in_envelope(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self.answers[scope["method"], message["status"]] += 1
                _note(scope, message["status"], time.perf_counter() - began)
                message["headers"] = [*message.get("headers", ()), *_marks(request_id)]
            await send(message)

        try:
            if _declared_bytes(headers) > self.body_max_bytes:
                raise _TooLargeError
            await self.app(scope, self._limited(receive), send_in_envelope)
        except _TooLargeError:
            text = f"The body may have {self.body_max_bytes} bytes at most."
            await _send_problem(send_in_envelope, 413, "too_large", text, request_id)
        except Exception:
            log.exception("request %s failed", request_id, extra={"request_id": request_id})
            if started:
                raise
            await _send_problem(send_in_envelope, 500, "internal_error", SENTENCES["internal_error"], request_id)

    def _limited(self, receive: Receive) -> Receive:
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.body_max_bytes:
                raise _TooLargeError
            return message

        return receive_limited


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's own id if it can stand in a log as it is, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid_utils.uuid7())


def _note(scope: Scope, status: int, took_s: float) -> None:
    """One line for each request. The path as it was sent: percent-encoded, so that it is one line."""
    request_id, path = scope["request_id"], scope.get("raw_path", b"").decode("latin-1")
    told = (request_id, scope["method"], path, status, took_s * 1000)
    log.info("request %s: %s %s %d in %.1f ms", *told, extra={"request_id": request_id})


def _declared_bytes(headers: Mapping[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


def _marks(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-request-id", request_id.encode()), (b"x-mes-api", str(API_VERSION).encode())]


async def _send_problem(send: Send, status: int, code: str, detail: str, request_id: str) -> None:
    body = json.dumps(problem_body(status, code, detail, request_id=request_id)).encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if status == 413:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
