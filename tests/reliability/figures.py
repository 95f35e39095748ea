"""What a campaign counted: printed in every run, kept under `benchmarks/results/` by the long ones."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.machine import describe

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


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
                "measured_on": date.today().isoformat(),  # noqa: DTZ011 - the reader's calendar day
                "machine": describe(),
                "counts": counts,
            }
            path = RESULTS / f"reliability-{campaign.replace(' ', '-')}.json"
            path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
