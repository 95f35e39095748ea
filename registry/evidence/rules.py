"""What may be filed as evidence, by whom, and what is refused."""

from typing import ClassVar, Final, Literal

from registry.errors import RegistryRefusal
from registry.machine import Machine, Role, step

EVIDENCE: Final = Machine(
    "evidence",
    "none",
    {
        ("none", "file"): step("filed", Role.COLLECTIVE, Role.OPERATOR, Role.VERIFIER, Role.REGISTRY_ADMIN),
    },
)

EvidenceKind = Literal["photograph", "tenure", "resolution", "map", "survey", "other"]

MEBIBYTE: Final = 1024 * 1024
IMAGE_BYTES: Final = 20 * MEBIBYTE
DOCUMENT_BYTES: Final = 40 * MEBIBYTE
LIMITS: Final[dict[str, int]] = {
    "image/jpeg": IMAGE_BYTES,
    "image/png": IMAGE_BYTES,
    "image/webp": IMAGE_BYTES,
    "image/tiff": DOCUMENT_BYTES,
    "application/pdf": DOCUMENT_BYTES,
}
"""The kinds of files that are taken, and how large each may be."""

ENDINGS: Final = {
    "image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/tiff": ".tif",
    "application/pdf": ".pdf",
}  # fmt: skip

MOST_UNFILED: Final = 500
"""Uploads of one organisation that no act has named yet."""
FAR_M: Final = 500
"""A photograph taken further than this from its parcel is flagged, never hidden or refused."""


class EvidenceRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "evidence_refused"
    template: ClassVar[str] = "The file was refused."


class EvidenceKindUnknown(EvidenceRefused):
    """Told by the content, whatever the name says."""

    code: ClassVar[str] = "evidence_type_refused"
    template: ClassVar[str] = (
        "A file of the type {found} is not taken; send a photograph or scan as JPEG, PNG, WebP, TIFF or PDF."
    )


class EvidenceTooLarge(EvidenceRefused):
    code: ClassVar[str] = "evidence_too_large"
    template: ClassVar[str] = (
        "The file has {size_bytes} bytes; of the type {media_type} at most {limit_bytes} are taken."
    )


class PhotographUnreadable(EvidenceRefused):
    """It begins like an image and cannot be read as one."""

    code: ClassVar[str] = "photograph_unreadable"
    template: ClassVar[str] = "The image cannot be read ({reason})."


class TooManyUnfiled(EvidenceRefused):
    code: ClassVar[str] = "too_many_unfiled"
    template: ClassVar[str] = (
        "Your organisation has {count} uploads that belong to no parcel yet; file or delete some first."
    )


class UploadUnknown(EvidenceRefused):
    code: ClassVar[str] = "upload_unknown"
    template: ClassVar[str] = "Your organisation has uploaded no file {sha256}."


class EvidenceTwice(EvidenceRefused):
    code: ClassVar[str] = "evidence_filed_before"
    template: ClassVar[str] = "The file was filed with parcel {parcel} before, as {evidence}."


def media_type_of(start: bytes) -> str | None:
    """What a file is by its first bytes; None for what is not taken."""
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start[:4] in (b"II*\x00", b"MM\x00*"):
        return "image/tiff"
    if start.startswith(b"%PDF-"):
        return "application/pdf"
    return None


def found_type(start: bytes) -> str:
    """A name for what is not taken, so that the refusal helps."""
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"heif", b"msf1"):
        return "HEIC"
    if start.startswith(b"PK\x03\x04"):
        return "ZIP"
    if start[4:8] == b"ftyp":
        return "MP4"
    return "empty" if not start else "unknown"
