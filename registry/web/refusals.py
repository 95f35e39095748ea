"""What the HTTP side itself refuses, before a room is asked."""

from typing import ClassVar

from registry.errors import RegistryRefusal


class HttpRefused(RegistryRefusal):
    """The root of this package's refusals."""

    code: ClassVar[str] = "http_refused"
    template: ClassVar[str] = "The request was refused."


class NotAuthenticated(HttpRefused):
    """No key, a wrong one, an expired one, one of an ended mandate: one answer for all of them."""

    code: ClassVar[str] = "not_authenticated"
    template: ClassVar[str] = "This needs a valid API key: Authorization: Bearer prefix.secret."


class KeyReadsOnly(HttpRefused):
    code: ClassVar[str] = "key_reads_only"
    template: ClassVar[str] = "The key {prefix} may read; it may not act."


class RequestInvalid(HttpRefused):
    """`errors` lists every fault: the path of the field, what is wrong, and a stable type."""

    code: ClassVar[str] = "invalid_request"
    template: ClassVar[str] = "The request has {count} faults."


class ActUnknown(HttpRefused):
    """In a batch."""

    code: ClassVar[str] = "act_unknown"
    template: ClassVar[str] = "There is no act {act}, or it is not done in a batch."


class AddressMalformed(HttpRefused):
    """Control characters, which no database and no reader can use."""

    code: ClassVar[str] = "address_malformed"
    template: ClassVar[str] = "The address holds a control character."


class BodyMalformed(HttpRefused):
    code: ClassVar[str] = "body_malformed"
    template: ClassVar[str] = "The body is not a JSON object: {reason}."


class BodyTooLarge(HttpRefused):
    code: ClassVar[str] = "body_too_large"
    template: ClassVar[str] = "The body is larger than the {limit_bytes} bytes that are taken here."


class MediaTypeUnsupported(HttpRefused):
    code: ClassVar[str] = "media_type_unsupported"
    template: ClassVar[str] = "The body is {found}; {expected} is taken here."


class IdempotencyKeyMissing(HttpRefused):
    code: ClassVar[str] = "idempotency_key_missing"
    template: ClassVar[str] = (
        "An act needs the header Idempotency-Key with a new UUID; the same UUID repeats the same request."
    )


class CursorMalformed(HttpRefused):
    code: ClassVar[str] = "cursor_malformed"
    template: ClassVar[str] = "The cursor is not one that this list gave."


class ResourceUnknown(HttpRefused):
    code: ClassVar[str] = "resource_unknown"
    template: ClassVar[str] = "There is nothing at {path}."


class MethodNotAllowed(HttpRefused):
    code: ClassVar[str] = "method_not_allowed"
    template: ClassVar[str] = "{path} does not take {method}."


class InternalFault(HttpRefused):
    code: ClassVar[str] = "internal_fault"
    template: ClassVar[str] = (
        "Something broke here. Give the reference {reference} to the registry's operators."
    )
