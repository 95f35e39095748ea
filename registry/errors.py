"""The root of every refusal of the registry.

A refusal is bad input, named in the domain: it has a stable `code`, one English sentence with named facts
(which is also the message id of its translations) and the facts themselves. `problem.py` is the one table
from refusals to HTTP.
"""

from typing import ClassVar


class RegistryRefusal(Exception):
    """A request that the registry does not carry out. Nothing was written."""

    code: ClassVar[str] = "refused"
    template: ClassVar[str] = "The request was refused."

    def __init__(self, **facts: object) -> None:
        super().__init__()
        self.facts = facts

    def __str__(self) -> str:
        return self.template.format(**self.facts)


class HomeMissing(RegistryRefusal):
    code: ClassVar[str] = "home_missing"
    template: ClassVar[str] = "{path} holds no installation; `tanhui db create` makes one."


class TablesMissing(HomeMissing):
    """The published log without the tables, as a stranger has it: there is nothing to compare it with."""

    code: ClassVar[str] = "tables_missing"
    template: ClassVar[str] = (
        "{path} has no tables to compare with the log; `--log-only` audits the log alone."
    )
