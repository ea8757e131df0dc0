"""The board: every line and station as it is now."""

from fastapi import Request, Response

from mes.web.door import pages
from mes.web.pages import page

board = pages()


@board.get("/")
async def board_page(request: Request) -> Response:
    """The board."""
    return page(request, "board.html")
