"""Reading the organisation, and who is on duty: plain frozen values out, one transaction a verb."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, selectinload

from miniapp import db
from miniapp.core import audit, codes, limits, vault
from miniapp.core.clock import now
from miniapp.core.errors import Again, Forbidden, Missing, Refused
from miniapp.stores.models import (
    BindingCode,
    ChatAccount,
    Company,
    Duty,
    IssuingChannel,
    MerchantAccount,
    Staff,
    StaffIdentity,
    Store,
    StoreCompany,
    Terminal,
    TerminalKey,
    TerminalWallet,
)
from miniapp.stores.people import person as person
from miniapp.stores.people import person_in as person_in
from miniapp.stores.policy import StorePolicy, policy_of
from miniapp.stores.rules import Person, Role
from miniapp.stores.signing_in import sign_in as sign_in

BINDING_MINUTES = 15


@dataclass(frozen=True)
class AccountView:
    """A merchant account, chat account or channel with its settings and opened secrets. Never logged, never shown."""

    id: int
    code: str
    kind: str
    company_id: int | None
    app_id: str
    merchant_no: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    name: str = ""

    def __repr__(self) -> str:
        return f"AccountView({self.kind}:{self.code})"


@dataclass(frozen=True)
class TerminalView:
    """A terminal as its door knows it, from the key that signed."""

    id: int
    code: str
    store_id: int
    store_code: str
    company_id: int
    key_id: str
    secret: str
    wallets: Mapping[str, int]
    """wallet → merchant account id"""

    def __repr__(self) -> str:
        return f"TerminalView({self.code})"


def terminal_by_key(key_id: str) -> TerminalView | None:
    """The terminal of a live key, or None. Asked at every call, so that revoking works at once."""
    with db.reading() as session:
        row = session.execute(
            select(TerminalKey, Terminal, Store)
            .join(Terminal, Terminal.id == TerminalKey.terminal_id)
            .join(Store, Store.id == Terminal.store_id)
            .where(
                TerminalKey.key_id == key_id,
                TerminalKey.revoked_at.is_(None),
                Terminal.is_disabled.is_(False),
                Store.is_disabled.is_(False),
            )
        ).one_or_none()
        if row is None:
            return None
        key, terminal, store = row
        wallets = session.execute(
            select(TerminalWallet.wallet, TerminalWallet.merchant_account_id).where(
                TerminalWallet.terminal_id == terminal.id
            )
        )
        return TerminalView(
            id=terminal.id,
            code=terminal.code,
            store_id=store.id,
            store_code=store.code,
            company_id=company_of(session, store.id).id,
            key_id=key_id,
            secret=vault.unwrap(key.secret, name=f"terminal_key:{key_id}"),
            wallets=dict(wallets.all()),
        )


def company_of(session: Session, store_id: int) -> Company:
    """The company that a store belongs to now."""
    row = session.scalar(
        select(StoreCompany)
        .where(StoreCompany.store_id == store_id, StoreCompany.since <= now())
        .order_by(StoreCompany.since.desc())
        .limit(1)
    )
    if row is None:
        raise Missing("core.not_found")
    return row.company


def policy(session: Session, store_id: int) -> StorePolicy:
    """A store's policy and default line."""
    store = session.get_one(Store, store_id)
    return policy_of(store.policy, store.default_line)


def merchant_account(account_id: int) -> AccountView:
    """A merchant account with its keys."""
    with db.reading() as session:
        row = session.get_one(MerchantAccount, account_id)
        return AccountView(
            id=row.id,
            code=row.code,
            kind=row.platform,
            company_id=row.company_id,
            app_id=row.app_id,
            merchant_no=row.merchant_no,
            settings=row.settings,
            secrets=_open("merchant_account", row.code, row.secrets),
        )


def chat_account(code: str) -> AccountView:
    """A chat account by its code. Raises Missing."""
    return _chat_account(ChatAccount.code == code)


