"""A live page's two halves: the page as it is opened, and the stream that keeps it so.

A page that is live extends `live.html`; the parts of its picture lie in `main` and nowhere else.
"""

from collections.abc import Hashable
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from mes.web.door import COOKIE, hub_of
from mes.web.pages import FORM_TOKEN, page
from mes.web.streams import View

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
"""A proxy in front may not wait until there is more to send."""


async def live_page(request: Request, template: str, view: View, stream: str, **told: Any) -> Response:
    """A page with a view's picture in it; `stream` is the address that it hears of changes from."""
    hub = hub_of(request)
    picture, at = await hub.picture(view)
    whole = picture.whole().replace(FORM_TOKEN, request.state.login.form_token)
    return page(request, template, picture=whole, stream=stream, data_at=at, **told)


def live_stream(request: Request, key: Hashable, view: View) -> Response:
    """The stream of a view; `key` is the same for all pages that show the same."""
    told = hub_of(request).stream(key, view, request.cookies.get(COOKIE, ""))
    return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)
