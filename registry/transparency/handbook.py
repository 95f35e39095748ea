"""`docs/rules.md` from the code: every state machine and every check, so that the page cannot lag behind.

python -m registry.transparency.handbook > docs/rules.md
"""

import sys
from collections.abc import Iterator

from auditor.findings import CHECKS
from registry.catalogue import MACHINES
from registry.machine import Machine, Needs, Step

OPENING = """# Rules

Made from the code by `python -m registry.transparency.handbook > docs/rules.md`; a test keeps it true.

Every step below is one signed entry of the log: who, in which role and under which mandate, the state
before and after, and what it does to accounts and blocks. A step that is not listed is impossible.
Signatures: 1P one person; 2P two persons of one organisation; 2O persons of two organisations. Under 2P and
2O all sign the same payload and one entry is appended when the last one has signed. Steps by `system`
follow from the entry before them; steps that another entry causes stand in that entry as a transition.
Organisations, persons, keys and mandates take no step that way, but for the successor of a rotated key.

## What the audit checks

| check | what holds |
| --- | --- |
"""


def pages() -> Iterator[str]:
    yield OPENING + "\n".join(f"| {check} | {meaning} |" for check, meaning in CHECKS.items())
    yield "\n## State machines"
    for name in sorted(MACHINES):
        yield "\n".join(_machine(MACHINES[name]))


def _machine(machine: Machine) -> Iterator[str]:
    final = ", ".join(f"**{state}**" for state in sorted(machine.terminal)) or "none"
    yield f"\n### {machine.name}\n\nBegins at `{machine.initial}`; final states: {final}.\n"
    yield "| from | act | to | by | signatures |"
    yield "| --- | --- | --- | --- | --- |"
    for (state, action), step in machine.steps.items():
        yield f"| {state} | {action} | {step.after} | {', '.join(sorted(step.roles))} | {_signatures(step)} |"


def _signatures(step: Step) -> str:
    if step.needs is Needs.ONE:
        return "1P"
    alone = f"; 1P by {', '.join(sorted(step.alone))}" if step.alone else ""
    return f"{step.needs.value} with {', '.join(sorted(step.confirmers))}{alone}"


def handbook() -> str:
    return "\n".join(pages()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(handbook())
