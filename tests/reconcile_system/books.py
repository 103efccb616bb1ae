"""A retailer with two accounts and a ledger, for the tests of reconciliation inside the system."""

import hashlib
from datetime import date, datetime, timedelta
from itertools import count

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import clock
from miniapp.payments.models import TerminalTransaction, TransactionState, Vouch
from miniapp.reconcile import steps
from miniapp.stores.models import (
    Company,
    MerchantAccount,
    Staff,
    StaffRole,
    Store,
    StoreCompany,
    Terminal,
    TerminalWallet,
)

WECHAT_NO, ALIPAY_NO = "1900000109", "2088000000000001"


class Books:
    """上海示例商贸有限公司: one store, a WeChat and an Alipay account, three clerks and a cashier."""

    def __init__(self) -> None:
        self._number = count(1)
        with db.transaction() as session:
            company = Company(code="c1", name="上海示例商贸有限公司", taxpayer_no="91310000MA1FL0000X")
            store = Store(code="s1", name="南京路店", claim_part="AAA")
            session.add_all([company, store])
            session.flush()
            session.add(StoreCompany(store_id=store.id, company_id=company.id, since=clock.now()))
            terminal = Terminal(code="t1", store_id=store.id)
            wechat = MerchantAccount(
                code="w1", company_id=company.id, platform="wechat", merchant_no=WECHAT_NO
            )
            alipay = MerchantAccount(
                code="a1", company_id=company.id, platform="alipay", merchant_no=ALIPAY_NO
            )
            people = [
                Staff(code=f"f{n}", name=name, login=f"f{n}", password_hash="x")
                for n, name in enumerate(("财务甲", "财务乙", "财务丙", "收银员甲"), 1)
            ]
            session.add_all([terminal, wechat, alipay, *people])
            session.flush()
            session.add_all(StaffRole(staff_id=one.id, role="finance", scope="*") for one in people[:3])
            session.add_all(
                TerminalWallet(terminal_id=terminal.id, wallet=one.platform, merchant_account_id=one.id)
                for one in (wechat, alipay)
            )
            self.company_id, self.store_id, self.terminal_id = company.id, store.id, terminal.id
            self.accounts = {"wechat": wechat.id, "alipay": alipay.id}
            self.maker, self.checker, self.third, self.cashier = (person.id for person in people)

    def sale(self, number: str, fen: int, at: str, *, platform: str = "wechat", **more: object) -> int:
        """A sale of the ledger at a Beijing wall-clock time; answers its id."""
        return self._record("sale", number, "", fen, at, platform, **more)

    def refund(
        self, number: str, sale_number: str, fen: int, at: str, *, platform: str = "wechat", **more: object
    ) -> int:
        """A refund of the ledger; answers its id."""
        return self._record("refund", sale_number, number, fen, at, platform, **more)

    def vouch(self, sale_id: int, *, is_good: bool = True) -> None:
        """An order query has answered about a sale."""
        with db.transaction() as session:
            session.add(
                Vouch(
                    transaction_id=sale_id,
                    at=clock.now(),
                    is_good=is_good,
                    answer="SUCCESS" if is_good else "REFUND",
                )
            )

    def revoke(self, sale_id: int) -> None:
        """The terminal takes a sale back."""
        with db.transaction() as session:
            moment = clock.now()
            session.add(
                TransactionState(
                    transaction_id=sale_id, state="revoked", source="reported", at=moment, recorded_at=moment
                )
            )
            session.flush()
            steps.on_state_changed(session, session.get_one(TerminalTransaction, sale_id))

    def record_again(self, sale_id: int) -> None:
        """The ledger's step once more for a row that it has recorded."""
        with db.transaction() as session:
            self.recorded(session, session.get_one(TerminalTransaction, sale_id))

    def set_account(self, platform: str, **settings: object) -> None:
        """Change settings of a merchant account."""
        with db.transaction() as session:
            account = session.get_one(MerchantAccount, self.accounts[platform])
            account.carry_days = int(settings.pop("carry_days", account.carry_days))  # type: ignore[call-overload]
            account.settings = {**account.settings, **settings}

    def id_of(self, number: str) -> int:
        """The id of the sale with a number."""
        with db.reading() as session:
            found = session.scalar(
                select(TerminalTransaction.id).where(
                    TerminalTransaction.out_trade_no == number, TerminalTransaction.kind == "sale"
                )
            )
        assert found is not None, number
        return found

    def _record(
        self,
        kind: str,
        out_trade_no: str,
        out_refund_no: str,
        fen: int,
        at: str,
        platform: str,
        **more: object,
    ) -> int:
        moment = clock.from_beijing(at)
        with db.transaction() as session:
            row = TerminalTransaction(
                **self._values(kind, out_trade_no, out_refund_no, fen, moment, platform)
            )
            for name, value in more.items():
                setattr(row, name, value)
            session.add(row)
            session.flush()
            self.recorded(session, row)
            return row.id

    def recorded(self, session: Session, row: TerminalTransaction) -> None:
        """What the ledger does in the transaction that records a row."""
        steps.on_recorded(session, row)

    def _values(
        self, kind: str, out_trade_no: str, out_refund_no: str, fen: int, moment: datetime, platform: str
    ) -> dict[str, object]:
        mark = f"{kind}{out_trade_no}{out_refund_no}{next(self._number)}"
        return {
            "public_id": hashlib.sha256(mark.encode()).hexdigest()[:32],
            "merchant_account_id": self.accounts[platform],
            "company_id": self.company_id,
            "store_id": self.store_id,
            "terminal_id": self.terminal_id,
            "kind": kind,
            "platform": platform,
            "out_trade_no": out_trade_no,
            "out_refund_no": out_refund_no,
            "amount_fen": fen,
            "paid_fen": fen,
            "occurred_at": moment,
            "bill_date": clock.bill_date(moment),
            "business_date": clock.bill_date(moment),
            "source": "reported",
            "fingerprint": "f" * 64,
            "recorded_at": clock.now(),
        }


def day(text: str, plus: int = 0) -> date:
    """A date from its text, some days on."""
    return date.fromisoformat(text) + timedelta(days=plus)
