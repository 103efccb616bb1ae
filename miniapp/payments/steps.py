"""Pieces that the verbs of payments share: the till, its accounts, the gateway's settings, moving a charge or refund."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from miniapp.core import audit
from miniapp.core.errors import Missing, Refused
from miniapp.core.states import States
from miniapp.payments import rules
from miniapp.payments.gateways import MerchantSettings
from miniapp.payments.models import Charge, RefundOrder
from miniapp.payments.states import CHARGE, REFUND
from miniapp.stores import service as stores
from miniapp.stores.models import Store, StoreCompany, Terminal, TerminalWallet


@dataclass(frozen=True)
class Till:
    """A terminal with what is frozen into each transaction it makes."""

    id: int
    code: str
    store_id: int
    store_code: str
    store_name: str
    cut_off: str
    platform_discount: str
    wallets: Mapping[str, int]
    companies: tuple[tuple[datetime, int], ...]

    def account(self, wallet: str) -> int:
        """The merchant account that takes a wallet here. Raises Refused."""
        if wallet not in self.wallets:
            raise Refused("payments.no_account", wallet=wallet)
        return self.wallets[wallet]

    def company_at(self, moment: datetime) -> int:
        """The company that the store belonged to at a moment; the first one before its first day."""
        begun = [company for since, company in self.companies if since <= moment]
        return begun[-1] if begun else self.companies[0][1]


def till_of(session: Session, terminal_id: int) -> Till:
    """The terminal of an id. Raises Missing."""
    terminal = session.get(Terminal, terminal_id)
    if terminal is None:
        raise Missing("core.not_found")
    store = session.get_one(Store, terminal.store_id)
    wallets = session.execute(
        select(TerminalWallet.wallet, TerminalWallet.merchant_account_id).where(
            TerminalWallet.terminal_id == terminal_id
        )
    )
    companies = session.execute(
        select(StoreCompany.since, StoreCompany.company_id)
        .where(StoreCompany.store_id == store.id)
        .order_by(StoreCompany.since, StoreCompany.id)
    )
    return Till(
        id=terminal.id,
        code=terminal.code,
        store_id=store.id,
        store_code=store.code,
        store_name=store.name,
        cut_off=store.cut_off,
        platform_discount=rules.discount_mode(store.policy),
        wallets=dict(wallets.all()),
        companies=tuple((since, company) for since, company in companies),
    )


def settings_of(merchant_account_id: int) -> MerchantSettings:
    """A merchant account as its gateway takes it. Opens a read of its own."""
    view = stores.merchant_account(merchant_account_id)
    known = set(MerchantSettings.__dataclass_fields__)
    given = {**view.settings, **view.secrets}
    return MerchantSettings(
        code=view.code,
        platform=view.kind,
        merchant_no=view.merchant_no,
        app_id=view.app_id,
        **{
            "api_base": "",
            **{
                name: str(value)
                for name, value in given.items()
                if name in known - {"code", "platform", "merchant_no", "app_id"}
            },
        },
    )


def move_charge(
    session: Session, charge: Charge, verb: str, *, by: str = audit.SYSTEM, why: str = ""
) -> bool:
    """Move a charge by its table; False where the table has no such move (it is settled already)."""
    return _move(session, CHARGE, Charge, charge, verb, by=by, why=why)


def move_refund(
    session: Session, order: RefundOrder, verb: str, *, by: str = audit.SYSTEM, why: str = ""
) -> bool:
    """Move a refund order by its table; False where the table has no such move."""
    return _move(session, REFUND, RefundOrder, order, verb, by=by, why=why)


def _move(
    session: Session,
    states: States,
    model: type[Charge] | type[RefundOrder],
    row: Charge | RefundOrder,
    verb: str,
    *,
    by: str,
    why: str,
) -> bool:
    before = row.state
    after = states.next(before, verb)
    if after is None:
        return False
    moved = session.execute(
        update(model)
        .where(model.id == row.id, model.state == before)
        .values(state=after)
        .execution_options(synchronize_session=False)
    )
    if moved.rowcount != 1:  # type: ignore[attr-defined]
        return False
    session.refresh(row)
    audit.note(session, states.name, row.id, verb, by=by, before=before, after=after, why=why or None)
    return True
