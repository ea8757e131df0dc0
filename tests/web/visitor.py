"""What page tests do over and over: open a page as somebody, and send the form that is on it."""

from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from mes.commands.logins import form_token
from mes.db.session import Database


@dataclass
class Visitor:
    """The application and a browser; each call is made as a role, or as nobody with `role=None`."""

    app: FastAPI
    database: Database
    client: httpx.AsyncClient
    logins: dict[str, str]

    async def get(self, path: str, role: str | None = "admin", **more: Any) -> httpx.Response:
        """Open a page."""
        return await self.client.get(path, headers=self._headers(role, more), **more)

    async def post(
        self, path: str, form: dict[str, str] | None = None, *, role: str | None = "admin", **more: Any
    ) -> httpx.Response:
        """Send a form, with the token that a form of this login carries."""
        token = {"form_token": form_token(self.logins[role])} if role else {}
        return await self.client.post(path, data={**token, **(form or {})}, headers=self._headers(role, more), **more)

    def _headers(self, role: str | None, more: dict[str, Any]) -> dict[str, str]:
        given = {"Cookie": f"mes_login={self.logins[role]}"} if role else {}
        return {**given, **more.pop("headers", {})}
