"""From what one run found to difference rows: upserted by number, met across days, aged, settled. A step of a run.

Running the same day twice gives the same rows, and so does running days in another order: what one day's run takes
from another day is kept on the difference (``met_on``), and given back when a later run no longer finds it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp.core.clock import now
from miniapp.payments.models import TerminalTransaction, TransactionState, Vouch
from miniapp.reconcile import steps
from miniapp.reconcile.models import Batch, Difference
from miniapp.reconcile.rules import (
    BY_ITSELF,
    MET,
    ONE_SIDED,
    TURNED_UP,
    Found,
    Number,
    is_one_sided,
    state_of,
)
from miniapp.reconcile.states import LIVE

T = TypeVar("T")
CHUNK = 500


class Carrying:
    """One run's differences. ``as_of``: the newest bill date that has been run for the account, this one included."""

    def __init__(self, session: Session, batch: Batch, *, carry_days: int, as_of: date) -> None:
        self.session, self.batch = session, batch
        self.carry_days, self.as_of = carry_days, as_of
        self.moment = now()
        self.blocked: set[int] = set()
        self.freed: set[int] = set()
        self._touched: set[int] = set()

    def write(self, found: Sequence[Found], *, platform: str) -> None:
        """Bring the difference rows of the account in line with what this run found."""
        self.platform = platform
        own, met = self._own(), self._met_today()
        was_blocking = {row.id: row.is_blocking for row in (*own, *met)}
        self._history = self._history_of(found)
        self._ledger = self._ledger_of(one for one in found if one.reasons == ("bill_only",))
        for one in found:
            self._place(one)
        for row in met:
            if id(row) not in self._touched:
                self._give_back(row)
        for row in own:
            if id(row) not in self._touched:
                self._turn_up(row, was_blocking[row.id])
        self._age()
        self.session.flush()
        self._mark_vouched()

    # What there is already.

    def _own(self) -> Sequence[Difference]:
        return self._rows(Difference.bill_date == self.batch.bill_date)

    def _met_today(self) -> Sequence[Difference]:
        return self._rows(
            Difference.met_on == self.batch.bill_date, Difference.bill_date != self.batch.bill_date
        )

    def _rows(self, *conditions: object) -> Sequence[Difference]:
        account = Difference.merchant_account_id == self.batch.merchant_account_id
        return self.session.scalars(
            select(Difference).where(account, *conditions).order_by(Difference.id)  # type: ignore[arg-type]
        ).all()

    def _history_of(self, found: Sequence[Found]) -> dict[Number, list[Difference]]:
        history: dict[Number, list[Difference]] = defaultdict(list)
        for numbers in _chunks(sorted({one.out_trade_no for one in found})):
            for row in self._rows(Difference.out_trade_no.in_(numbers)):
                history[row.kind, row.out_trade_no, row.out_refund_no].append(row)
        return history

    def _ledger_of(self, found: Iterable[Found]) -> dict[Number, TerminalTransaction]:
        there: dict[Number, TerminalTransaction] = {}
        for numbers in _chunks(sorted({one.out_trade_no for one in found})):
            for row in self.session.scalars(
                select(TerminalTransaction).where(
                    TerminalTransaction.merchant_account_id == self.batch.merchant_account_id,
                    TerminalTransaction.out_trade_no.in_(numbers),
                )
            ):
                there[row.kind, row.out_trade_no, row.out_refund_no] = row
        return there

    # One number.

    def _place(self, one: Found) -> None:
        today, rows = self.batch.bill_date, self._history.get(one.number, [])
        live = next((row for row in rows if row.state in LIVE), None)
        for row in rows:
            if row.met_on is not None and today in (row.bill_date, row.met_on) and self._still_met(row, one):
                self._touched.add(id(row))
                return
        partner = next((row for row in reversed(rows) if self._is_partner(row, one)), None)
        if partner is not None:
            self._meet_row(partner, one)
        elif one.reasons != ("bill_only",) or not self._meet_ledger(one, live, rows):
            self._keep(one, live, rows)

    def _still_met(self, row: Difference, one: Found) -> bool:
        """Does the row that two days share still say of this day what was found?"""
        if not one.is_one_sided or row.met_on == row.bill_date:
            return False
        if "duplicate_in_bill" in row.reasons:
            return True
        return one.ledger_fen in (None, row.ledger_fen) and one.bill_fen in (None, row.bill_fen)

    def _is_partner(self, row: Difference, one: Found) -> bool:
        """Another day's difference about the same number, to which this day brings something."""
        if row.bill_date == self.batch.bill_date:
            return False
        if row.state in LIVE or row.met_on == self.batch.bill_date:
            return True
        by_persons = row.settled_how not in BY_ITSELF
        return by_persons and is_one_sided(row.reasons) and tuple(row.reasons) != one.reasons

    def _meet_row(self, row: Difference, one: Found) -> None:
        self._touched.add(id(row))
        if tuple(row.reasons) == one.reasons and row.met_on is None:
            row.bill_fen = (row.bill_fen or 0) + (one.bill_fen or 0)
            row.met_on = self.batch.bill_date
            self._set(row, "open", ["duplicate_in_bill"])
        else:
            self._join(row, one)

    def _meet_ledger(self, one: Found, live: Difference | None, rows: Sequence[Difference]) -> bool:
        """A bill row whose sale stands in the ledger on an earlier day that has not been run yet."""
        sale = self._ledger.get(one.number)
        if sale is None or sale.bill_date == self.batch.bill_date:
            return False
        batches = steps.lock_batches(self.session, sale.merchant_account_id, sale.bill_date, to_run=False)
        if steps.deciding(batches) is not None:
            # It was matched in its own bill: this bill lists it once more.
            self._keep(one, live, rows, reasons=["duplicate_in_bill"])
            return True
        if not 0 < (self.batch.bill_date - sale.bill_date).days <= self.carry_days:
            return False
        row = live or self._new(one, batch=batches[-1], since=sale.bill_date)
        row.batch_id, row.bill_date = batches[-1].id, sale.bill_date
        row.transaction_id, row.ledger_fen, row.store_id = sale.id, sale.amount_fen, sale.store_id
        self._join(row, one, at_once=live is None)
        self.session.add(row)
        self._touched.add(id(row))
        return True

    def _join(self, row: Difference, one: Found, *, at_once: bool = False) -> None:
        """Both sides of a number are here, from two days."""
        if one.ledger_fen is not None:
            row.ledger_fen, row.transaction_id, row.store_id = (
                one.ledger_fen,
                one.transaction_id,
                one.store_id,
            )
        if one.bill_fen is not None:
            row.bill_fen, row.bill_file_id = one.bill_fen, one.bill_file_id
            row.bill_line, row.bill_row = one.bill_line, one.bill_row
        row.met_on = self.batch.bill_date
        reasons = [reason for reason in one.reasons if reason not in ONE_SIDED]
        if row.ledger_fen != row.bill_fen and "duplicate_in_bill" not in reasons:
            reasons.insert(0, "amount_differs")
        if self._is_revoked(row.transaction_id):
            reasons.append("status_differs")
        if reasons:
            self._set(row, "open", reasons)
        else:
            self._settle(row, how=MET if at_once else TURNED_UP)

    def _is_revoked(self, transaction_id: int | None) -> bool:
        return (
            self.session.scalar(
                select(TransactionState.id).where(TransactionState.transaction_id == transaction_id)
            )
            is not None
        )

    def _keep(
        self,
        one: Found,
        live: Difference | None,
        rows: Sequence[Difference],
        *,
        reasons: list[str] | None = None,
    ) -> None:
        reasons = reasons or list(one.reasons)
        decided = next((row for row in reversed(rows) if self._is_decided(row, one, reasons)), None)
        if live is None and decided is not None:
            self._touched.add(id(decided))
            return
        row = live or next((row for row in reversed(rows) if row.settled_how in BY_ITSELF), None)
        if row is None:
            row = self._new(one, batch=self.batch, since=self.batch.bill_date)
            self.session.add(row)
        row.batch_id, row.bill_date, row.met_on = self.batch.id, self.batch.bill_date, None
        row.ledger_fen, row.bill_fen = one.ledger_fen, one.bill_fen
        row.transaction_id, row.store_id = one.transaction_id, one.store_id
        row.bill_file_id, row.bill_line, row.bill_row = one.bill_file_id, one.bill_line, one.bill_row
        state = state_of(
            reasons, since=row.since, as_of=self.as_of, carry_days=self.carry_days, is_held=row.is_held
        )
        self._set(row, state, reasons)
        self._touched.add(id(row))

    def _is_decided(self, row: Difference, one: Found, reasons: list[str]) -> bool:
        """Have two people settled exactly this already?"""
        same = (row.reasons, row.ledger_fen, row.bill_fen) == (reasons, one.ledger_fen, one.bill_fen)
        return same and row.state == "settled" and row.settled_how not in BY_ITSELF

    # Ends and returns.

    def _turn_up(self, row: Difference, was_blocking: bool) -> None:
        """A difference of this day that the run did not find again: both sides agree now."""
        if row.met_on is not None:
            # Its own day has both sides now, so the other day's side stands alone again.
            steps.queue_rerun(
                self.session,
                row.merchant_account_id,
                row.met_on,
                mark=f"returned:{row.id}:{self.batch.version}",
            )
            row.met_on = None
        if row.state in LIVE:
            self._settle(row)
        elif was_blocking:
            row.is_blocking, row.changed_at = False, self.moment
            self._note_freed(row)

    def _give_back(self, row: Difference) -> None:
        """What this day had brought to another day's difference is no longer here."""
        row.met_on = None
        if row.state == "settled" and row.settled_how not in BY_ITSELF:
            return
        sale = self.session.get(TerminalTransaction, row.transaction_id) if row.transaction_id else None
        if sale is not None and sale.bill_date == row.bill_date:
            reasons, row.bill_fen, row.bill_file_id = ["ledger_only"], None, None
            row.bill_line, row.bill_row = None, {}
        else:
            reasons, row.ledger_fen, row.transaction_id, row.store_id = ["bill_only"], None, None, None
        state = state_of(
            reasons, since=row.since, as_of=self.as_of, carry_days=self.carry_days, is_held=row.is_held
        )
        self._set(row, state, reasons)

    def _age(self) -> None:
        oldest = self.as_of - timedelta(days=self.carry_days)
        aged = self._rows(
            Difference.state == "carried_over", Difference.since < oldest, Difference.is_held.is_(False)
        )
        for row in aged:
            if is_one_sided(row.reasons):
                row.state, row.changed_at = "open", self.moment

    def _set(self, row: Difference, state: str, reasons: list[str]) -> None:
        before = (row.state, row.reasons, row.is_blocking)
        row.state, row.reasons, row.is_blocking = state, reasons, True
        row.settled_at, row.settled_how = None, ""
        if before != (state, reasons, True) or row.id is None:
            row.changed_at = self.moment
        if row.kind == "sale" and row.transaction_id is not None and (row.id is None or not before[2]):
            self.blocked.add(row.transaction_id)

    def _settle(self, row: Difference, *, how: str = TURNED_UP) -> None:
        was_live = row.id is not None and row.is_blocking
        row.state, row.settled_how, row.settled_at = "settled", how, self.moment
        row.is_blocking, row.changed_at = False, self.moment
        if was_live:
            self._note_freed(row)

    def _note_freed(self, row: Difference) -> None:
        if row.kind == "sale" and row.transaction_id is not None:
            self.freed.add(row.transaction_id)

    def _mark_vouched(self) -> None:
        for ids in _chunks(sorted(self.blocked)):
            vouched = set(
                self.session.scalars(
                    select(Vouch.transaction_id).where(Vouch.transaction_id.in_(ids), Vouch.is_good)
                )
            )
            for row in self._rows(Difference.transaction_id.in_(vouched), Difference.state.in_(LIVE)):
                row.is_vouched = True

    def _new(self, one: Found, *, batch: Batch, since: date) -> Difference:
        return Difference(
            batch_id=batch.id,
            merchant_account_id=batch.merchant_account_id,
            company_id=batch.company_id,
            platform=self.platform,
            bill_date=batch.bill_date,
            since=since,
            kind=one.kind,
            out_trade_no=one.out_trade_no,
            out_refund_no=one.out_refund_no,
            reasons=list(one.reasons),
            bill_row={},
            state="open",
            is_blocking=True,
            is_late=False,
            is_vouched=False,
            is_held=False,
            note="",
            settled_how="",
            found_at=self.moment,
            changed_at=self.moment,
        )


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
