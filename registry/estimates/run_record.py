"""What a run leaves behind: one canonical JSON text, and the values that others read from it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, cast

from ledger.canonical import JsonValue, decode
from ledger.errors import NotCanonical
from registry.estimates.inputs import NEWEST, RunInputs
from registry.estimates.methods.parameters import Mark, sha256_hex
from registry.estimates.rules import RecordMalformed

RECORD_VERSION: Final = NEWEST
READABLE: Final = (1, 2)
"""Records of the first release are of version 1; they are read, shown and computed again as they are."""


@dataclass(frozen=True)
class RunRecord:
    """A run, complete: `text` is canonical JSON and says everything; the rest reads from it."""

    text: str = field(repr=False)

    @cached_property
    def document(self) -> dict[str, JsonValue]:
        """The record, or `RecordMalformed`."""
        try:
            document = decode(self.text.encode())
        except NotCanonical as fault:
            raise RecordMalformed(reason="it is not canonical JSON") from fault
        if not isinstance(document, dict) or document.get("version") not in READABLE:
            raise RecordMalformed(reason=f"it is of none of the versions {READABLE}")
        return document

    @property
    def version(self) -> int:
        return cast("int", self.document["version"])

    @cached_property
    def inputs(self) -> RunInputs:
        return RunInputs.from_json(self.document.get("inputs"), self.version)

    @property
    def results(self) -> dict[str, JsonValue]:
        return self._part("results")

    @property
    def estimate_kg(self) -> int:
        return self._whole("estimate_kg")

    @property
    def loss_kg(self) -> int:
        return self._whole("loss_kg")

    @property
    def rate_kg_ha_year(self) -> int:
        return self._whole("rate_kg_ha_year")

    @property
    def uncertainty_ppm(self) -> int | None:
        value = self.results.get("uncertainty_ppm")
        return None if value is None else self._whole("uncertainty_ppm")

    @property
    def tier(self) -> str:
        return str(self.results.get("tier"))

    @property
    def second_verifier(self) -> bool:
        return self.results.get("second_verifier") is True

    @property
    def parcels(self) -> list[tuple[int, int]]:
        """Number and kilograms of each parcel; they add up to the estimate."""
        parcels = self.results.get("parcels")
        if not isinstance(parcels, list):
            raise RecordMalformed(reason="it lists no parcels")
        return [_number_and_kg(parcel) for parcel in parcels]

    @property
    def rows_to_attest(self) -> list[str]:
        rows = self.document.get("rows_to_attest")
        if not isinstance(rows, list):
            raise RecordMalformed(reason="it lists no parameters")
        return [f"{row['table']}.{row['code']}" for row in rows if isinstance(row, dict)]

    @property
    def rows_assumed(self) -> list[str]:
        """Those of them that are assumptions, which need a verifier's express override."""
        rows = self.document.get("rows_to_attest")
        if not isinstance(rows, list):
            raise RecordMalformed(reason="it lists no parameters")
        return [
            f"{row['table']}.{row['code']}"
            for row in rows
            if isinstance(row, dict) and row.get("mark") == Mark.ASSUMED
        ]

    @property
    def attestation_sha256(self) -> str:
        return sha256_hex(self.document.get("rows_to_attest"))

    def _part(self, name: str) -> dict[str, JsonValue]:
        part = self.document.get(name)
        if not isinstance(part, dict):
            raise RecordMalformed(reason=f"it has no {name}")
        return part

    def _whole(self, name: str) -> int:
        value = self.results.get(name)
        if type(value) is not int:
            raise RecordMalformed(reason=f"{name} is not a whole number")
        return value


def _number_and_kg(parcel: JsonValue) -> tuple[int, int]:
    if isinstance(parcel, dict):
        number, kg = parcel.get("number"), parcel.get("estimate_kg")
        if type(number) is int and type(kg) is int:
            return number, kg
    raise RecordMalformed(reason="a parcel has no whole number of kilograms")
