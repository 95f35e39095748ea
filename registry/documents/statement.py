"""What a retirement certificate states, and how each field of it is bound to the log.

Numbers and codes stand in the entry's payload as *facts*. What is personal, free text or bulky stays off the
log (`DESIGN.md`, Truth 4): it is a *record*, bound to the entry by a commitment under its own key, and the
certificate opens it. Every field is one or the other, so a stranger can check all of them offline.

Before logging: `prepare_statement` gives the facts and commitments that the entry carries. After logging:
`RetirementRecords.document` gives the statement file.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

from ledger.canonical import JsonValue, decode, encode
from ledger.commitment import KEY_BYTES, commit, new_commitment_key
from ledger.errors import LedgerRefusal
from registry.documents.certificate import renderer
from registry.documents.errors import DocumentRefused, StatementIncomplete, StatementMalformed
from registry.documents.fonts import require_glyphs
from registry.documents.mapping import DEGREE, Ring
from registry.documents.serials import Serial

FORMAT: Final = "tanhui-retirement-statement/1"
OPENED: Final = ("beneficiary", "parcels", "presentation", "purpose_text")
"""The commitments that a statement opens."""

NUMBER: Final = re.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+)*")
MAX_NUMBER_LENGTH: Final = 64
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_STEP: Final = 4


@dataclass(frozen=True, slots=True)
class StatedParcel:
    """A home parcel of retired units. `area_m2` in whole square metres; `rings` of its outline in 1e-7
    degree.
    """

    code: str
    village: str
    county: str
    area_m2: int
    units: int
    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True)
class RetirementStatement:
    """Everything that a certificate says, but where its entry came to stand in the log.

    `serials` in machine form, of one project; the claim period is half-open; `project` and `programme` are
    codes, the names beside them are what readers see; entry indexes that are not known are left out.
    """

    certificate: str
    version: int
    beneficiary: str
    beneficiary_code: str
    purpose: str
    text: str
    jurisdiction: str
    claim_from: date
    claim_to: date
    serials: tuple[str, ...]
    unit_kg: int
    project: str
    project_name: str
    programme: str
    programme_name: str
    verifier: str
    parcels: tuple[StatedParcel, ...]
    statement_entries: tuple[int, ...]
    issuance_entries: tuple[int, ...]
    verify_url: str
    simulated: bool
    renderer: str = ""
    """What prints the PDF (`certificate.renderer`); filled in by `prepare_statement`."""

    @property
    def units(self) -> int:
        return sum(Serial.parse_machine(serial).count for serial in self.serials)

    @property
    def kg(self) -> int:
        return self.units * self.unit_kg

    @property
    def vintages(self) -> tuple[int, ...]:
        return tuple(sorted({Serial.parse_machine(serial).vintage for serial in self.serials}))

    def facts(self) -> dict[str, JsonValue]:
        """What stands in the entry's payload under `facts`, in the clear."""
        return {
            "certificate": self.certificate,
            "version": self.version,
            "claim_from": self.claim_from.isoformat(),
            "claim_to": self.claim_to.isoformat(),
            "serials": list(self.serials),
            "units": self.units,
            "unit_kg": self.unit_kg,
            "kg": self.kg,
            "project": self.project,
            "programme": self.programme,
            "vintages": list(self.vintages),
            "statement_entries": list(self.statement_entries),
            "issuance_entries": list(self.issuance_entries),
            "simulated": self.simulated,
        }

    def records(self) -> dict[str, JsonValue]:
        """What is bound by a commitment of the same name, off the log."""
        return {
            "beneficiary": {"name": self.beneficiary, "code": self.beneficiary_code},
            "purpose_text": {"purpose": self.purpose, "text": self.text, "jurisdiction": self.jurisdiction},
            "presentation": {
                "project_name": self.project_name,
                "programme_name": self.programme_name,
                "verifier": self.verifier,
                "verify_url": self.verify_url,
                "renderer": self.renderer,
            },
            "parcels": [_parcel_record(parcel) for parcel in self.parcels],
        }


