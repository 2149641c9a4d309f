"""`python -m domain.http`: serve the API until SIGTERM or SIGINT, then let what was begun end."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from domain.http.application import create_app
from pgqueue.logs import configure

DRAIN_SECONDS = 30


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8000,
    trusted_proxies: Annotated[
        str, typer.Option(help="Addresses, comma separated, whose X-Forwarded-For is believed.")
    ] = "",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve the HTTP API; workers are other processes (pgqueue supervise)."""
    configure(log_level)
    uvicorn.run(
        create_app(),
        host=host,
        port=port,
        access_log=False,  # its lines have the signatures of links to files in them; ours have the route
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
        log_level=log_level,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


if __name__ == "__main__":
    typer.run(serve)
