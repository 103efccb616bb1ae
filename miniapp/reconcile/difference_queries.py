"""Reading for the page of differences: the list with filter, order and page; one difference with both source lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from miniapp import db
from miniapp.core.clock import bill_date as day_of
from miniapp.core.clock import now
from miniapp.core.errors import Missing
from miniapp.core.models import AuditLine
from miniapp.core.reach import Reach
from miniapp.payments.models import TerminalTransaction
from miniapp.reconcile import rules
from miniapp.reconcile.models import Difference, Resolution
from miniapp.reconcile.states import LIVE
from miniapp.stores.models import MerchantAccount, Terminal, TerminalWallet

STATES = ("open", "carried_over", "proposed", "settled")
ORDERS = ("since", "amount", "number")


@dataclass(frozen=True)
class Wanted:
    """The filter of a list. ``state``: open | carried_over | proposed (waits for the second person) | settled | live."""

    state: str = "live"
    platform: str = ""
    reason: str = ""
    company: str = ""
    store_id: int | None = None
    bill_date: date | None = None
    text: str = ""
    order: str = "since"


@dataclass(frozen=True)
class DifferenceRow:
    """A line of the list. ``days``: how long it has been missing or wrong. ``proposal``: what waits for approval."""

    id: int
    account: str
    platform: str
    store: str
    kind: str
    out_trade_no: str
    out_refund_no: str
    reasons: tuple[str, ...]
    ledger_fen: int | None
    bill_fen: int | None
    state: str
    bill_date: date
    since: date
    days: int
    is_late: bool
    is_vouched: bool
    is_held: bool
    settled_how: str
    proposal: "ResolutionRow | None"

    @property
    def key(self) -> str:
        """The number that people search by."""
        return self.out_refund_no or self.out_trade_no

    @property
    def difference_fen(self) -> int:
        """Ledger minus bill."""
        return (self.ledger_fen or 0) - (self.bill_fen or 0)


@dataclass(frozen=True)
class ResolutionRow:
    """A proposal and what became of it."""

    id: int
    kind: str
    reason: str
    state: str
    proposed_by: str
    proposed_by_id: int
    proposed_at: datetime
    decided_by: str
    decided_at: datetime | None
    answer: str


@dataclass(frozen=True)
class LedgerSide:
    """The ledger's own row."""

    public_id: str
    store: str
    terminal: str
    amount_fen: int
    paid_fen: int
    occurred_at: datetime
    recorded_at: datetime
    source: str
    platform_trade_no: str


@dataclass(frozen=True)
class StepRow:
    """A line of the history."""

    at: datetime
    who: str
    verb: str
    why: str


@dataclass(frozen=True)
class DifferenceView:
    """One difference with both sides. ``bill``: the normalised bill row; ``file``/``line``: where it stands."""

    row: DifferenceRow
    company_id: int
    company_code: str
    note: str
    ledger: LedgerSide | None
    bill: dict[str, Any]
    file_name: str
    file_id: int | None
    line: int | None
    fitting: tuple[str, ...]
    terminals: tuple[tuple[int, str], ...]
    resolutions: tuple[ResolutionRow, ...]
    history: tuple[StepRow, ...]
    met_on: date | None


def differences(reach: Reach, wanted: Wanted, *, page: int = 1, size: int = 50) -> list[DifferenceRow]:
    """A page of the list; three statements whatever its length."""
    query = (
        _filtered(select(Difference), reach, wanted)
        .options(
            joinedload(Difference.merchant_account),
            joinedload(Difference.store),
            selectinload(Difference.resolutions).options(
                joinedload(Resolution.proposed_by), joinedload(Resolution.decided_by)
            ),
        )
        .order_by(*_order(wanted.order))
        .limit(size)
        .offset((page - 1) * size)
    )
    with db.reading() as session:
        return [_row(row) for row in session.scalars(query)]


def counts(reach: Reach, wanted: Wanted) -> dict[str, int]:
    """How many of each state the rest of the filter leaves: for the tabs."""
    found = {}
    with db.reading() as session:
        for state in STATES:
            asked = Wanted(**{**wanted.__dict__, "state": state})
            found[state] = session.scalars(_filtered(select(func.count(Difference.id)), reach, asked)).one()
    return found


