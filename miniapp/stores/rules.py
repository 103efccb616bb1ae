"""Who may do what, and where. Roles come from staff rows, never from a client."""

from collections.abc import Iterable
from dataclasses import dataclass

ABILITIES: dict[str, frozenset[str]] = {
    "administrator": frozenset(
        {
            "see_console",
            "see_requests",
            "see_transactions",
            "see_days",
            "see_outbox",
            "see_audit",
            "see_organisation",
            "change_organisation",
            "retry_work",
            "close_tasks",
            "bind_chat",
            "judge_prints",
        }
    ),
    "finance": frozenset(
        {
            "see_console",
            "see_requests",
            "see_transactions",
            "see_days",
            "import_bills",
            "run_reconciliation",
            "resolve_differences",
            "submit_day",
            "confirm_day",
            "see_outbox",
            "retry_work",
            "see_audit",
            "close_tasks",
            "close_with_carried_over",
            "bind_chat",
        }
    ),
    "manager": frozenset(
        {
            "see_console",
            "see_requests",
            "see_transactions",
            "confirm_requests",
            "close_tasks",
            "judge_prints",
            "bind_chat",
            "bind_others",
        }
    ),
    "cashier": frozenset(
        {"see_console", "see_requests", "see_transactions", "confirm_requests", "judge_prints", "bind_chat"}
    ),
}


@dataclass(frozen=True)
class Role:
    """One role of a person, where it holds: ``*``, ``company:<code>`` or ``store:<code>``."""

    role: str
    scope: str


@dataclass(frozen=True)
class Person:
    """A staff member as doors and verbs see one."""

    id: int
    code: str
    name: str
    roles: tuple[Role, ...]

    @property
    def audit_name(self) -> str:
        """How the audit trail names the person."""
        return f"staff:{self.code}"

    def may(self, ability: str, *, company: str | None = None, store: str | None = None) -> bool:
        """May the person do this, at this store or company? Without a place: anywhere at all."""
        return any(
            ability in ABILITIES[role.role] and _covers(role.scope, company, store) for role in self.roles
        )

    def has_role(self, role: str, *, company: str | None = None, store: str | None = None) -> bool:
        """Does the person hold this very role there?"""
        return any(mine.role == role and _covers(mine.scope, company, store) for mine in self.roles)

    def scopes(self, ability: str) -> frozenset[str]:
        """Where the person may do this."""
        return frozenset(role.scope for role in self.roles if ability in ABILITIES[role.role])


def _covers(scope: str, company: str | None, store: str | None) -> bool:
    if scope == "*" or (company is None and store is None):
        return True
    return scope == f"store:{store}" or scope == f"company:{company}"


def known_abilities() -> frozenset[str]:
    """Every ability that a role can give."""
    return frozenset().union(*ABILITIES.values())


def widest(scopes: Iterable[str]) -> bool:
    """Do these scopes cover everything?"""
    return "*" in set(scopes)
