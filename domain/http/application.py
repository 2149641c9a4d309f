"""The application that uvicorn serves: routes, errors, the outermost layer, and what is opened while it lives."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from domain.composition import Application, open_application
from domain.http import problems
from domain.http.edge import Edge
from domain.http.openapi import describe
from domain.http.routes import ROUTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def create_app(opened: Callable[[], AbstractAsyncContextManager[Application]] = open_application) -> FastAPI:
    """Make the application; what ``opened`` opens is open from the server's start to its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened() as application:
            app.state.application = application
            yield

    app = FastAPI(
        title="Social Media Manager",
        version="1",
        description="Posts on social networks, written once, published by a queue.",
        lifespan=lifespan,
        generate_unique_id_function=_operation,
        redirect_slashes=False,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app, methods_of)
    app.add_middleware(Edge)
    app.openapi = lambda: describe(app, routes())  # type: ignore[method-assign] # FastAPI's own way
    return app


def routes() -> dict[str, APIRoute]:
    """Return every route of ours by the name of its operation."""
    found = [route for router in ROUTERS for route in _of(router)]
    return {_operation(route): route for route in found}


def methods_of(path: str) -> list[str]:
    """Return the methods that a path takes."""
    fitting = [route.methods or set() for route in routes().values() if route.path_regex.match(path)]
    return sorted(set().union(*fitting))


def _of(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def _operation(route: APIRoute) -> str:
    return route.name
