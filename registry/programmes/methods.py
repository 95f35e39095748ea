"""Method versions that a programme may name, and those that begin nothing new any more.

What a method computes is `registry.estimates.methods` to know, a later room; a test holds its list against
this one.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from registry.programmes.rules import ProgrammeRefused

OFFERED: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "zj-ph-forest-management/1": None,
        "zj-ph-forest-management-linear/1": None,
        "zj-ph-forest-management-trees/1": None,
        "zj-ph-forest-management-ratio/1": "zj-ph-forest-management-ratio/2",
        "zj-ph-forest-management-regression/1": "zj-ph-forest-management-regression/2",
        "zj-ph-forest-management-ratio/2": None,
        "zj-ph-forest-management-regression/2": None,
        "zj-ph-bamboo-management/1": None,
    }
)
"""Every method version, and the one that superseded it. Projects that run under a superseded one keep it."""


class MethodNotOffered(ProgrammeRefused):
    code: ClassVar[str] = "method_not_offered"
    template: ClassVar[str] = "There is no method {method} that a programme could name."


class MethodSuperseded(ProgrammeRefused):
    code: ClassVar[str] = "method_superseded"
    template: ClassVar[str] = "The method {method} begins nothing new: {superseded_by} has taken its place."


def check_offered(methods: Iterable[str]) -> None:
    """Whether something new may begin under these methods (`MethodNotOffered`, `MethodSuperseded`)."""
    for method in methods:
        if method not in OFFERED:
            raise MethodNotOffered(method=method)
        successor = OFFERED[method]
        if successor is not None:
            raise MethodSuperseded(method=method, superseded_by=successor)
