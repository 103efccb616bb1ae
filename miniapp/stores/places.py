"""Which stores and companies a person's scopes reach, and what stands there: for pages, within the scopes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import joinedload

from miniapp import db
from miniapp.core.clock import now
from miniapp.core.reach import Reach
from miniapp.stores.models import Company, Store, StoreCompany, Terminal
from miniapp.stores.rules import widest

STALE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class StoreRow:
    """A store for a filter or a heading."""

    id: int
    code: str
    name: str
    company: str
    company_name: str


@dataclass(frozen=True)
class TerminalRow:
    """A terminal and its last sign of life. ``printer``/``paper``: words of the report, empty where it said nothing."""

    code: str
    store_code: str
    store_name: str
    seen_at: datetime | None
    is_stale: bool
    power: str
    battery_percent: int | None
    network: str
    printer: str
    reasons: tuple[str, ...]
    app_version: str


def reach(scopes: Iterable[str]) -> Reach:
    """The scopes as ids."""
    wanted = set(scopes)
    if widest(wanted):
        return Reach(is_everywhere=True)
    with db.reading() as session:
        stores = session.scalars(select(Store.id).where(covering(wanted))).all()
        companies = session.scalars(
            select(Company.id).where(Company.code.in_(_codes(wanted, "company")))
        ).all()
    return Reach(store_ids=frozenset(stores), company_ids=frozenset(companies))


def stores(scopes: Iterable[str]) -> list[StoreRow]:
    """Open stores within the scopes, by code."""
    with db.reading() as session:
        rows = session.execute(
            select(Store, Company)
            .join(Company, Company.id == _company_now())
            .where(covering(scopes), Store.is_disabled.is_(False))
            .order_by(Store.code)
        ).all()
        return [StoreRow(s.id, s.code, s.name, c.code, c.name) for s, c in rows]


def terminals(scopes: Iterable[str]) -> list[TerminalRow]:
    """Terminals within the scopes: those that have been silent longest first, then by store."""
    with db.reading() as session:
        rows = session.scalars(
            select(Terminal)
            .join(Store, Store.id == Terminal.store_id)
            .where(covering(scopes), Terminal.is_disabled.is_(False), Store.is_disabled.is_(False))
            .options(joinedload(Terminal.store))
            .order_by(Store.code, Terminal.code)
        ).all()
        found = [_terminal(row) for row in rows]
    return sorted(found, key=lambda row: not row.is_stale)


def covering(scopes: Iterable[str]) -> ColumnElement[bool]:
    """The condition on Store that scopes mean; a company's scope covers the stores that belong to it now."""
    wanted = set(scopes)
    if widest(wanted):
        return true()
    company = select(Company.code).where(Company.id == _company_now()).scalar_subquery()
    return or_(Store.code.in_(_codes(wanted, "store")), company.in_(_codes(wanted, "company")))


def _company_now() -> Any:
    return (
        select(StoreCompany.company_id)
        .where(StoreCompany.store_id == Store.id, StoreCompany.since <= now())
        .order_by(StoreCompany.since.desc())
        .limit(1)
        .correlate(Store)
        .scalar_subquery()
    )


def _codes(scopes: Iterable[str], kind: str) -> list[str]:
    return [scope.partition(":")[2] for scope in scopes if scope.startswith(f"{kind}:")]


def _terminal(row: Terminal) -> TerminalRow:
    said = row.last_beat or {}
    power, printer = said.get("power") or {}, said.get("printer") or {}
    return TerminalRow(
        code=row.code,
        store_code=row.store.code,
        store_name=row.store.name,
        seen_at=row.last_beat_at,
        is_stale=row.last_beat_at is None or now() - row.last_beat_at > STALE_AFTER,
        power=str(power.get("source") or ""),
        battery_percent=power.get("battery_percent"),
        network=str(said.get("network") or ""),
        printer=str(printer.get("state") or ""),
        reasons=tuple(str(reason) for reason in printer.get("reasons") or ()),
        app_version=str(said.get("app_version") or ""),
    )
