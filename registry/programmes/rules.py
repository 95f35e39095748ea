"""Programmes: what a unit is, how much is withheld, which tolerances hold. Versioned data, published once."""

from typing import Final

from registry.machine import Machine, Needs, Role, step

PROGRAMME: Final = Machine(
    "programme",
    "none",
    {
        ("none", "publish"): step("published", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("published", "withdraw"): step("withdrawn", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
    },
)


def unit_asset(programme: str) -> str:
    return f"CO2E:{programme}"


def residue_asset(programme: str) -> str:
    return f"CO2E-residue-kg:{programme}"


def issuance_account(programme: str) -> str:
    """The source of every unit; its balance is minus what was issued."""
    return f"issuance:{programme}"


def residue_source(programme: str) -> str:
    return f"residue-source:{programme}"


def retired_account(programme: str) -> str:
    return f"retired:{programme}"


def cancelled_account(programme: str) -> str:
    return f"cancelled:{programme}"


def units_account(organisation: str, programme: str) -> str:
    """The organisation's holdings under a programme."""
    return f"units:{organisation}:{programme}"


def buffer_account(project: str) -> str:
    return f"buffer:{project}"


def residue_account(project: str) -> str:
    return f"residue:{project}"
