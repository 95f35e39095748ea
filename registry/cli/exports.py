"""`tanhui export`: what leaves the installation as a file. Rooms add their commands to `export_commands`."""

from pathlib import Path
from typing import Annotated

import typer

from registry.cli.common import HomeOption, LogOption, VkeyOption, app, console, write_file
from registry.cli.logs import log_client

export_commands = typer.Typer(
    help="Write books, runs, reports and catalogues as files that others can read.",
    invoke_without_command=True,
)
app.add_typer(export_commands, name="export")


@export_commands.callback()
def export(
    context: typer.Context,
    hledger: Annotated[
        Path | None,
        typer.Option("--hledger", help="write a log's postings here, a journal for hledger or ledger"),
    ] = None,
    home: HomeOption = None,
    log: LogOption = None,
    vkey: VkeyOption = None,
) -> None:
    """Write books, runs, reports and catalogues as files that others can read."""
    if context.invoked_subcommand is not None:
        return
    if hledger is None:
        raise typer.BadParameter("say what: --hledger FILE, or one of the commands that --help lists")
    _write_journal(hledger, home, log, vkey)


def _write_journal(file: Path, home: Path | None, log: str | None, vkey: str | None) -> None:
    """All postings of a log, verified and replayed first."""
    from ledger.journal import heading, transactions
    from ledger.replay import LedgerState

    state, lines = LedgerState(), [""]

    def visit(index: int, leaf: bytes) -> None:
        lines.extend(transactions(state.apply(leaf)))

    client = log_client(home, log, vkey)
    client.verify()  # first, so that a file that was touched is named as such, and nothing in it is replayed
    checked = client.verify(visit=visit)
    lines[0] = heading(checked.head.checkpoint)
    write_file(file, "".join(lines).encode("ascii"))
    console.print(
        f"wrote {len(lines) - 1:,} transactions of {state.size:,} entries to {file}", soft_wrap=True
    )