@dataclass(frozen=True, slots=True)
class RetirementRecords:
    """A statement with the commitment keys of its records (name → 32 bytes): keep both as long as the
    certificate.
    """

    statement: RetirementStatement
    keys: Mapping[str, bytes]

    def facts(self) -> dict[str, JsonValue]:
        """Merge into the `facts` of the retirement entry's payload."""
        return self.statement.facts()

    def commitments(self) -> dict[str, str]:
        """Merge into the `commitments` of the retirement entry's payload: name → hex HMAC-SHA-256."""
        return {
            name: commit(self.keys[name], record) for name, record in sorted(self.statement.records().items())
        }

    def document(self, retirement_entry: int) -> bytes:
        """The statement file once the entry has its index: canonical JSON, with the opened commitments."""
        return encode(self._json() | {"retirement_entry": retirement_entry})

    def encode(self) -> bytes:
        """Statement and keys as canonical JSON, to be stored beside the retirement. Inverse: `decode`."""
        return encode(self._json())

    @classmethod
    def decode(cls, data: bytes) -> "RetirementRecords":
        """What `encode` wrote. Raises `StatementMalformed`."""
        records = _read(_object(_decoded(data), "statement"))
        _require_same(records.encode(), data)
        return records

    def _json(self) -> dict[str, JsonValue]:
        opened: dict[str, JsonValue] = {
            name: {"key": self.keys[name].hex(), "record": record}
            for name, record in self.statement.records().items()
        }
        return {"format": FORMAT, "facts": self.statement.facts(), "opened": opened}


def new_keys() -> dict[str, bytes]:
    """A fresh commitment key for each record of a statement."""
    return {name: new_commitment_key() for name in OPENED}


def prepare_statement(
    statement: RetirementStatement, keys: Mapping[str, bytes], font_dirs: Sequence[Path] = ()
) -> RetirementRecords:
    """Check that `statement` can be logged, proven and printed, before anything is written.

    Raises `StatementIncomplete` for what does not add up, a serial's refusal, and `GlyphMissing` for a
    character that the certificate could not show. Fills in `renderer`.
    """
    if set(keys) != set(OPENED) or any(len(key) != KEY_BYTES for key in keys.values()):
        raise StatementIncomplete(field="keys", reason=f"are not 32 bytes for each of {', '.join(OPENED)}")
    complete = replace(statement, renderer=renderer(font_dirs))
    _check(complete)
    for record in complete.records().values():
        for text in _texts(record):
            require_glyphs(text, "certificate", font_dirs)
    return RetirementRecords(complete, dict(keys))


def parse_statement(document: bytes) -> tuple[RetirementRecords, int]:
    """The records that a statement file spells, and the index of its entry.

    One spelling: what is read is written again and must give the same bytes, so no field is left unexplained.
    Raises `StatementMalformed`.
    """
    value = _object(_decoded(document), "statement")
    index = _whole(value, "retirement_entry", "statement")
    records = _read(value)
    _require_same(records.document(index), document)
    return records, index


def outline_ring(positions: Iterable[Sequence[float]]) -> Ring:
    """A ring in whole 1e-7 degree from longitudes and latitudes in degrees (EPSG:4490)."""
    return tuple((round(position[0] * DEGREE), round(position[1] * DEGREE)) for position in positions)


