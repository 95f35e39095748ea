"""The root of every refusal of the ledger, and the refusals of its formats.

Each class is one reason: a stable `code`, one English sentence with named facts (the message id of its
translations), and the facts themselves, which are plain JSON values. Refusals of the books live beside the
books.
"""

from typing import ClassVar


class LedgerRefusal(Exception):
    """Something that the ledger does not accept. Nothing was written."""

    code: ClassVar[str] = "ledger_refused"
    template: ClassVar[str] = "The ledger does not accept this."

    def __init__(self, **facts: object) -> None:
        super().__init__()
        self.facts: dict[str, object] = facts

    def __str__(self) -> str:
        return self.template.format(**self.facts)


class NotCanonical(LedgerRefusal):
    """Bytes or a value that have no canonical JSON form, or another one."""

    code: ClassVar[str] = "not_canonical"
    template: ClassVar[str] = "This is not canonical JSON: {reason}."


# ---- unit ranges -------------------------------------------------------------------------------------------


class UnitsRefused(LedgerRefusal):
    """A unit range or a quantity of units that cannot be."""

    code: ClassVar[str] = "units_refused"
    template: ClassVar[str] = "These units cannot be."


class NotWholeUnits(UnitsRefused):
    """Zero, negative, fractional, boolean, text, or beyond 63 bits."""

    code: ClassVar[str] = "units_not_whole"
    template: ClassVar[str] = "{value} is not a whole number of units between 1 and {maximum}."


class UnitsReversed(UnitsRefused):
    code: ClassVar[str] = "units_reversed"
    template: ClassVar[str] = "The range from {start} to {end} ends before it starts."


class UnitsShort(UnitsRefused):
    """More units asked for than the range has."""

    code: ClassVar[str] = "units_short"
    template: ClassVar[str] = "The range {units} has {available} units, {asked} were asked for."


class UnitsOutside(UnitsRefused):
    code: ClassVar[str] = "units_outside"
    template: ClassVar[str] = "{asked} does not lie within the range {units}."


class UnitsApart(UnitsRefused):
    """Only ranges that touch without overlapping merge."""

    code: ClassVar[str] = "units_apart"
    template: ClassVar[str] = "The ranges {first} and {second} do not follow one another."


class UnitsMiscounted(UnitsRefused):
    """A stated count that is not the number of units in the stated range."""

    code: ClassVar[str] = "units_miscounted"
    template: ClassVar[str] = "The range {units} has {available} units, {stated} are stated."


# ---- keys and signatures -----------------------------------------------------------------------------------


class MalformedKey(LedgerRefusal):
    """A public key, private key file or verifier key that is not acceptable."""

    code: ClassVar[str] = "key_malformed"
    template: ClassVar[str] = "The key is not acceptable: {reason}."


class SignatureRefused(LedgerRefusal):
    """A signature that does not verify, or has an encoding on which verifiers disagree."""

    code: ClassVar[str] = "signature_refused"
    template: ClassVar[str] = "The signature by {signer} does not verify."


class SignerUnknown(LedgerRefusal):
    """No signature, or one by a key that is not known here."""

    code: ClassVar[str] = "signer_unknown"
    template: ClassVar[str] = "There is no signature by a known key: {signer}."


# ---- the tree and what is published ------------------------------------------------------------------------


class MalformedTree(LedgerRefusal):
    """A tree size, index or stored frontier that cannot be."""

    code: ClassVar[str] = "tree_malformed"
    template: ClassVar[str] = "The tree cannot be as stated: {reason}."


class ProofRefused(LedgerRefusal):
    """An inclusion or consistency proof that does not lead to the stated root."""

    code: ClassVar[str] = "proof_refused"
    template: ClassVar[str] = "The proof does not hold: {reason}."


class MalformedProof(LedgerRefusal):
    """A proof file that is not in its one spelling."""

    code: ClassVar[str] = "proof_malformed"
    template: ClassVar[str] = "The proof is malformed: {reason}."


class MalformedNote(LedgerRefusal):
    """A signed note that is not in its one spelling."""

    code: ClassVar[str] = "note_malformed"
    template: ClassVar[str] = "The signed note is malformed: {reason}."


class MalformedCheckpoint(LedgerRefusal):
    """A checkpoint that is not in its one spelling."""

    code: ClassVar[str] = "checkpoint_malformed"
    template: ClassVar[str] = "The checkpoint is malformed: {reason}."


class MalformedEnvelope(LedgerRefusal):
    """An envelope or a leaf that is not in its one spelling, or too large."""

    code: ClassVar[str] = "envelope_malformed"
    template: ClassVar[str] = "The envelope is malformed: {reason}."


class MalformedTile(LedgerRefusal):
    """A tile, an entry bundle or a path that is not in its one spelling."""

    code: ClassVar[str] = "tile_malformed"
    template: ClassVar[str] = "The tile is malformed: {reason}."


class TileMissing(LedgerRefusal):
    """A published file that is not there."""

    code: ClassVar[str] = "tile_missing"
    template: ClassVar[str] = "The file {path} is not published."


class PublishRefused(LedgerRefusal):
    """Publishing would shrink or fork what is public."""

    code: ClassVar[str] = "publish_refused"
    template: ClassVar[str] = "This cannot be published: {reason}."


class CommitmentRefused(LedgerRefusal):
    """A record or key that is not the committed one."""

    code: ClassVar[str] = "commitment_refused"
    template: ClassVar[str] = "The record does not match its commitment: {reason}."


class ReplayRefusal(LedgerRefusal):
    """An entry that does not follow from the log before it."""

    code: ClassVar[str] = "replay_refused"
    template: ClassVar[str] = "The entry does not follow from the log: {reason}."
