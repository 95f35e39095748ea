"""The offline bundle: a stranger with the log's key believes every field of it, and no other byte."""

import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter

from ledger.canonical import encode
from ledger.keys import SigningKey
from ledger.note import Cosigner, NoteSigner
from ledger.policy import Policy
from registry.documents import bundle as bundles
from registry.documents.bundle import (
    Bundle,
    PdfCheck,
    build_bundle,
    pdf_attachments,
    read_bundle,
    verify_bundle,
)
from registry.documents.certificate import renderer
from registry.documents.errors import (
    BundleIncomplete,
    CertificateNotProven,
    CheckpointNotSigned,
    EntryNotIncluded,
    GlyphMissing,
    NotARetirement,
    PdfDisagrees,
    StatementDisagrees,
    StatementIncomplete,
    StatementMalformed,
)
from registry.documents.statement import (
    OPENED,
    RetirementRecords,
    new_keys,
    outline_ring,
    parse_statement,
    prepare_statement,
)

if TYPE_CHECKING:
    from tests.registry.documents.conftest import LoggedRetirement, Samples

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def bundle(logged: "LoggedRetirement") -> Bundle:
    return build_bundle(logged.records, logged.proof, logged.entry, logged.vkey)


@pytest.fixture(scope="module")
def vkey(logged: "LoggedRetirement") -> str:
    return logged.vkey


def verify_files(files: dict[str, bytes], vkey: str, pdf: bytes | None = None) -> None:
    verify_bundle(files["proof"], files["entry"], files["statement"], vkey, pdf)


def files_of(bundle: Bundle) -> dict[str, bytes]:
    return {"proof": bundle.proof, "entry": bundle.entry, "statement": bundle.statement}


def test_a_stranger_believes_the_certificate_with_the_log_s_key_alone(bundle: Bundle, vkey: str) -> None:
    verified = verify_bundle(bundle.proof, bundle.entry, bundle.statement, vkey, bundle.pdf)
    assert verified.statement.beneficiary == "浙江示例纺织有限公司"
    assert verified.statement.units == 63
    assert verified.statement.kg == 63_000
    assert verified.statement.vintages == (2024, 2025)
    assert (verified.retirement_entry, verified.log_size) == (5, 9)
    assert verified.retired_at.isoformat() == "2026-03-02T03:04:05+00:00"
    assert verified.pdf is PdfCheck.REPRODUCED
    assert [step[:2] for step in verified.steps] == ["1.", "2.", "3.", "4.", "5."]


def test_the_entry_holds_no_name_no_outline_and_no_free_text(
    bundle: Bundle, logged: "LoggedRetirement"
) -> None:
    payload = logged.records.facts() | {"commitments": logged.records.commitments()}
    spelled = encode(payload)  # type: ignore[arg-type]
    assert spelled.isascii()
    for hidden in ("91330800MA2DEMO017", "Offsets our scope", "1184"):
        assert hidden.encode() not in spelled
    assert set(logged.records.commitments()) == set(OPENED)


def test_every_byte_of_the_bundle_counts(bundle: Bundle, vkey: str) -> None:
    """One bit of each byte, and the bit that makes capitals of small letters (base64, hexadecimal)."""
    for name, data in files_of(bundle).items():
        for at in range(len(data)):
            for mask in (0x01, 0x20):
                changed = data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
                with pytest.raises(CertificateNotProven) as refused:
                    verify_files(files_of(bundle) | {name: changed}, vkey)
                assert refused.value.facts["where"], (name, at)


@SHARED
@given(data=st.data())
def test_any_change_to_any_file_is_refused(bundle: Bundle, vkey: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["proof", "entry", "statement"]))
    before = files_of(bundle)[name]
    start = data.draw(st.integers(0, len(before)))
    stop = data.draw(st.integers(start, min(len(before), start + 8)))
    after = before[:start] + data.draw(st.binary(max_size=8)) + before[stop:]
    if after == before:
        return
    with pytest.raises(CertificateNotProven) as refused:
        verify_files(files_of(bundle) | {name: after}, vkey)
    assert refused.value.facts["step"] in (1, 2, 4)


@settings(SHARED, max_examples=15)
@given(at=st.integers(0, 10**9), mask=st.integers(1, 255))
def test_any_change_to_the_pdf_is_refused(bundle: Bundle, vkey: str, at: int, mask: int) -> None:
    assert bundle.pdf is not None
    at %= len(bundle.pdf)
    changed = bundle.pdf[:at] + bytes([bundle.pdf[at] ^ mask]) + bundle.pdf[at + 1 :]
    with pytest.raises(PdfDisagrees) as refused:
        verify_files(files_of(bundle), vkey, changed)
    assert refused.value.facts["where"] == f"PDF: byte {at}"