def _check(statement: RetirementStatement) -> None:
    serials = [Serial.parse_machine(serial) for serial in statement.serials]
    claims: tuple[tuple[bool, str, str], ...] = (
        (
            is_certificate_number(statement.certificate),
            "certificate",
            "is not capital letters, digits and hyphens",
        ),
        (statement.version >= 1, "version", "is not 1 or more"),
        (statement.unit_kg >= 1, "unit_kg", "is not 1 or more"),
        (bool(statement.beneficiary.strip()), "beneficiary", "is empty"),
        (statement.claim_from < statement.claim_to, "claim_to", "is not after claim_from"),
        (statement.verify_url.startswith(("https://", "http://")), "verify_url", "is not an http address"),
        (bool(serials), "serials", "are missing"),
        (len({serial.project_code for serial in serials}) <= 1, "serials", "are of several projects"),
        (not _overlapping(serials), "serials", "name a unit twice"),
        (
            sum(parcel.units for parcel in statement.parcels) == sum(serial.count for serial in serials),
            "parcels",
            "do not add up to the units of the serials",
        ),
        (
            all(parcel.units >= 1 and parcel.area_m2 >= 1 for parcel in statement.parcels),
            "parcels",
            "include one without units or area",
        ),
        (
            all(ring for parcel in statement.parcels for ring in parcel.rings),
            "parcels",
            "include an empty ring",
        ),
        (
            len({parcel.code for parcel in statement.parcels}) == len(statement.parcels),
            "parcels",
            "name a parcel twice",
        ),
    )
    for holds, field, reason in claims:
        if not holds:
            raise StatementIncomplete(field=field, reason=reason)


def is_certificate_number(text: str) -> bool:
    """Whether `text` can be a certificate number, and so the name of its files."""
    return len(text) <= MAX_NUMBER_LENGTH and NUMBER.fullmatch(text) is not None


def _overlapping(serials: Sequence[Serial]) -> bool:
    ranges = sorted(serial.units for serial in serials)
    return any(one.overlaps(two) for one, two in pairwise(ranges))


def _texts(value: JsonValue) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _parcel_record(parcel: StatedParcel) -> JsonValue:
    return {
        "code": parcel.code,
        "village": parcel.village,
        "county": parcel.county,
        "area_m2": parcel.area_m2,
        "units": parcel.units,
        "rings": [[[longitude, latitude] for longitude, latitude in ring] for ring in parcel.rings],
    }


# ---- reading -----------------------------------------------------------------------------------------------


def _read(value: dict[str, JsonValue]) -> RetirementRecords:
    """Every field by name; that there are no others is checked by writing it again."""
    if value.get("format") != FORMAT:
        raise _malformed("format", f"is not {FORMAT}")
    facts = _object(value.get("facts"), "facts")
    opened = _object(value.get("opened"), "opened")
    keys = {name: _key(opened, name) for name in OPENED}
    beneficiary, purpose, presentation = (
        _object(_record(opened, name), f"opened.{name}.record")
        for name in ("beneficiary", "purpose_text", "presentation")
    )
    statement = RetirementStatement(
        certificate=_text(facts, "certificate", "facts"),
        version=_whole(facts, "version", "facts"),
        beneficiary=_text(beneficiary, "name", "opened.beneficiary.record"),
        beneficiary_code=_text(beneficiary, "code", "opened.beneficiary.record"),
        purpose=_text(purpose, "purpose", "opened.purpose_text.record"),
        text=_text(purpose, "text", "opened.purpose_text.record"),
        jurisdiction=_text(purpose, "jurisdiction", "opened.purpose_text.record"),
        claim_from=_date(facts, "claim_from", "facts"),
        claim_to=_date(facts, "claim_to", "facts"),
        serials=tuple(_texts_of(facts, "serials", "facts")),
        unit_kg=_whole(facts, "unit_kg", "facts"),
        project=_text(facts, "project", "facts"),
        project_name=_text(presentation, "project_name", "opened.presentation.record"),
        programme=_text(facts, "programme", "facts"),
        programme_name=_text(presentation, "programme_name", "opened.presentation.record"),
        verifier=_text(presentation, "verifier", "opened.presentation.record"),
        parcels=tuple(
            _parcel(parcel, f"opened.parcels.record[{number}]")
            for number, parcel in enumerate(_list(_record(opened, "parcels"), "opened.parcels.record"))
        ),
        statement_entries=tuple(_wholes_of(facts, "statement_entries", "facts")),
        issuance_entries=tuple(_wholes_of(facts, "issuance_entries", "facts")),
        verify_url=_text(presentation, "verify_url", "opened.presentation.record"),
        simulated=_truth(facts, "simulated", "facts"),
        renderer=_text(presentation, "renderer", "opened.presentation.record"),
    )
    try:
        _check(statement)
    except StatementIncomplete as fault:
        raise _malformed(f"{fault.facts['field']}", f"{fault.facts['reason']}") from None
    except (DocumentRefused, LedgerRefusal) as fault:
        raise _malformed("facts.serials", str(fault)) from None
    return RetirementRecords(statement, keys)