def difference(reach: Reach, difference_id: int) -> DifferenceView:
    """One difference. Raises Missing, also for one out of reach."""
    with db.reading() as session:
        row = session.scalar(
            _filtered(select(Difference), reach, Wanted(state="")).where(Difference.id == difference_id)
        )
        if row is None:
            raise Missing("core.not_found")
        fitting = (
            rules.fitting(row.reasons, ledger_fen=row.ledger_fen, bill_fen=row.bill_fen)
            if row.state in LIVE
            else []
        )
        return DifferenceView(
            row=_row(row),
            company_id=row.company_id,
            company_code=row.merchant_account.company.code,
            note=row.note,
            ledger=_ledger(row.transaction),
            bill=row.bill_row,
            file_name=row.bill_file.name if row.bill_file else "",
            file_id=row.bill_file_id,
            line=row.bill_line,
            fitting=tuple(fitting),
            terminals=_terminals(session, row.merchant_account_id) if "supplement" in fitting else (),
            resolutions=tuple(_resolution(one) for one in row.resolutions),
            history=_history(session, row.id),
            met_on=row.met_on,
        )


def _filtered(query: Select[Any], reach: Reach, wanted: Wanted) -> Select[Any]:
    query = query.join(MerchantAccount, MerchantAccount.id == Difference.merchant_account_id)
    if not reach.is_everywhere:
        query = query.where(Difference.company_id.in_(reach.company_ids))
    for condition in _conditions(wanted):
        query = query.where(condition)
    return query


def _conditions(wanted: Wanted) -> Iterable[ColumnElement[bool]]:
    if wanted.state == "live":
        yield Difference.state.in_(LIVE)
    elif wanted.state == "proposed":
        yield Difference.state.in_(LIVE)
        yield exists().where(Resolution.difference_id == Difference.id, Resolution.state == "proposed")
    elif wanted.state:
        yield Difference.state == wanted.state
    if wanted.platform:
        yield Difference.platform == wanted.platform
    if wanted.reason:
        yield cast(Difference.reasons, Text).contains(f'"{wanted.reason}"')
    if wanted.company:
        yield MerchantAccount.company.has(code=wanted.company)
    if wanted.store_id is not None:
        yield Difference.store_id == wanted.store_id
    if wanted.bill_date:
        yield Difference.bill_date == wanted.bill_date
    if wanted.text:
        yield or_(Difference.out_trade_no == wanted.text, Difference.out_refund_no == wanted.text)


def _order(order: str) -> Sequence[Any]:
    if order == "amount":
        gap = func.abs(func.coalesce(Difference.ledger_fen, 0) - func.coalesce(Difference.bill_fen, 0))
        return gap.desc(), Difference.id
    if order == "number":
        return Difference.out_trade_no, Difference.out_refund_no, Difference.id
    return Difference.since, Difference.id


def _row(row: Difference) -> DifferenceRow:
    proposal = next((one for one in row.resolutions if one.state == "proposed"), None)
    return DifferenceRow(
        id=row.id,
        account=row.merchant_account.code,
        platform=row.platform,
        store=row.store.name if row.store else "",
        kind=row.kind,
        out_trade_no=row.out_trade_no,
        out_refund_no=row.out_refund_no,
        reasons=tuple(row.reasons),
        ledger_fen=row.ledger_fen,
        bill_fen=row.bill_fen,
        state=row.state,
        bill_date=row.bill_date,
        since=row.since,
        days=(day_of(now()) - row.since).days,
        is_late=row.is_late,
        is_vouched=row.is_vouched,
        is_held=row.is_held,
        settled_how=row.settled_how,
        proposal=_resolution(proposal) if proposal else None,
    )


def _resolution(row: Resolution) -> ResolutionRow:
    return ResolutionRow(
        id=row.id,
        kind=row.kind,
        reason=row.reason,
        state=row.state,
        proposed_by=row.proposed_by.name,
        proposed_by_id=row.proposed_by_id,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by.name if row.decided_by else "",
        decided_at=row.decided_at,
        answer=row.answer,
    )


def _ledger(row: TerminalTransaction | None) -> LedgerSide | None:
    if row is None:
        return None
    return LedgerSide(
        public_id=row.public_id,
        store=row.store.name,
        terminal=row.terminal.code,
        amount_fen=row.amount_fen,
        paid_fen=row.paid_fen,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        source=row.source,
        platform_trade_no=row.platform_trade_no,
    )


def _terminals(session: Session, merchant_account_id: int) -> tuple[tuple[int, str], ...]:
    rows = session.execute(
        select(Terminal.id, Terminal.code)
        .join(TerminalWallet, TerminalWallet.terminal_id == Terminal.id)
        .where(TerminalWallet.merchant_account_id == merchant_account_id)
        .distinct()
        .order_by(Terminal.code)
    )
    return tuple((terminal_id, code) for terminal_id, code in rows)


def _history(session: Session, difference_id: int) -> tuple[StepRow, ...]:
    rows = session.scalars(
        select(AuditLine)
        .where(AuditLine.subject == "difference", AuditLine.subject_id == difference_id)
        .order_by(AuditLine.id)
    )
    return tuple(StepRow(row.at, row.who, row.verb, row.why or "") for row in rows)
