"""What is for machines: whether we live, and stored objects by signed links."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from domain.http.requests import App, Nobody

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """We are here, and so is the database."""

    status: Literal["ok"] = "ok"


@router.get("/health")
async def health(app: App, nobody: Nobody) -> Health:
    """Tell whether requests can be served."""
    await app.reading.check_health(nobody)
    return Health()


@router.get(
    "/files/{key:path}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The object.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        404: {"description": "The link is not good, or not any more."},
        502: {"description": "The store of objects failed."},
    },
)
async def open_file(
    app: App,
    nobody: Nobody,
    key: str,
    expires: Annotated[str, Query(max_length=20)],
    signature: Annotated[str, Query(max_length=100)],
) -> StreamingResponse:
    """Give out a stored object. The link is the permission: it was made for one object and some minutes."""
    opened = await app.reading.open_file(nobody, key, expires=expires, signature=signature)
    headers = {"Content-Length": str(opened.size), "Content-Disposition": "attachment"}
    return StreamingResponse(opened.chunks, media_type=opened.media_type, headers=headers)
