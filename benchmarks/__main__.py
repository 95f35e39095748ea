"""`python -m benchmarks [--full] [--only TABLE]`: measure, write `results/`, and bring the tables in
`README.md` up to date.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import demo, machine
from benchmarks.ledger import report
from benchmarks.ledger.measure import FULL, Extent, measure

FOLDER = Path(__file__).parent
END = "<!-- end -->"
ROUNDS, FULL_ROUNDS = 3, 9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds and larger logs")
    parser.add_argument("--only", choices=sorted(TABLES), help="one table instead of all")
    chosen = parser.parse_args()
    for name in TABLES if chosen.only is None else (chosen.only,):
        figures, text = TABLES[name](chosen.full)
        keep(name, {**about(chosen.full), name: figures}, text)


def about(full: bool) -> dict[str, Any]:
    """When, by what and on what."""
    return {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "command": "make bench-full" if full else "make bench",
        "machine": machine.describe(),
    }


def keep(name: str, result: Mapping[str, Any], text: str) -> None:
    """Write the figures to `results/` and the table between its marks in the page; print it."""
    results = FOLDER / "results"
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    page = FOLDER / "README.md"
    page.write_text(with_table(page.read_text(), name, text))
    print(text)


def with_table(page: str, name: str, text: str) -> str:
    """The page with what stands between the marks of one table replaced."""
    start = f"<!-- table: {name} -->"
    before, found, rest = page.partition(start)
    if not found:
        raise ValueError(f"the page has no place for the table {name}")
    _, _, after = rest.partition(END)
    return f"{before}{start}\n{text}\n{END}{after}"


# ---- the ledger --------------------------------------------------------------------------------------------


def ledger_table(full: bool) -> tuple[dict[str, Any], str]:
    """The run of `LEDGER.md` 5.3 in the folder for temporary files; set TMPDIR to measure another disk."""
    run = measure(Path(tempfile.gettempdir()), FULL if full else Extent())
    facts = about(full)
    described = ", ".join(f"{name} {value}" for name, value in facts["machine"].items())
    load = os.getloadavg()[2]
    said = (
        f"Measured on {facts['measured_on']} by `{facts['command']}`, {len(run.rounds)} rounds, V moved by"
        f" {run.moved:.1%}, load of the last 15 minutes {load:.1f}. Machine: {described}."
    )
    return {**run.to_json(), "load_15_min": load}, report.table(run, said)


# ---- the demo ----------------------------------------------------------------------------------------------


def demo_table(full: bool) -> tuple[dict[str, Any], str]:
    """The figures of the demo's runs, and as a Markdown table: median, and the range over the rounds."""
    figures = demo.measure(FULL_ROUNDS if full else ROUNDS)
    facts = about(full)
    described = ", ".join(f"{name} {value}" for name, value in facts["machine"].items())
    said = (
        f"Measured on {facts['measured_on']} by `{facts['command']}`, {figures['rounds']} rounds after one"
        f" uncounted ({figures['first_wall_s']:.1f} s, compiling kernels where they were not cached)."
        f" Machine: {described}."
    )
    lines = [
        said,
        "",
        "| figure | median | range |",
        "| --- | ---: | ---: |",
        _row("`tanhui demo --once`, wall seconds", figures["wall_s"], "s"),
        _row("the same, processor seconds", figures["cpu_s"], "s"),
        _row("the same, peak memory of the process", figures["peak_mib"], "MiB"),
    ]
    lines += [_row(f"step: {step}", spread, "s") for step, spread in figures["steps_s"].items()]
    return figures, "\n".join(lines)


# ---- land --------------------------------------------------------------------------------------------------


def land_import_table(full: bool) -> tuple[dict[str, Any], str]:
    """A county's parcels imported with all checks, and the demo's through the whole service."""
    from benchmarks.land import imports

    figures = imports.measure(full)
    return figures, imports.table(figures, _said(full))


def land_claims_table(full: bool) -> tuple[dict[str, Any], str]:
    """One parcel against a register of each size, on both databases and beside a tree in memory."""
    from benchmarks.land import claims

    figures = claims.measure(full)
    return figures, claims.table(figures, _said(full))


def land_races_table(full: bool) -> tuple[dict[str, Any], str]:
    """Processes that race for ground: ten runs on each database, whatever is asked for."""
    from benchmarks.land import races
    from benchmarks.land.claims import fresh_databases

    with fresh_databases() as urls:
        figures = races.campaign(urls)
    return figures, races.table(figures, _said(full))


def land_audit_table(full: bool) -> tuple[dict[str, Any], str]:
    """The whole register at once."""
    from benchmarks.land import audit

    figures = audit.measure(full)
    return figures, audit.table(figures, _said(full))


def measure_table(full: bool) -> tuple[dict[str, Any], str]:
    """Estimation against the read bound and exactextract."""
    from benchmarks.measure import report as page
    from benchmarks.measure.measure import measure as measured

    figures = measured(full)
    return figures, page.table(figures, _said(full))


def _said(full: bool) -> str:
    facts = about(full)
    described = ", ".join(f"{name} {value}" for name, value in facts["machine"].items())
    return (
        f"Measured on {facts['measured_on']} by `{facts['command']}`, load of the last 15 minutes"
        f" {os.getloadavg()[2]:.1f}. Machine: {described}."
    )


def _row(name: str, spread: dict[str, float], unit: str) -> str:
    places = 0 if unit == "MiB" else 2
    low, middle, high = (f"{spread[key]:.{places}f}" for key in ("min", "median", "max"))
    return f"| {name} | {middle} {unit} | {low} to {high} |"


TABLES: Final[dict[str, Callable[[bool], tuple[dict[str, Any], str]]]] = {
    "ledger": ledger_table,
    "demo": demo_table,
    "land-import": land_import_table,
    "land-claims": land_claims_table,
    "land-races": land_races_table,
    "land-audit": land_audit_table,
    "measure": measure_table,
}


if __name__ == "__main__":
    main()
