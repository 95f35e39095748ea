"""`tanhui import` and `tanhui land`: parcels that come in as files, and what is asked of land."""

import typer

from registry.cli.common import app

land_commands = typer.Typer(help="Land: parcels, their claims, and the outlines of counties.")
app.add_typer(land_commands, name="land")


@land_commands.callback()
def land() -> None:
    """Land: parcels, their claims, and the outlines of counties."""
