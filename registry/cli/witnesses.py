"""`tanhui log witness`: make a witness, and run it."""

import socket
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from registry.cli.common import verifiers_spelled
from registry.settings import Settings

commands = typer.Typer(
    help="Run a witness of somebody's log (c2sp.org/tlog-witness); `init` makes one.",
    invoke_without_command=True,
)
console = Console(highlight=False)

FolderOption = Annotated[Path, typer.Option("--dir", help="the witness's own folder")]


@commands.callback()
def run(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Option("--dir", help="the witness's own folder")] = None,
    logs: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="VKEY",
            help="a log's verifier key, or a file with it; again for more keys or logs",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on", min=0, max=65535)] = 8100,
) -> None:
    """Answer `POST /add-checkpoint` for the logs that are named, until stopped."""
    if context.invoked_subcommand is not None:
        return
    if folder is None or not logs:
        raise typer.BadParameter("--dir and at least one --log are needed")
    import uvicorn

    from registry.witness import KEPT_S, MOST_AT_ONCE, open_witness, witness_app

    known = [verifier for spelled in logs for verifier in verifiers_spelled(spelled)]
    witness = open_witness(folder, known, passphrase=Settings().key_passphrase)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        address = f"[{host}]" if family is socket.AF_INET6 else host
        console.print(
            f"witness {witness.name} at http://{address}:{listening.getsockname()[1]} knows "
            f"{', '.join(witness.logs)}",
            soft_wrap=True,
        )
        config = uvicorn.Config(
            witness_app(witness),
            log_level="warning",
            timeout_keep_alive=KEPT_S,
            limit_concurrency=MOST_AT_ONCE,
        )
        uvicorn.Server(config).run(sockets=[listening])


@commands.command("init")
def init(
    folder: FolderOption,
    name: Annotated[str, typer.Option(help="its name in cosignatures, for example witness.example/w1")],
    ml_dsa: Annotated[
        bool, typer.Option("--ml-dsa", help="sign a second line with ML-DSA-44, which quanta do not break")
    ] = False,
) -> None:
    """Make a witness: a folder with an encrypted key. Its verifier keys are printed, for policies."""
    from registry.witness import create_witness

    witness = create_witness(folder, name, ml_dsa=ml_dsa, passphrase=Settings().key_passphrase)
    for vkey in witness.vkeys:
        typer.echo(vkey)
