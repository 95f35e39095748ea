"""Runs are recorded once and superseded, never edited (RULES 1.3)."""

from typing import Final

from registry.machine import Machine, step
from registry.projects.rules import OWNERS

RUN: Final = Machine(
    "run",
    "none",
    {
        ("none", "record"): step("recorded", *OWNERS),
        ("recorded", "supersede"): step("superseded", *OWNERS),
    },
)