def chat_account_of_app(app_id: str) -> AccountView:
    """A chat account by its app id. Raises Missing."""
    return _chat_account(ChatAccount.app_id == app_id)


def chat_accounts() -> list[AccountView]:
    """All chat accounts that are in use."""
    with db.reading() as session:
        found = session.scalars(select(ChatAccount.code).where(ChatAccount.is_disabled.is_(False))).all()
    return [chat_account(code) for code in found]


def channel(channel_id: int) -> AccountView:
    """An issuing channel with its keys."""
    with db.reading() as session:
        row = session.get_one(IssuingChannel, channel_id)
        return AccountView(
            id=row.id,
            code=row.code,
            kind=row.kind,
            company_id=row.company_id,
            app_id="",
            merchant_no="",
            settings=row.settings,
            secrets=_open("channel", row.code, row.secrets),
        )


def channel_in_use(session: Session, company: Company) -> IssuingChannel | None:
    """The channel that a company issues through now; None: the embedded specimen."""
    if not company.channel_code:
        return None
    return session.scalar(
        select(IssuingChannel).where(
            IssuingChannel.code == company.channel_code, IssuingChannel.is_disabled.is_(False)
        )
    )


def person_of_identity(session: Session, app_id: str, open_id: str) -> Person | None:
    """Who has bound this chat identity."""
    staff_id = session.scalar(
        select(StaffIdentity.staff_id).where(StaffIdentity.app_id == app_id, StaffIdentity.open_id == open_id)
    )
    return None if staff_id is None else person_in(session, staff_id)


def binding_code(staff_id: int, *, by: Person) -> str:
    """A new one-time code that binds a chat account to a person; answered once, kept as a hash."""
    code = codes.short_code(8)
    with db.transaction() as session:
        session.execute(
            update(BindingCode)
            .where(BindingCode.staff_id == staff_id, BindingCode.used_at.is_(None))
            .values(used_at=now())
        )
        session.add(
            BindingCode(
                staff_id=staff_id,
                code_hash=_hash(code),
                expires_at=now() + timedelta(minutes=BINDING_MINUTES),
            )
        )
        audit.note(session, "staff", staff_id, "make_binding_code", by=by.audit_name)
    return code


def bind(code: str, *, app_id: str, open_id: str) -> Person:
    """Bind a chat identity by a one-time code. Raises Refused (wrong, used, expired), Again (somebody else's identity)."""
    with db.transaction() as session:
        limits.check(session, f"bind:{app_id}:{open_id}", at_most=10, key="stores.bind_paused")
        row = session.scalar(
            select(BindingCode)
            .where(BindingCode.code_hash == _hash(code.strip().upper()), BindingCode.used_at.is_(None))
            .with_for_update()
        )
        if row is not None and row.expires_at > now():
            return _bind(session, row, app_id, open_id)
    with db.transaction() as session:
        limits.hit(session, f"bind:{app_id}:{open_id}")
    raise Refused("stores.wrong_binding_code")


def go_on_duty(staff_id: int, store_code: str | None = None) -> str:
    """On duty in a store (the only one of the person's, if none is named); answers the store's name.

    Raises Forbidden (no cashier or manager there), Refused (several stores: name one), Again.
    """
    with db.transaction() as session:
        who = person_in(session, staff_id)
        places = _places(session, who) if who else []
        if store_code is not None:
            places = [store for store in places if store_code in (store.code, store.name)]
        if not places:
            raise Forbidden("stores.no_duty_here")
        if len(places) > 1:
            raise Refused("stores.which_store", stores="、".join(store.name for store in places[:8]))
        store = places[0]
        now_open = session.scalar(select(Duty).where(Duty.staff_id == staff_id, Duty.until.is_(None)))
        if now_open is not None and now_open.store_id == store.id:
            raise Again("stores.on_duty_already", store=store.name)
        if now_open is not None:
            now_open.until = now()
            session.flush()
        session.add(Duty(staff_id=staff_id, store_id=store.id, since=now()))
        audit.note(session, "store", store.id, "on_duty", by=who.audit_name if who else "")
        return store.name