def _parcel(value: JsonValue, where: str) -> StatedParcel:
    parcel = _object(value, where)
    return StatedParcel(
        code=_text(parcel, "code", where),
        village=_text(parcel, "village", where),
        county=_text(parcel, "county", where),
        area_m2=_whole(parcel, "area_m2", where),
        units=_whole(parcel, "units", where),
        rings=tuple(_ring(ring, f"{where}.rings") for ring in _list(parcel.get("rings"), f"{where}.rings")),
    )


def _ring(value: JsonValue, where: str) -> Ring:
    positions: list[tuple[int, int]] = []
    for position in _list(value, where):
        match position:
            case [int(longitude), int(latitude)] if not isinstance(longitude, bool) and not isinstance(
                latitude, bool
            ):
                positions.append((longitude, latitude))
            case _:
                raise _malformed(where, "holds something else than two whole numbers")
    return tuple(positions)


def _decoded(data: bytes) -> JsonValue:
    try:
        return decode(data)
    except LedgerRefusal as fault:
        raise _malformed("statement", str(fault)) from None


def _require_same(again: bytes, data: bytes) -> None:
    if again != data:
        at = next(
            (place for place, (one, two) in enumerate(zip(again, data, strict=False)) if one != two),
            len(again),
        )
        raise _malformed(f"byte {at}", "this field is not explained, or contradicts another")


def _record(opened: dict[str, JsonValue], name: str) -> JsonValue:
    return _object(opened.get(name), f"opened.{name}").get("record")


def _key(opened: dict[str, JsonValue], name: str) -> bytes:
    text = _text(_object(opened.get(name), f"opened.{name}"), "key", f"opened.{name}")
    if not _KEY.fullmatch(text):
        raise _malformed(f"opened.{name}.key", "is not 64 lower-case hexadecimal digits")
    return bytes.fromhex(text)


def _object(value: JsonValue, where: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise _malformed(where, "is not an object")
    return value


def _list(value: JsonValue, where: str) -> list[JsonValue]:
    if not isinstance(value, list):
        raise _malformed(where, "is not a list")
    return value


def _text(parent: dict[str, JsonValue], name: str, where: str) -> str:
    value = parent.get(name)
    if not isinstance(value, str):
        raise _malformed(f"{where}.{name}", "is not a text")
    return value


def _whole(parent: dict[str, JsonValue], name: str, where: str) -> int:
    value = parent.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _malformed(f"{where}.{name}", "is not a whole number")
    return value


def _truth(parent: dict[str, JsonValue], name: str, where: str) -> bool:
    value = parent.get(name)
    if not isinstance(value, bool):
        raise _malformed(f"{where}.{name}", "is neither true nor false")
    return value


def _date(parent: dict[str, JsonValue], name: str, where: str) -> date:
    try:
        return date.fromisoformat(_text(parent, name, where))
    except ValueError:
        raise _malformed(f"{where}.{name}", "is not a date") from None


def _texts_of(parent: dict[str, JsonValue], name: str, where: str) -> list[str]:
    items = _list(parent.get(name), f"{where}.{name}")
    return [_text({name: item}, name, where) for item in items]


def _wholes_of(parent: dict[str, JsonValue], name: str, where: str) -> list[int]:
    items = _list(parent.get(name), f"{where}.{name}")
    return [_whole({name: item}, name, where) for item in items]


def _malformed(where: str, reason: str) -> StatementMalformed:
    return StatementMalformed(step=_STEP, where=f"statement: {where}", reason=reason)
