"""`python -m benchmarks [--full]`: measure, write `results/`, and bring the table in `README.md` up to
date.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import demo, machine

FOLDER = Path(__file__).parent
START, END = "<!-- table: demo -->", "<!-- end -->"
ROUNDS, FULL_ROUNDS = 3, 9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds")
    full = parser.parse_args().full
    result = {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "command": "make bench-full" if full else "make bench",
        "machine": machine.describe(),
        "demo": demo.measure(FULL_ROUNDS if full else ROUNDS),
    }
    results = FOLDER / "results"
    results.mkdir(exist_ok=True)
    (results / "demo.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    page = FOLDER / "README.md"
    page.write_text(with_table(page.read_text(), table(result)))
    print(table(result))


def with_table(page: str, text: str) -> str:
    """The page with what stands between its two marks replaced."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{text}\n{END}{after}"


def table(result: dict[str, Any]) -> str:
    """The figures as a Markdown table: median, and the range over the rounds."""
    figures = result["demo"]
    described = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    about = (
        f"Measured on {result['measured_on']} by `{result['command']}`, {figures['rounds']} rounds after one"
        f" uncounted ({figures['first_wall_s']:.1f} s, compiling kernels where they were not cached)."
        f" Machine: {described}."
    )
    lines = [
        about,
        "",
        "| figure | median | range |",
        "| --- | ---: | ---: |",
        _row("`tanhui demo --once`, wall seconds", figures["wall_s"], "s"),
        _row("the same, processor seconds", figures["cpu_s"], "s"),
        _row("the same, peak memory of the process", figures["peak_mib"], "MiB"),
    ]
    lines += [_row(f"step: {step}", spread, "s") for step, spread in figures["steps_s"].items()]
    return "\n".join(lines)


def _row(name: str, spread: dict[str, float], unit: str) -> str:
    places = 0 if unit == "MiB" else 2
    low, middle, high = (f"{spread[key]:.{places}f}" for key in ("min", "median", "max"))
    return f"| {name} | {middle} {unit} | {low} to {high} |"


if __name__ == "__main__":
    main()
