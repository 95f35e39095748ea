"""What `tanhui audit` asks and prints: the question for the auditor, the answer for people and programs.

At a desk there is a published log and its key, and nothing of an installation: no folder, no database.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from auditor.answers import Standing, said_of, standing
from auditor.audit import Audited, Until, audit_alone
from auditor.findings import Report
from ledger.client import Files, read_head
from ledger.policy import Policy
from registry.cli.common import verifiers_spelled

MOST_ACCOUNTS = 40
"""So many lines of accounts are for people; `--json` has them all."""
_COLOURS = {"ok": "green", "FAILED": "red"}


def audit_published(
    log: Files,
    vkey: str,
    size: int | None,
    day: date | None,
    threads: int,
    progress: Callable[[str, int, int], None],
    policy: Policy | None = None,
    since: Path | None = None,
) -> tuple[Audited, Until]:
    """Audit the log at a folder or an address up to a size or to the end of a day in China.

    `since` is the file of a checkpoint saved before. Raises a `LedgerRefusal` for a key or file that is none.
    """
    until, verifiers = Until(size=size, day=day), verifiers_spelled(vkey)
    saved = None if since is None else read_head(since.read_bytes(), verifiers).checkpoint
    audited = audit_alone(log, verifiers, until, progress, threads, policy=policy, since=saved)
    return audited, until


def answer_json(audited: Audited) -> dict[str, Any]:
    """The report, and what stood at the size that was audited."""
    stood = standing(audited).to_json() if audited.followed else None
    return {**audited.report.to_json(), "standing": stood}


def print_report(console: Console, report: Report) -> None:
    """The checks as a table, then findings and notes, then the verdict."""
    table = Table(title=f"audit of {report.size} entries", title_justify="left")
    for heading in ("check", "what holds", "checked", "verdict"):
        table.add_column(heading, justify="right" if heading == "checked" else "left")
    for check, meaning, made, verdict in report.lines():
        colour = _COLOURS.get(verdict, "yellow")
        table.add_row(check, meaning, f"{made:,}", f"[{colour}]{verdict}[/{colour}]")
    console.print(table)
    for finding in report.findings:
        console.print(f"[red]{finding.check}[/red] {finding.where}: {finding.what}", soft_wrap=True)
    for note in report.notes:
        console.print(f"[yellow]{note.check}[/yellow] {note.where}: {note.what}", soft_wrap=True)
    found = f"[red]failed[/red]: {len(report.findings)} findings"
    console.print(f"audit {'[green]passed[/green]' if report.passed else found}")


def print_standing(console: Console, audited: Audited, until: Until) -> None:
    """Accounts and units as they stood there."""
    if not audited.followed:
        return
    stood = standing(audited)
    console.print(
        f"{said_of(until)}: {stood.size:,} of {stood.log_size:,} entries, the last one at "
        f"{stood.at_in_china} in China",
        soft_wrap=True,
    )
    console.print(_batches(stood))
    console.print(_accounts(stood))


def _batches(stood: Standing) -> Table:
    table = Table(title="units by batch", title_justify="left")
    table.add_column("batch")
    places = ("issued", "held", "locked", "buffer", "retired", "cancelled")
    for heading in places:
        table.add_column(heading, justify="right")
    for batch in stood.batches:
        line = batch.to_json()
        table.add_row(batch.batch, *(f"{line[place]:,}" for place in places))
    return table


def _accounts(stood: Standing) -> Table:
    table = Table(title="accounts", title_justify="left")
    table.add_column("asset")
    table.add_column("account")
    table.add_column("balance", justify="right")
    table.add_column("reserved", justify="right")
    for asset, kinds in stood.kinds.items():
        for kind, balance in kinds.items():
            table.add_row(asset, f"all {kind}", f"{balance:,}", "")
    rows = [(key, value) for key, value in sorted(stood.accounts.items()) if any(value)]
    for (asset, account), (balance, reserved) in rows[:MOST_ACCOUNTS]:
        table.add_row(asset, account, f"{balance:,}", f"{reserved:,}" if reserved else "")
    if len(rows) > MOST_ACCOUNTS:
        table.add_row("", f"and {len(rows) - MOST_ACCOUNTS} more: --json has them all", "", "")
    return table
