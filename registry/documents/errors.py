"""Why a document is not made or not believed."""

from typing import ClassVar

from registry.errors import RegistryRefusal


class DocumentRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "document_refused"
    template: ClassVar[str] = "The document was refused."


class SerialMalformed(DocumentRefused):
    code: ClassVar[str] = "serial_malformed"
    template: ClassVar[str] = "{serial} is not a serial number: {reason}."


class SerialCheckDigitsWrong(DocumentRefused):
    code: ClassVar[str] = "serial_check_digits"
    template: ClassVar[str] = (
        "The check digits of {serial} do not fit: a character was mistyped or two were swapped."
    )


class SerialBatchDisagrees(DocumentRefused):
    """Vintage and batch are redundant on purpose (`RULES.md` section 2); they must agree with the units
    named.
    """

    code: ClassVar[str] = "serial_batch_disagrees"
    template: ClassVar[str] = (
        "{serial} says vintage {vintage} and batch {batch}, but its units belong to vintage {known_vintage}, "
        "batch {known_batch}."
    )


class GlyphMissing(DocumentRefused):
    code: ClassVar[str] = "glyph_missing"
    template: ClassVar[str] = (
        "No installed font can show the character {character} ({codepoint}) in {field}; "
        "add a folder with such a font to the setting {setting}."
    )


class FontsMissing(DocumentRefused):
    code: ClassVar[str] = "certificate_fonts_missing"
    template: ClassVar[str] = "The fonts of the certificate ({family}) are not installed in {folder}."


class CertificateContentInvalid(DocumentRefused):
    code: ClassVar[str] = "certificate_content_invalid"
    template: ClassVar[str] = "The certificate cannot say this: {field} {reason}."


class StatementIncomplete(DocumentRefused):
    """Raised while a statement is prepared, before anything is logged."""

    code: ClassVar[str] = "statement_invalid"
    template: ClassVar[str] = "The retirement statement cannot be prepared: {field} {reason}."


class BundleIncomplete(DocumentRefused):
    code: ClassVar[str] = "bundle_incomplete"
    template: ClassVar[str] = "The certificate bundle lacks {file}."


class CertificateNotProven(DocumentRefused):
    """The root of what `verify_bundle` refuses; `step` is the number of the step and `where` the place."""

    code: ClassVar[str] = "certificate_not_proven"
    template: ClassVar[str] = "The certificate is not proven (step {step}, {where}): {reason}."


class CheckpointNotSigned(CertificateNotProven):
    code: ClassVar[str] = "certificate_checkpoint_refused"
    template: ClassVar[str] = (
        "The proof's checkpoint is not signed by this log (step {step}, {where}): {reason}."
    )


class EntryNotIncluded(CertificateNotProven):
    code: ClassVar[str] = "certificate_entry_not_included"
    template: ClassVar[str] = (
        "The entry is not in the log that the checkpoint signs (step {step}, {where}): {reason}."
    )


class NotARetirement(CertificateNotProven):
    code: ClassVar[str] = "certificate_not_a_retirement"
    template: ClassVar[str] = "The entry does not retire units (step {step}, {where}): {reason}."


class StatementMalformed(CertificateNotProven):
    code: ClassVar[str] = "certificate_statement_malformed"
    template: ClassVar[str] = "The statement is not of the one form (step {step}, {where}): {reason}."


class StatementDisagrees(CertificateNotProven):
    code: ClassVar[str] = "certificate_statement_disagrees"
    template: ClassVar[str] = (
        "The statement says something else than the entry (step {step}, {where}): {reason}."
    )


class PdfDisagrees(CertificateNotProven):
    code: ClassVar[str] = "certificate_pdf_disagrees"
    template: ClassVar[str] = "The PDF is not the one of this statement (step {step}, {where}): {reason}."
