"""`tanhui serve` and `demo`."""

import gc
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.common import HomeOption, app, console, errors, home_at
from registry.cli.installing import clock_advance
from registry.settings import Settings


@app.command()
def serve(
    home: HomeOption = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on", min=0, max=65535)] = 8000,
    clock: Annotated[
        datetime | None, typer.Option(help="advance the simulated clock to this UTC instant first")
    ] = None,
) -> None:
    """Serve the pages, the API and the log."""
    import socket

    import uvicorn

    from registry.app import create_app
    from registry.installation import opened

    if clock is not None:
        clock_advance(clock, home)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, port), family=family) as listening,
        opened(home_at(home), passphrase=Settings().key_passphrase) as installation,
    ):
        if not installation.home.anchors:
            errors.print(
                "[yellow]no anchor[/yellow]: nothing tells a roll-back of the whole home; set TANHUI_ANCHOR",
                soft_wrap=True,
            )
        address = f"[{host}]" if family is socket.AF_INET6 else host
        console.print(
            f"serving {installation.home.path} at http://{address}:{listening.getsockname()[1]}",
            soft_wrap=True,
        )
        server = uvicorn.Server(uvicorn.Config(create_app(installation), log_level="warning"))
        _collect_less()
        server.run(sockets=[listening])


def _collect_less() -> None:
    """Let the garbage collector pass over the program itself, which stays, and look less often at what
    requests make, which nearly all goes by itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@app.command()
def demo(
    once: Annotated[
        Path, typer.Option("--once", help="run the whole life of a credit in this new folder, then exit")
    ],
    parcels: Annotated[
        Path | None, typer.Option(help="your own parcels file instead of the generated one")
    ] = None,
    agb: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="your own biomass rasters (t/ha) at the start and the end"),
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="your own sample plots (CSV)")] = None,
) -> None:
    """From a polygon to a certificate, with every step shown."""
    from registry.demo import run

    run(once, parcels=parcels, agb=agb, plots=plots, say=lambda line: console.print(line, soft_wrap=True))
