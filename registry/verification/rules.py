"""A statement is signed once; it is the verifier's step of the period (RULES 1.3), and stays."""

from typing import Final

from registry.machine import Machine, Role, step

STATEMENT: Final = Machine("statement", "none", {("none", "sign"): step("signed", Role.VERIFIER)})
