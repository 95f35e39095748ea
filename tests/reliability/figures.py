"""What a campaign counted: printed in every run, kept under `benchmarks/results/` by the long ones.

`python -m tests.reliability.figures` brings the table of `benchmarks/README.md` up to what is kept.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.__main__ import with_table
from benchmarks.machine import describe

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
OF_ITS_OWN = ("acknowledged", "lost", "doubled")
"""Counts that have a column."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Where the figures of a run go."""

    kept: bool

    def tell(self, campaign: str, **counts: int | float | str) -> None:
        """Print the counts of a campaign, and keep them when this is a long run."""
        print(f"{campaign}:", ", ".join(f"{name} {value}" for name, value in counts.items()))
        if self.kept:
            content = {
                "campaign": campaign,
                "measured_on": datetime.now(UTC).date().isoformat(),
                "machine": describe(),
                "counts": counts,
            }
            path = RESULTS / f"reliability-{campaign.replace(' ', '-')}.json"
            path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def kept() -> list[dict[str, Any]]:
    """The campaigns that were kept; the numbered parts of one are summed."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(RESULTS.glob("reliability-*.json")):
        content = json.loads(path.read_text())
        name = content["campaign"] = re.sub(r" \d+$", "", content["campaign"])
        if name in found:
            sums = found[name]["counts"]
            content["counts"] = {key: sums[key] + count for key, count in content["counts"].items()}
        found[name] = content
    return list(found.values())


def table() -> str:
    """Campaigns, what was tried in each, and what it cost: nothing that was acknowledged."""
    campaigns = kept()
    if not campaigns:
        return "No run has been kept yet: `make test-slow` writes them."
    facts = ", ".join(f"{name} {value}" for name, value in campaigns[0]["machine"].items())
    newest = max(content["measured_on"] for content in campaigns)
    about = f"Kept by the tests of `make test-slow`, the newest on {newest}. Machine: {facts}."
    return "\n".join([about, "", *_rows(campaigns)])


def _rows(campaigns: list[dict[str, Any]]) -> Iterator[str]:
    yield "| campaign | what was done | acknowledged | lost | doubled |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for content in campaigns:
        counts = content["counts"]
        done = ", ".join(
            f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if name not in OF_ITS_OWN
        )
        own = " | ".join(f"{counts[name]:,}" if name in counts else "" for name in OF_ITS_OWN)
        yield f"| {content['campaign']} | {done} | {own} |"


def main() -> None:
    page = RESULTS.parent / "README.md"
    page.write_text(with_table(page.read_text(), "reliability", table()))


if __name__ == "__main__":
    main()
