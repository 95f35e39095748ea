"""The command `tanhui`.

Every command takes `--home DIR` (else `TANHUI_HOME`, else `./tanhui-data`) and explains itself with
`--help`. A refusal is one line with its code and exit status 2; what the machine refuses (a port in use, a
database that does not answer) and what is wrong with a published log one line and exit status 1; `--json`
prints for programs. The commands are in the modules beside this one, each by what it is for.
"""

import json
import sys
from collections.abc import Iterator, Mapping

from rich.markup import escape
from sqlalchemy.exc import ArgumentError, OperationalError

from geo.errors import GeoRefusal
from ledger.client import LogWrong
from ledger.errors import LedgerRefusal
from registry.cli import (
    checking,
    estimates,
    exports,
    installing,
    land,
    land_counties,
    land_export,
    logs,
    methods,
    plots,
    rasters,
    reports,
    saving,
    serving,
)
from registry.cli.common import app, errors
from registry.errors import RegistryRefusal

__all__ = [
    "app",
    "checking",
    "estimates",
    "exports",
    "installing",
    "land",
    "land_counties",
    "land_export",
    "logs",
    "main",
    "methods",
    "plots",
    "rasters",
    "reports",
    "saving",
    "serving",
]

REFUSED, FAILED = 2, 1


def main() -> None:
    """Run the command line; a refusal ends with exit status 2, its code, and every bad row it names."""
    try:
        app()
    except LogWrong as wrong:
        errors.print(f"[red]wrong[/red] {wrong.code}: {wrong}", soft_wrap=True)
        sys.exit(FAILED)
    except (RegistryRefusal, LedgerRefusal, GeoRefusal) as refusal:
        errors.print(f"[red]refused[/red] {refusal.code}: {escape(str(refusal))}", soft_wrap=True)
        for row in _rows(refusal.facts):
            what = row.get("code") or row.get("message")
            sheet = f"{row['sheet']}, " if row.get("sheet") else ""
            where = f"{sheet}row {row['row']} {row.get('field')}" if "row" in row else row.get("field")
            errors.print(f"  {where}: {what}", soft_wrap=True, markup=False)
            for language in ("zh", "en"):
                if language in row:
                    errors.print(f"    {row[language]}", soft_wrap=True, markup=False)
        if "item" in refusal.facts:
            told = refusal.facts.get("item_name") or "without a name"
            errors.print(f"  calculation {refusal.facts['item']}: {told}", soft_wrap=True, markup=False)
        for line in _overlaps(refusal.facts):
            errors.print(f"  {line}", soft_wrap=True, markup=False)
        sys.exit(REFUSED)
    except (OSError, OperationalError, ArgumentError) as fault:
        reason = str(fault.orig if isinstance(fault, OperationalError) else fault).partition("\n")[0]
        errors.print(f"[red]failed[/red] {type(fault).__name__}: {reason}", soft_wrap=True)
        sys.exit(REFUSED if _misnamed(fault) else FAILED)


def _misnamed(fault: Exception) -> bool:
    """Whether a file that the command line names is not there; 1 would say that a check did not hold."""
    return isinstance(fault, FileNotFoundError) and str(fault.filename) in sys.argv


def _overlaps(facts: Mapping[str, object]) -> Iterator[str]:
    """The neighbours that a refused claim names, each with the ground it shares as GeoJSON where it is
    drawn.
    """
    listed = facts.get("overlaps")
    for one in listed if isinstance(listed, list) else []:
        yield (
            f"{one['parcel']}: {one['overlap_m2']} m2, {one['overlap_mu']} mu, a share of "
            f"{one['candidate_share']} and {one['neighbour_share']} of the other"
        )
        if one.get("overlap") is not None:
            yield json.dumps(one["overlap"])


def _rows(facts: Mapping[str, object]) -> list[dict[str, object]]:
    """The rows that a refused file names, or the fields of a refused request."""
    listed = facts.get("rows") or facts.get("faults") or facts.get("errors") or []
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
