"""Who may bring input files of estimates over HTTP, and what can go wrong on the way."""

from typing import Final

from registry.machine import NotAuthorised, Role
from registry.web.api import Caller, problem_responses

UPLOADERS: Final = (Role.COLLECTIVE, Role.OPERATOR, Role.REGISTRY_ADMIN, Role.VERIFIER)
UPLOAD_PROBLEMS: Final = problem_responses(400, 401, 403, 409, 413, 422, 500)


def require_uploader(by: Caller, what: str) -> None:
    """Refuse a mandate that brings no files (`NotAuthorised`); `what` is the kind of file."""
    if by.mandate.role not in UPLOADERS:
        raise NotAuthorised(machine=what, action="register", needed=" / ".join(sorted(UPLOADERS)))