# -- step 1: the checkpoint


def test_another_log_s_key_does_not_verify_it(bundle: Bundle) -> None:
    other = NoteSigner("registry.example/tanhui", SigningKey.from_seed(bytes(32))).vkey
    with pytest.raises(CheckpointNotSigned):
        verify_files(files_of(bundle), other)


def test_a_witness_s_line_counts_only_with_the_witness_s_key(samples: "Samples") -> None:
    witness = Cosigner("witness.example/w1", SigningKey.from_seed(bytes(range(64, 96))), 1_767_225_603)
    logged = samples.log(samples.records(), witness=witness)
    statement = logged.records.document(5)
    with pytest.raises(CheckpointNotSigned, match=r"witness\.example/w1"):
        verify_bundle(logged.proof, logged.entry, statement, logged.vkey, None)
    verified = verify_bundle(
        logged.proof, logged.entry, statement, logged.vkey, None, witnesses=[witness.vkey]
    )
    assert verified.pdf is PdfCheck.ABSENT


def test_a_policy_lends_its_witnesses_keys_and_demands_its_quorum_when_asked(samples: "Samples") -> None:
    witness = Cosigner("witness.example/w1", SigningKey.from_seed(bytes(range(64, 96))), 1_767_225_603)
    other = Cosigner("witness.example/w2", SigningKey.from_seed(bytes(range(96, 128))), 0)
    logged = samples.log(samples.records(), witness=witness)
    files = (logged.proof, logged.entry, logged.records.document(5), logged.vkey, None)
    known = f"witness a {witness.vkey}\nwitness b {other.vkey}\n"
    one, both = (Policy.parse(f"{known}group g {rule} a b\nquorum g\n".encode()) for rule in ("any", "all"))
    verified = verify_bundle(*files, policy=one, quorum=True)
    assert verified.steps[0].endswith("is signed by the given key and cosigned by a.")
    assert verify_bundle(*files, policy=both).steps[0] == verified.steps[0]
    with pytest.raises(CheckpointNotSigned, match="of its witnesses signed: a"):
        verify_bundle(*files, policy=both, quorum=True)
    with pytest.raises(CheckpointNotSigned, match=r"witness\.example/w1"):
        verify_bundle(*files, policy=Policy.parse(f"witness b {other.vkey}\nquorum b\n".encode()))

    line = logged.proof.rstrip(b"\n").rpartition(b"\n")[2]
    at = logged.proof.index(line) + len(line) - 40
    changed = (
        logged.proof[:at] + (b"A" if logged.proof[at : at + 1] != b"A" else b"B") + logged.proof[at + 1 :]
    )
    with pytest.raises(CheckpointNotSigned):
        verify_bundle(changed, *files[1:], policy=one)


# -- step 2: the entry


def test_the_proof_of_another_entry_does_not_prove_this_one(
    samples: "Samples", bundle: Bundle, vkey: str
) -> None:
    other = samples.log(samples.records(beneficiary="另一家公司"), index=5)
    with pytest.raises(EntryNotIncluded):
        verify_files(files_of(bundle) | {"entry": other.entry}, vkey)


# -- step 3: a retirement


@pytest.mark.parametrize(
    ("bent", "where"),
    [
        ({"machine": "block"}, "entry: machine"),
        ({"action": "request"}, "entry: action"),
        ({"after": "requested"}, "entry: after"),
        ({"moved": 62}, "entry: effects"),
        ({"facts": {"units": True}}, "entry: effects"),
    ],
)
def test_an_entry_that_retires_nothing_proves_nothing(
    samples: "Samples", bent: dict[str, Any], where: str
) -> None:
    logged = samples.log(samples.records(), **bent)
    with pytest.raises(NotARetirement) as refused:
        verify_bundle(logged.proof, logged.entry, logged.records.document(5), logged.vkey, None)
    assert refused.value.facts["where"] == where
    with pytest.raises(NotARetirement):
        build_bundle(logged.records, logged.proof, logged.entry, logged.vkey)


# -- step 4: the statement


