"""Who may remark on an entry or have a record erased (RULES 1.9; LEDGER 4.7), and why that is refused."""

from typing import ClassVar, Final

from ledger.notices import ENTRY_MACHINE, RECORD_MACHINE
from registry.errors import RegistryRefusal
from registry.machine import Machine, Needs, Role, step

ENTRY: Final = Machine(ENTRY_MACHINE, "logged", {("logged", "annotate"): step("logged", Role.REGISTRY_ADMIN)})
"""An entry of the log, by its index. A remark takes nothing away and changes no right."""

RECORD: Final = Machine(
    RECORD_MACHINE,
    "kept",
    {("kept", "erase"): step("erased", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS)},
)
"""A record off the log, by its commitment. What is erased cannot be brought back, so two persons sign."""


class EntryUnknown(RegistryRefusal):
    code: ClassVar[str] = "entry_unknown"
    template: ClassVar[str] = "The log has no entry {index} yet."


class EntryToName(RegistryRefusal):
    """The record's row does not say which entry committed to it."""

    code: ClassVar[str] = "entry_to_name"
    template: ClassVar[str] = (
        "The record under the commitment {commitment} does not say which entry of the log commits to it; "
        "name that entry as index."
    )


class RecordUnknown(RegistryRefusal):
    """No row has this commitment, or the row has been erased."""

    code: ClassVar[str] = "record_unknown"
    template: ClassVar[str] = "There is no record under the commitment {commitment} to erase."
