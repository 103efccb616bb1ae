"""Staff as the console shows them, and binding codes for oneself and for one's cashiers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from miniapp import db
from miniapp.core.clock import now
from miniapp.core.errors import Missing
from miniapp.stores import service
from miniapp.stores.models import ChatAccount, Company, Duty, Staff, StaffIdentity, Store, StoreCompany
from miniapp.stores.rules import Person, Role


@dataclass(frozen=True)
class RoleRow:
    """A role and the name of the place where it holds; an empty place is everywhere."""

    role: str
    place: str


@dataclass(frozen=True)
class DutyRow:
    """Where a person is on duty, since when."""

    store_code: str
    store_name: str
    since: datetime


@dataclass(frozen=True)
class StaffRow:
    """A person. ``chats``: the kinds of chat account that are bound, never an open id."""

    id: int
    code: str
    name: str
    login: str
    is_disabled: bool
    roles: tuple[RoleRow, ...]
    chats: tuple[str, ...]
    duty: DutyRow | None
    is_mine_to_bind: bool


def duty_of(staff_id: int) -> DutyRow | None:
    """Where a person is on duty now, or None."""
    with db.reading() as session:
        return _duties(session, [staff_id]).get(staff_id)


def one(staff_id: int) -> StaffRow:
    """One person. Raises Missing."""
    with db.reading() as session:
        rows = _rows(session, select(Staff).where(Staff.id == staff_id), frozenset())
    if not rows:
        raise Missing("core.not_found")
    return rows[0]


def within(scopes: Iterable[str], *, binding: Iterable[str] = ()) -> list[StaffRow]:
    """People who hold a role inside the scopes, by code; ``binding``: the scopes in which the reader may bind others."""
    wanted = frozenset(scopes)
    with db.reading() as session:
        places = _Places(session)
        rows = _rows(session, select(Staff).order_by(Staff.code), frozenset(binding), places)
        roles = {
            row.id: row.roles for row in session.scalars(select(Staff).options(selectinload(Staff.roles)))
        }
        return [row for row in rows if any(places.covers(wanted, role.scope) for role in roles[row.id])]


def binding_code_for(staff_id: int, *, by: Person) -> str:
    """A binding code for somebody else. Raises Missing unless that person is only a cashier, inside ``by``'s scopes."""
    with db.reading() as session:
        found = _rows(session, select(Staff).where(Staff.id == staff_id), by.scopes("bind_others"))
    if not found or not found[0].is_mine_to_bind or found[0].is_disabled:
        raise Missing("core.not_found")
    return service.binding_code(staff_id, by=by)


def names_of(codes: Iterable[str]) -> dict[str, str]:
    """Staff code → name, for those that exist."""
    wanted = set(codes)
    if not wanted:
        return {}
    with db.reading() as session:
        return dict(session.execute(select(Staff.code, Staff.name).where(Staff.code.in_(wanted))).all())


class _Places:
    """Names of scopes, and which scope lies inside which."""

    def __init__(self, session: Session) -> None:
        self.companies = dict(session.execute(select(Company.code, Company.name)).all())
        stores = session.scalars(
            select(Store).options(selectinload(Store.companies).joinedload(StoreCompany.company))
        )
        self.stores: dict[str, tuple[str, str]] = {}
        for store in stores:
            belongs = [row for row in store.companies if row.since <= now()]
            self.stores[store.code] = (store.name, belongs[-1].company.code if belongs else "")

    def name(self, scope: str) -> str:
        """The place in words."""
        kind, _, code = scope.partition(":")
        if kind == "store":
            return self.stores.get(code, (code, ""))[0]
        return self.companies.get(code, code) if kind == "company" else ""

    def covers(self, scopes: frozenset[str], scope: str) -> bool:
        """Does one of the scopes hold all of this one?"""
        if "*" in scopes or scope in scopes:
            return True
        kind, _, code = scope.partition(":")
        return kind == "store" and f"company:{self.stores.get(code, ('', ''))[1]}" in scopes


def _rows(
    session: Session, query: Select[Staff], binding: frozenset[str], places: _Places | None = None
) -> list[StaffRow]:
    known = places or _Places(session)
    people = session.scalars(query.options(selectinload(Staff.roles))).all()
    ids = [person.id for person in people]
    duties, chats = _duties(session, ids), _chats(session, ids)
    return [
        StaffRow(
            person.id,
            person.code,
            person.name,
            person.login,
            person.is_disabled,
            tuple(RoleRow(role.role, known.name(role.scope)) for role in person.roles),
            tuple(chats.get(person.id, ())),
            duties.get(person.id),
            _is_mine(person, binding, known),
        )
        for person in people
    ]


def _is_mine(person: Staff, binding: frozenset[str], places: _Places) -> bool:
    """A manager binds cashiers only: binding one's own phone to a wider role would be a way up."""
    roles = [Role(row.role, row.scope) for row in person.roles]
    return bool(roles) and all(
        role.role == "cashier" and places.covers(binding, role.scope) for role in roles
    )


def _duties(session: Session, staff_ids: list[int]) -> dict[int, DutyRow]:
    rows = session.execute(
        select(Duty, Store)
        .join(Store, Store.id == Duty.store_id)
        .where(Duty.staff_id.in_(staff_ids), Duty.until.is_(None))
    )
    return {duty.staff_id: DutyRow(store.code, store.name, duty.since) for duty, store in rows}


def _chats(session: Session, staff_ids: list[int]) -> dict[int, list[str]]:
    rows = session.execute(
        select(StaffIdentity.staff_id, ChatAccount.kind)
        .join(ChatAccount, ChatAccount.app_id == StaffIdentity.app_id)
        .where(StaffIdentity.staff_id.in_(staff_ids))
        .order_by(StaffIdentity.id)
    )
    found: dict[int, list[str]] = {}
    for staff_id, kind in rows:
        found.setdefault(staff_id, []).append(kind)
    return found