def test_a_statement_that_names_another_entry_is_refused(logged: "LoggedRetirement") -> None:
    with pytest.raises(StatementDisagrees, match="names entry 4"):
        verify_bundle(logged.proof, logged.entry, logged.records.document(4), logged.vkey, None)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"beneficiary": "冒名有限公司"}, "opened.beneficiary"),
        ({"beneficiary_code": "91330800MA2OTHER00"}, "opened.beneficiary"),
        ({"text": "抵消全部排放"}, "opened.purpose_text"),
        ({"purpose": "compliance"}, "opened.purpose_text"),
        ({"jurisdiction": "CN"}, "opened.purpose_text"),
        ({"verifier": "另一家核查机构"}, "opened.presentation"),
        ({"verify_url": "https://phishing.example/"}, "opened.presentation"),
        ({"certificate": "QZP1-RC-000018"}, "facts.certificate"),
        ({"version": 2}, "facts.version"),
        ({"claim_to": date(2027, 1, 1)}, "facts.claim_to"),
        ({"unit_kg": 1}, "facts.unit_kg"),
        ({"project": "QZP1-330802-00043"}, "facts.project"),
        ({"programme": "QZP2"}, "facts.programme"),
        ({"issuance_entries": ()}, "facts.issuance_entries"),
        ({"statement_entries": (2,)}, "facts.statement_entries"),
        ({"simulated": False}, "facts.simulated"),
    ],
)
def test_each_stated_field_is_bound_to_the_entry(
    samples: "Samples", logged: "LoggedRetirement", changed: dict[str, Any], where: str
) -> None:
    forged = RetirementRecords(replace(logged.records.statement, **changed), logged.records.keys)
    with pytest.raises(StatementDisagrees) as refused:
        verify_bundle(logged.proof, logged.entry, forged.document(5), logged.vkey, None)
    assert refused.value.facts["where"] == f"statement: {where}"
    assert refused.value.code == "certificate_statement_disagrees"


def test_more_units_of_the_same_batch_cannot_be_stated(
    samples: "Samples", logged: "LoggedRetirement"
) -> None:
    forged = samples.records(4)
    with pytest.raises(StatementDisagrees, match=r"facts\.serials"):
        verify_bundle(logged.proof, logged.entry, forged.document(5), logged.vkey, None)


def test_another_outline_cannot_be_put_on_the_map(logged: "LoggedRetirement") -> None:
    first, *others = logged.records.statement.parcels
    moved = replace(first, rings=(tuple((east + 1, north) for east, north in first.rings[0]),))
    forged = RetirementRecords(
        replace(logged.records.statement, parcels=(moved, *others)), logged.records.keys
    )
    with pytest.raises(StatementDisagrees, match=r"opened\.parcels"):
        verify_bundle(logged.proof, logged.entry, forged.document(5), logged.vkey, None)


@pytest.mark.parametrize(
    "place", [(), ("facts",), ("opened",), ("opened", "parcels"), ("opened", "beneficiary", "record")]
)
def test_no_field_is_left_unexplained(
    logged: "LoggedRetirement", bundle: Bundle, vkey: str, place: tuple[str, ...]
) -> None:
    document = json.loads(bundle.statement)
    inner = document
    for step in place:
        inner = inner[step]
    inner["zz"] = "and a rare orchid was saved"
    with pytest.raises(StatementMalformed, match="not explained"):
        verify_files(files_of(bundle) | {"statement": encode(document)}, vkey)


def test_only_the_canonical_spelling_of_a_statement_is_read(bundle: Bundle, vkey: str) -> None:
    for spelling in (
        json.dumps(json.loads(bundle.statement), indent=1).encode(),
        bundle.statement + b"\n",
        b"\xef\xbb\xbf" + bundle.statement,
        b"",
        b"[]",
        b"{}",
        b"\xff",
    ):
        with pytest.raises(StatementMalformed):
            verify_files(files_of(bundle) | {"statement": spelling}, vkey)


# -- step 5: the PDF


def test_a_pdf_of_another_certificate_is_refused(samples: "Samples", bundle: Bundle, vkey: str) -> None:
    logged = samples.log(samples.records(beneficiary="另一家公司"))
    other = build_bundle(logged.records, logged.proof, logged.entry, logged.vkey)
    with pytest.raises(PdfDisagrees, match="another file"):
        verify_files(files_of(bundle), vkey, other.pdf)


def test_where_it_cannot_be_printed_again_the_files_inside_are_compared_and_it_says_so(
    bundle: Bundle, vkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "renderer", lambda font_dirs: "typst/9.9")
    verified = verify_bundle(bundle.proof, bundle.entry, bundle.statement, vkey, bundle.pdf)
    assert verified.pdf is PdfCheck.ATTACHMENTS_ONLY
    assert renderer() in verified.steps[-1]
    assert "typst/9.9" in verified.steps[-1]
    assert bundle.pdf is not None
    for change in (lambda files: files.pop(), lambda files: files.append(("more.txt", b"more"))):
        with pytest.raises(PdfDisagrees):
            verify_files(files_of(bundle), vkey, with_files(bundle.pdf, change))
    with pytest.raises(PdfDisagrees, match="cannot be read"):
        verify_files(files_of(bundle), vkey, b"no PDF at all")


