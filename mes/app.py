"""The application: routers behind one envelope, on one database. Who makes it owns the database and closes it."""

from collections import Counter
from datetime import timedelta

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from mes.db.session import Database
from mes.mqtt.asyncapi import asyncapi
from mes.rest.door import PREFIX
from mes.rest.envelope import API_VERSION, Envelope
from mes.rest.errors import add_handlers
from mes.rest.goods_receipts import goods_receipts
from mes.rest.health import health
from mes.rest.holds import holds
from mes.rest.journal import journal
from mes.rest.lines import lines, stations
from mes.rest.material import material
from mes.rest.messages import messages, twin
from mes.rest.nonconformances import nonconformances
from mes.rest.openapi import openapi
from mes.rest.products import products
from mes.rest.recall import recall
from mes.rest.units import runs, units
from mes.rest.work_orders import work_orders
from mes.settings import Settings
from mes.web.application import Pages, create_pages
from mes.web.hub import Hub

OF_REST = ("/api", "/healthz", "/readyz", "/metrics")
"""Addresses that are not pages: they answer to bearer tokens, or to all."""
ROUTERS = (
    health,
    products,
    work_orders,
    lines,
    stations,
    goods_receipts,
    material,
    units,
    runs,
    recall,
    holds,
    nonconformances,
    twin,
    messages,
    journal,
)


def create_app(database: Database, settings: Settings) -> FastAPI:
    """Both doors on a database that is there and migrated: REST for programs, pages for people."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.database = database
    app.state.settings = settings
    app.state.answers = Counter[tuple[str, int]]()
    add_handlers(app)
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    app.state.addresses = [(route.path_regex, route.methods) for route in routes]
    for router in ROUTERS:
        app.include_router(router)

    @app.get(f"{PREFIX}/openapi.json", include_in_schema=False)
    async def get_openapi_document() -> JSONResponse:
        return JSONResponse(openapi(app))

    @app.get(f"{PREFIX}/asyncapi.json", include_in_schema=False)
    async def get_asyncapi_document() -> JSONResponse:
        return JSONResponse(asyncapi(str(API_VERSION)))

    app.state.hub = Hub(database, timedelta(hours=settings.login_idle_hours))
    app.router.routes.append(Pages(create_pages(database, settings, app.state.hub), but=OF_REST))
    app.add_middleware(Envelope, body_max_bytes=settings.body_max_bytes, answers=app.state.answers)
    return app