def go_off_duty(staff_id: int) -> str:
    """Off duty; answers the store's name. Raises Again when not on duty."""
    with db.transaction() as session:
        row = session.scalar(select(Duty).where(Duty.staff_id == staff_id, Duty.until.is_(None)))
        if row is None:
            raise Again("stores.off_duty_already")
        row.until = now()
        who = session.get_one(Staff, staff_id)
        audit.note(session, "store", row.store_id, "off_duty", by=f"staff:{who.code}")
        return session.get_one(Store, row.store_id).name


def is_on_duty(session: Session, staff_id: int, store_id: int) -> bool:
    """Is the person on duty in this store now?"""
    return (
        session.scalar(
            select(func.count()).where(
                Duty.staff_id == staff_id, Duty.store_id == store_id, Duty.until.is_(None)
            )
        )
        == 1
    )


def on_duty(session: Session, store_id: int) -> list[int]:
    """Staff ids on duty in a store, the longest first."""
    return list(
        session.scalars(
            select(Duty.staff_id)
            .where(Duty.store_id == store_id, Duty.until.is_(None))
            .order_by(Duty.since, Duty.id)
        )
    )


def managers_of(session: Session, store: Store) -> list[int]:
    """Staff ids of a store's managers, by scope."""
    company = company_of(session, store.id)
    people = session.scalars(
        select(Staff).where(Staff.is_disabled.is_(False)).options(selectinload(Staff.roles))
    )
    return [
        row.id
        for row in people
        if Person(row.id, row.code, row.name, tuple(Role(r.role, r.scope) for r in row.roles)).has_role(
            "manager", company=company.code, store=store.code
        )
    ]


def identities_of_staff(session: Session, staff_id: int) -> list[tuple[str, str]]:
    """(app id, open id) of every chat identity that a person has bound."""
    rows = session.execute(
        select(StaffIdentity.app_id, StaffIdentity.open_id)
        .where(StaffIdentity.staff_id == staff_id)
        .order_by(StaffIdentity.bound_at.desc())
    )
    return [(app_id, open_id) for app_id, open_id in rows]


def _bind(session: Session, row: BindingCode, app_id: str, open_id: str) -> Person:
    known = session.scalar(
        select(StaffIdentity).where(StaffIdentity.app_id == app_id, StaffIdentity.open_id == open_id)
    )
    if known is not None and known.staff_id != row.staff_id:
        raise Again("stores.identity_taken")
    row.used_at = now()
    if known is None:
        session.add(StaffIdentity(staff_id=row.staff_id, app_id=app_id, open_id=open_id, bound_at=now()))
    who = person_in(session, row.staff_id)
    if who is None:
        raise Refused("stores.wrong_binding_code")
    audit.note(session, "staff", who.id, "bind_chat", by=who.audit_name)
    return who


def _places(session: Session, who: Person) -> list[Store]:
    stores = session.scalars(select(Store).where(Store.is_disabled.is_(False)).order_by(Store.code)).all()
    return [
        store
        for store in stores
        if who.may("confirm_requests", company=company_of(session, store.id).code, store=store.code)
    ]


def _chat_account(condition: Any) -> AccountView:
    with db.reading() as session:
        row = session.scalar(select(ChatAccount).where(condition, ChatAccount.is_disabled.is_(False)))
        if row is None:
            raise Missing("core.not_found")
        return AccountView(
            id=row.id,
            code=row.code,
            kind=row.kind,
            company_id=None,
            app_id=row.app_id,
            merchant_no="",
            settings=row.settings,
            secrets=_open("account", row.code, row.secrets),
            name=row.name,
        )


def _open(table: str, code: str, sealed: bytes | None) -> dict[str, str]:
    opened: dict[str, str] = json.loads(vault.unwrap(sealed, name=f"{table}:{code}")) if sealed else {}
    return opened


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8")).hexdigest()
