"""Reading purchases that may be invoiced. The statements are made once: pages and every 发票 in the chat ask them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, Table, and_, bindparam, exists, func, select, text, union_all
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core.clock import now
from miniapp.customers.models import Identity
from miniapp.invoices import rules
from miniapp.invoices.models import AmountClaim, InvoiceRequest
from miniapp.invoices.rows import PurchaseRow
from miniapp.payments.models import (
    PurchaseBalance,
    PurchaseClaim,
    TerminalTransaction,
    TransactionLine,
    TransactionState,
)
from miniapp.reconcile.queries import obstacle_to, proof_in, with_proof
from miniapp.stores.models import Company, Store, Terminal
from miniapp.stores.policy import policy_of

MOST = 200


def purchases(customer_id: int) -> list[PurchaseRow]:
    """Sales that a customer has claimed or paid under an own identity, newest first, by company."""
    with db.reading() as session:
        return _rows(session, _OF_CUSTOMER, customer_id=customer_id)


def purchases_of_request(session: Session, sale_ids: Sequence[int]) -> list[PurchaseRow]:
    """The same rows for given sales."""
    return _rows(session, _OF_IDS, ids=list(sale_ids))


def _table(model: Any) -> Table:
    found: Table = model.__table__
    return found


_sale, _line, _state = _table(TerminalTransaction), _table(TransactionLine), _table(TransactionState)
_balance, _claim, _identity = _table(PurchaseBalance), _table(PurchaseClaim), _table(Identity)
_company, _store, _terminal = _table(Company), _table(Store), _table(Terminal)
_request, _amount = _table(InvoiceRequest), _table(AmountClaim)
_IS_LIVE = text(
    "amount_claim.is_live"
)  # in the words of its partial index: SQLite does not know "= 1" for the same


def _statement() -> Select[Any]:
    of_sale = _line.c.transaction_id == _sale.c.id
    untaxed = (_line.c.tax_category_code == "") | (_line.c.tax_rate == "")
    statement = (
        select(
            *(_sale.c.id, _sale.c.public_id, _sale.c.out_trade_no, _sale.c.occurred_at, _sale.c.paid_fen),
            *(_sale.c.amount_fen, _sale.c.merchant_discount_fen, _sale.c.platform_discount_fen),
            *(_balance.c.limit_fen, _balance.c.claimed_fen, _balance.c.excess_fen),
            *(_store.c.name.label("store_name"), _store.c.policy, _store.c.default_line),
            *(_company.c.code.label("company"), _company.c.name.label("company_name")),
            _terminal.c.code.label("terminal"),
            exists()
            .where(_state.c.transaction_id == _sale.c.id, _state.c.state == "revoked")
            .label("is_revoked"),
            select(func.sum(_line.c.amount_fen)).where(of_sale).scalar_subquery().label("lines_fen"),
            exists().where(of_sale, untaxed).label("has_untaxed_lines"),
            select(_request.c.public_id)
            .join(_amount, _amount.c.request_id == _request.c.id)
            .where(_amount.c.transaction_id == _sale.c.id, _IS_LIVE)
            .limit(1)
            .scalar_subquery()
            .label("request"),
        )
        .select_from(_sale)
        .join(_balance, _balance.c.transaction_id == _sale.c.id)
        .join(_store, _store.c.id == _sale.c.store_id)
        .join(_company, _company.c.id == _sale.c.company_id)
        .join(_terminal, _terminal.c.id == _sale.c.terminal_id)
        .where(_sale.c.kind == "sale")
        .order_by(_sale.c.occurred_at.desc())
        .limit(MOST)
    )
    return with_proof(statement)


def _of_customer() -> Select[Any]:
    """Claimed sales, and those that an own identity has paid and nobody has claimed."""
    mine = select(_claim.c.transaction_id).where(_claim.c.customer_id == bindparam("customer_id"))
    paid = (
        select(_sale.c.id)
        .join(
            _identity,
            and_(_sale.c.payer_app_id == _identity.c.app_id, _sale.c.payer_open_id == _identity.c.open_id),
        )
        .outerjoin(_claim, _claim.c.transaction_id == _sale.c.id)
        .where(_identity.c.customer_id == bindparam("customer_id"), _claim.c.transaction_id.is_(None))
    )
    return _statement().where(_sale.c.id.in_(union_all(mine, paid)))


_OF_CUSTOMER = _of_customer()
_OF_IDS = _statement().where(_sale.c.id.in_(bindparam("ids", expanding=True)))


def _rows(session: Session, statement: Select[Any], **values: Any) -> list[PurchaseRow]:
    return [_purchase_row(row) for row in session.execute(statement, values)]


def _purchase_row(row: Row[Any]) -> PurchaseRow:
    store = policy_of(row.policy, row.default_line)
    facts = rules.Purchase(
        paid_fen=row.paid_fen,
        limit_fen=row.limit_fen,
        claimed_fen=row.claimed_fen,
        excess_fen=row.excess_fen,
        is_revoked=row.is_revoked,
        has_live_claim=row.request is not None,
        has_lines=store.default_line is not None or (row.lines_fen is not None and not row.has_untaxed_lines),
        lines_fen=None if row.lines_fen is None else int(row.lines_fen),
        amount_fen=row.amount_fen,
        occurred_at=row.occurred_at,
    )
    base_fen = row.paid_fen + (
        row.platform_discount_fen if store.policy.platform_discount == "invoice" else 0
    )
    return PurchaseRow(
        public_id=row.public_id,
        company=row.company,
        company_name=row.company_name,
        store_name=row.store_name,
        terminal=row.terminal,
        out_trade_no=row.out_trade_no,
        occurred_at=row.occurred_at,
        paid_fen=row.paid_fen,
        amount_fen=row.amount_fen,
        merchant_discount_fen=row.merchant_discount_fen,
        platform_discount_fen=row.platform_discount_fen,
        refunded_fen=max(0, base_fen - row.limit_fen),
        left_fen=facts.left_fen,
        obstacle=rules.obstacle(facts, window=timedelta(days=store.policy.window_days), moment=now()),
        waits_for_bill=obstacle_to(proof_in(row), store.policy.invoice_after) is not None,
        request=row.request,
    )
