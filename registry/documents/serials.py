"""Serial numbers of units: one spelling, check digits, nothing ambiguous (`RULES.md` section 2).

    QZP1-330802-RN-00042-2025-002-52-73-24 registry and format version, county (GB/T 2260), unit kind,
    project, vintage, batch, first unit, last unit, check

A unit's identity is (project, unit number); vintage and batch are redundant on purpose and must agree with
it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.units import UnitRange
from registry.documents.errors import SerialBatchDisagrees, SerialCheckDigitsWrong, SerialMalformed

FORMAT_VERSION: Final = 1
MAX_UNIT_NUMBER: Final = 10**12 - 1
"""Start and end are padded to twelve digits under the check digits, so no number is longer."""

_GROUPING: Final = "[ \u00a0\u2009\u202f,]"
_UNITS: Final = rf"[0-9]{{1,3}}(?:{_GROUPING}[0-9]{{3}})+|[0-9]{{1,12}}"
_SERIAL: Final = re.compile(
    r"(?P<registry>[A-Z]{3})(?P<version>[0-9])-(?P<county>[1-9][0-9]{5})-(?P<kind>[A-Z]{2})-(?P<project>[0-9]{5})"
    rf"-(?P<vintage>[0-9]{{4}})-(?P<batch>[0-9]{{3}})-(?P<start>{_UNITS})-(?P<end>{_UNITS})-(?P<check>[0-9]{{2}})"
)
_SHOWN: Final = 120


class UnitKind(StrEnum):
    """What a unit stands for (maps to CAD Trust's `unit_type`)."""

    REMOVAL_NATURE = "RN"
    REDUCTION_NATURE = "EN"


@dataclass(frozen=True, slots=True, order=True)
class Serial:
    """A range of units of one project, vintage and batch. `str()` is the machine form, the only one that is
    stored.

    Raises `SerialMalformed` for parts that the format cannot hold.
    """

    registry: str
    """Three capital letters; the format version follows them in the serial."""
    county: str
    """Six digits of GB/T 2260."""
    kind: UnitKind
    project: int
    vintage: int
    """Calendar year of the removal."""
    batch: int
    """Issuance batch within the project."""
    units: UnitRange

    def __post_init__(self) -> None:
        for fits, reason in (
            (re.fullmatch(r"[A-Z]{3}", self.registry), "the registry is three capital letters"),
            (re.fullmatch(r"[1-9][0-9]{5}", self.county), "the county is six digits"),
            (1 <= self.project <= 99_999, "the project is a number from 1 to 99999"),
            (1990 <= self.vintage <= 2199, "the vintage is a year"),
            (1 <= self.batch <= 999, "the batch is a number from 1 to 999"),
            (self.units.end <= MAX_UNIT_NUMBER, "unit numbers have at most twelve digits"),
        ):
            if not fits:
                raise SerialMalformed(serial=f"{self._prefix}-{self.units}"[:_SHOWN], reason=reason)

    @classmethod
    def parse(cls, text: str) -> "Serial":
        """Read the machine form or the display form (numbers grouped in threes). Raises `SerialMalformed`,
        `SerialCheckDigitsWrong`."""
        shown = text[:_SHOWN]
        match = _SERIAL.fullmatch(text)
        if match is None:
            raise SerialMalformed(serial=shown, reason="it does not have the nine fields of a serial")
        if int(match["version"]) != FORMAT_VERSION:
            raise SerialMalformed(serial=shown, reason=f"format version {match['version']} is not known")
        if match["kind"] not in list(UnitKind):
            raise SerialMalformed(serial=shown, reason=f"unit kind {match['kind']} is not known")
        start, end = (_unit_number(match[name], shown) for name in ("start", "end"))
        if start > end:
            raise SerialMalformed(serial=shown, reason="its last unit comes before its first")
        serial = cls(
            registry=match["registry"],
            county=match["county"],
            kind=UnitKind(match["kind"]),
            project=int(match["project"]),
            vintage=int(match["vintage"]),
            batch=int(match["batch"]),
            units=UnitRange(start, end),
        )
        if serial.check_digits != match["check"]:
            raise SerialCheckDigitsWrong(serial=shown)
        return serial

    @classmethod
    def parse_machine(cls, text: str) -> "Serial":
        """Read the machine form alone: what is signed and logged has one spelling. Raises as `parse`."""
        serial = cls.parse(text)
        if str(serial) != text:
            raise SerialMalformed(serial=text[:_SHOWN], reason=f"its one spelling is {serial}")
        return serial

    def __str__(self) -> str:
        return f"{self._prefix}-{self.units.start}-{self.units.end}-{self.check_digits}"

    def display(self) -> str:
        """The form for readers: unit numbers grouped in threes by no-break spaces."""
        start, end = (f"{number:,}".replace(",", "\u00a0") for number in (self.units.start, self.units.end))
        return f"{self._prefix}-{start}-{end}-{self.check_digits}"

    @property
    def count(self) -> int:
        return self.units.count

    @property
    def check_digits(self) -> str:
        """Two digits by ISO 7064 MOD 97-10 over all fields without separators, first and last unit padded to
        12.

        They catch every letter or digit mistaken for another and every two neighbouring ones swapped. Hyphens
        are not among the characters they check: one that slid between first and last unit can go unseen
        (`1-919` and `19-19`), and then the count differs.
        """
        prefix = self._prefix.replace("-", "")
        return mod_97_10(f"{prefix}{self.units.start:012d}{self.units.end:012d}")

    @property
    def project_code(self) -> str:
        """Registry, county and project number: what identifies the project, e.g. `QZP1-330802-00042`."""
        return f"{self.registry}{FORMAT_VERSION}-{self.county}-{self.project:05d}"

    def part(self, units: UnitRange) -> "Serial":
        """The serial of some of these units. Raises `SerialMalformed` if they are not all among them."""
        if not self.units.contains(units):
            raise SerialMalformed(serial=str(self), reason=f"the units {units} are not among its own")
        return Serial(self.registry, self.county, self.kind, self.project, self.vintage, self.batch, units)

    def require_batch(self, vintage: int, batch: int) -> None:
        """Refuse a serial whose vintage and batch are not those its units were issued in.
        `SerialBatchDisagrees`.
        """
        if (self.vintage, self.batch) != (vintage, batch):
            raise SerialBatchDisagrees(
                serial=str(self),
                vintage=self.vintage,
                batch=self.batch,
                known_vintage=vintage,
                known_batch=batch,
            )

    @property
    def _prefix(self) -> str:
        return (
            f"{self.registry}{FORMAT_VERSION}-{self.county}-{self.kind.value}-{self.project:05d}"
            f"-{self.vintage:04d}-{self.batch:03d}"
        )


def mod_97_10(characters: str) -> str:
    """Check digits of ISO/IEC 7064:2003 MOD 97-10 for capital letters (A = 10 … Z = 35) and digits: `02` to
    `98`.
    """
    number = int("".join(str(int(character, 36)) for character in characters))
    return f"{98 - number * 100 % 97:02d}"


def _unit_number(text: str, shown: str) -> int:
    digits = re.sub(_GROUPING, "", text)
    if digits.startswith("0"):
        raise SerialMalformed(serial=shown, reason="unit numbers start at 1 and have no leading zeros")
    if len(digits) > 12:
        raise SerialMalformed(serial=shown, reason="unit numbers have at most twelve digits")
    return int(digits)