def with_files(pdf: bytes, change: object) -> bytes:
    """The pages of a PDF with other files inside."""
    reader, writer, out = PdfReader(io.BytesIO(pdf)), PdfWriter(), io.BytesIO()
    for page in reader.pages:
        writer.add_page(page)
    files = [(name, contents[0]) for name, contents in reader.attachments.items()]
    assert callable(change)
    change(files)
    for name, contents in files:
        writer.add_attachment(name, contents)
    writer.write(out)
    return out.getvalue()


def test_the_pdf_carries_the_very_bytes_of_the_other_files(bundle: Bundle) -> None:
    assert bundle.pdf is not None
    assert pdf_attachments(bundle.pdf) == bundle.attachments()


# -- files


def test_a_bundle_is_read_back_from_any_of_its_files(bundle: Bundle, tmp_path: Path) -> None:
    paths = bundle.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    assert {path.name for path in paths} == {
        "QZP1-RC-000017.pdf",
        "QZP1-RC-000017.tlog-proof",
        "QZP1-RC-000017.entry",
        "QZP1-RC-000017.statement.json",
    }
    for path in paths:
        assert read_bundle(path) == bundle


def test_the_pdf_alone_brings_everything(bundle: Bundle, vkey: str, tmp_path: Path) -> None:
    (alone,) = (path for path in bundle.write(tmp_path) if path.suffix == ".pdf")
    for path in tmp_path.iterdir():
        if path != alone:
            path.unlink()
    again = read_bundle(alone)
    assert again == bundle
    verify_files(files_of(again), vkey, again.pdf)


def test_an_incomplete_bundle_names_what_it_lacks(bundle: Bundle, tmp_path: Path) -> None:
    replace(bundle, pdf=None).write(tmp_path)
    (tmp_path / "QZP1-RC-000017.entry").unlink()
    with pytest.raises(BundleIncomplete, match=r"QZP1-RC-000017\.entry"):
        read_bundle(tmp_path / "QZP1-RC-000017.tlog-proof")
    with pytest.raises(BundleIncomplete):
        read_bundle(tmp_path / "something.txt")


# -- before logging


def test_records_survive_their_storage(logged: "LoggedRetirement") -> None:
    assert RetirementRecords.decode(logged.records.encode()) == logged.records
    assert parse_statement(logged.records.document(5)) == (logged.records, 5)
    with pytest.raises(StatementMalformed):
        RetirementRecords.decode(logged.records.document(5))


def test_fresh_keys_hide_equal_records(samples: "Samples") -> None:
    one, two = (prepare_statement(samples.statement(), new_keys()) for _ in range(2))
    assert not set(one.commitments().values()) & set(two.commitments().values())


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"certificate": "../etc/passwd"}, "certificate"),
        ({"version": 0}, "version"),
        ({"beneficiary": "  "}, "beneficiary"),
        ({"claim_to": date(2025, 1, 1)}, "claim_to"),
        ({"serials": ()}, "serials"),
        ({"parcels": ()}, "parcels"),
        ({"verify_url": "ftp://registry.example"}, "verify_url"),
    ],
)
def test_what_does_not_add_up_is_refused_before_anything_is_logged(
    samples: "Samples", changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(StatementIncomplete) as refused:
        samples.records(**changed)
    assert refused.value.facts["field"] == field


def test_a_unit_cannot_be_stated_twice(samples: "Samples") -> None:
    with pytest.raises(StatementIncomplete, match="twice"):
        samples.records(serials=(samples.serial(1, 30), samples.serial(30, 62)))


def test_a_name_that_cannot_be_printed_is_refused_before_anything_is_logged(samples: "Samples") -> None:
    with pytest.raises(GlyphMissing, match="𠮷"):
        samples.records(beneficiary="吉野𠮷家")


def test_outlines_are_kept_in_whole_units_of_a_ten_millionth_degree() -> None:
    assert outline_ring([(118.5, 28.95), (-0.00000005, 0.1)]) == (
        (1_185_000_000, 289_500_000),
        (0, 1_000_000),
    )


def test_a_certificate_of_172_parcels_verifies(samples: "Samples") -> None:
    logged = samples.logged(172)
    bundle = build_bundle(logged.records, logged.proof, logged.entry, logged.vkey)
    verified = verify_bundle(bundle.proof, bundle.entry, bundle.statement, logged.vkey, bundle.pdf)
    assert verified.pdf is PdfCheck.REPRODUCED
    assert len(verified.statement.parcels) == 172
