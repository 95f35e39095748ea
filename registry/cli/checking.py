"""`tanhui audit` and `certificate`: what anybody may check."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from registry.cli.common import (
    HomeOption,
    JsonOption,
    LogOption,
    PolicyOption,
    VkeyOption,
    app,
    console,
    existing,
    home_at,
    log_and_key,
    policy_in,
    progress_bar,
)
from registry.errors import HomeMissing, TablesMissing
from registry.settings import Home

certificate_commands = typer.Typer(help="Retirement certificates.", no_args_is_help=True)
app.add_typer(certificate_commands, name="certificate")


@app.command()
def audit(
    folder: Annotated[
        Path | None, typer.Argument(help="the folder with log/, log.vkey and tanhui.db [default: the home]")
    ] = None,
    home: HomeOption = None,
    log_only: Annotated[
        bool, typer.Option("--log-only", help="use nothing but log/ and log.vkey, as a stranger has them")
    ] = False,
    log: LogOption = None,
    vkey: VkeyOption = None,
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="audit the first N entries and say what stood then")
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option(
            "--date", formats=["%Y-%m-%d"], help="and say what stood at the end of this day in China"
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="threads that verify signatures")] = 1,
    since: Annotated[
        Path | None, typer.Option("--since", help="a checkpoint saved before, which the log must continue")
    ] = None,
    policy: PolicyOption = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="and compute every run that holds for a period again")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge a published log entry by entry, and hold an installation's tables and certificates to it."""
    from registry.cli import desk

    asked = (log, size, date, since, policy)
    at_desk = log_only or any(option is not None for option in asked)
    if at_desk and recompute:
        raise typer.BadParameter("a published log has no rasters: --recompute needs an installation")
    again: list[Any] = []
    with progress_bar() as advance:
        if at_desk:
            files, key = log_and_key(folder or home, log, vkey)
            day = None if date is None else date.date()
            audited, until = desk.audit_published(
                files, key, size, day, threads, advance, policy_in(policy), since
            )
            report, said = audited.report, desk.answer_json(audited)
        else:
            report = _audit_home(existing(folder or home), advance)
            again += _recomputed(existing(folder or home), advance) if recompute else []
            said = report.to_json() | ({"runs": [one.to_json() for one in again]} if recompute else {})
    if as_json:
        console.print_json(json.dumps(said))
    else:
        desk.print_report(console, report)
        if at_desk:
            desk.print_standing(console, audited, until)
        for line in (line for one in again for line in one.lines()):
            console.print(line, soft_wrap=True, markup=False)
    if not (report.passed and all(one.same for one in again)):
        raise typer.Exit(1)


def _audit_home(target: Home, advance: Callable[[str, int, int], None]) -> Any:
    from registry.transparency.audit import audit as run_audit

    own_tables = target.database_url == Home.at(target.path).database_url
    if own_tables and not target.own_tables.exists():
        raise TablesMissing(path=str(target.path))
    return run_audit(target, advance)


def _recomputed(target: Home, advance: Callable[[str, int, int], None]) -> list[Any]:
    """The runs that hold for a period, computed again with nothing that a cache says."""
    from registry.database import Database
    from registry.transparency.recomputing import recompute_all

    database = Database(target.database_url)
    try:
        with database.read() as session:
            return recompute_all(session, target, progress=advance)
    finally:
        database.dispose()


@certificate_commands.command("verify")
def certificate_verify(
    file: Annotated[
        Path, typer.Argument(help="any file of the certificate: .pdf, .tlog-proof, .entry or .statement.json")
    ],
    vkey: Annotated[
        Path | None, typer.Option(help="the log's verifier key file [default: log.vkey beside or above]")
    ] = None,
    home: HomeOption = None,
    policy: PolicyOption = None,
) -> None:
    """Check a certificate offline: signature, inclusion, and each stated field.

    Cosignatures are checked with the witness.policy beside the key; --policy demands its quorum too.
    """
    from ledger.policy import read_policy
    from registry.documents.bundle import read_bundle, verify_bundle

    vkey = vkey or _vkey_near(file, home)
    key = vkey.read_text(encoding="ascii", errors="replace").strip()
    known = read_policy(vkey.with_name("witness.policy")) if policy is None else policy_in(policy)
    bundle = read_bundle(file)
    verified = verify_bundle(
        bundle.proof,
        bundle.entry,
        bundle.statement,
        key,
        bundle.pdf,
        policy=known,
        quorum=policy is not None,
    )
    for step in verified.steps:
        console.print(step, soft_wrap=True)
    console.print(f"[green]verified[/green] {bundle.number}")


def _vkey_near(file: Path, home: Path | None) -> Path:
    """The key in the home that was named, else beside the file or above it, else in the default home."""
    folders = (home,) if home else (*file.absolute().parents[:2], home_at(None).path)
    for folder in folders:
        if (folder / "log.vkey").exists():
            return folder / "log.vkey"
    raise HomeMissing(path=str(folders[0]))
