"""`tanhui backup` and `restore`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ledger.client import files_at
from registry.cli.common import (
    HomeOption,
    JsonOption,
    VkeyOption,
    app,
    console,
    existing,
    home_at,
    progress_bar,
    verifiers_spelled,
)
from registry.settings import Home


@app.command()
def backup(
    target: Annotated[
        Path, typer.Argument(help="the archive to make, or a folder for one named by the time")
    ],
    home: HomeOption = None,
    keys: Annotated[bool, typer.Option("--keys/--without-keys", help="take the encrypted keys too")] = True,
    secret: Annotated[
        bool, typer.Option("--with-secret", help="take the file keys/secret too, which opens the keys")
    ] = False,
    check: Annotated[
        bool, typer.Option("--audit/--no-audit", help="restore a copy of it and audit that")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Make one archive of everything, also while the registry is serving, and audit a copy of it."""
    from registry.backup import backup as make_backup
    from registry.cli.desk import print_report

    with progress_bar() as advance:
        made = make_backup(existing(home), target, advance, keys=keys, secret=secret, check=check)
    if as_json:
        said = {"path": str(made.path), "size": made.manifest.size, "root": made.manifest.root}
        console.print_json(json.dumps({**said, "audit": made.report and made.report.to_json()}))
    else:
        if made.report is not None:
            print_report(console, made.report)
        console.print(f"wrote {made.path}: {made.manifest.size:,} entries", soft_wrap=True)
        if keys and not secret:
            console.print("[yellow]keys/secret is not in it[/yellow]: keep it, or the passphrase, elsewhere")
    if made.report is not None and not made.report.passed:
        raise typer.Exit(1)


@app.command()
def restore(
    archive: Annotated[
        Path | None, typer.Argument(help="the archive; without one, go on with a restored home")
    ] = None,
    home: HomeOption = None,
    vkey: VkeyOption = None,
    published: Annotated[
        str | None,
        typer.Option("--catch-up", metavar="URL|DIR", help="bring what was published after the backup"),
    ] = None,
    nothing_newer: Annotated[
        bool, typer.Option("--nothing-newer", help="declare that nothing was published after the backup")
    ] = False,
) -> None:
    """Make a home of an archive, audit it, and catch up with the published log."""
    from registry.cli.desk import print_report
    from registry.restore import restore as make_home

    if published is not None and nothing_newer:
        raise typer.BadParameter("either --catch-up or --nothing-newer")
    target = home_at(home)
    if archive is not None:
        with progress_bar() as advance:
            manifest, report = make_home(
                archive, target, advance, vkey=None if vkey is None else verifiers_spelled(vkey)[-1].vkey
            )
        print_report(console, report)
        console.print(
            f"restored {target.path}: {manifest.size:,} entries as of {manifest.created_at}", soft_wrap=True
        )
    _go_on(existing(home), published, nothing_newer)


def _go_on(target: Home, published: str | None, nothing_newer: bool) -> None:
    """Take the mark of a restored home away, on one ground or the other."""
    from registry.catchup import catch_up, declare_newest
    from registry.cli.desk import print_report

    if published is not None:
        with progress_bar() as advance:
            caught = catch_up(target, files_at(published), advance)
        print_report(console, caught.report)
        console.print(f"caught up from {caught.before:,} to {caught.size:,} entries")
        for lost in caught.lost:
            console.print(f"[yellow]to be supplied[/yellow] {lost}", soft_wrap=True)
        if not caught.report.passed:
            raise typer.Exit(1)
    elif nothing_newer:
        declare_newest(target)
        console.print("declared: nothing was published after the backup")
    elif target.restored.exists():
        console.print("[yellow]it signs nothing yet[/yellow]: --catch-up or --nothing-newer", soft_wrap=True)
