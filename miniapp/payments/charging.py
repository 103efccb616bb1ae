"""Charge a payment code: the row is committed, then one call in a pool of its own, then only queries.

The payment code lives in the memory of that call. A web thread waits for it for some seconds, and only while fewer
than half of the web threads wait so.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, failpoints, vault
from miniapp.core.clock import now
from miniapp.core.errors import Invalid, Missing, Refused, Unavailable
from miniapp.core.text import say
from miniapp.outbox import service as outbox
from miniapp.payments import composition, gateways, rules, settling, steps
from miniapp.payments.gateways import ChargeOrder
from miniapp.payments.models import Charge, TerminalTransaction
from miniapp.payments.reports import Line
from miniapp.payments.steps import Till
from miniapp.stores.models import MerchantAccount, Terminal

log = structlog.get_logger()
CANCEL_AFTER = timedelta(seconds=45)
QUERY_EVERY = {"wechat": timedelta(seconds=5), "alipay": timedelta(seconds=4)}
WAIT_SECONDS = 2.4
SLOT_SECONDS = 0.3


@dataclass(frozen=True)
class ChargeAsked:
    """What a till asks for. The payment code is in no ``repr``, row or log."""

    out_trade_no: str
    payment_code: str = field(repr=False)
    amount_fen: int
    subject: str = ""
    lines: tuple[Line, ...] = ()
    operator: str = ""


@dataclass(frozen=True)
class ChargeView:
    """How a charge stands: ``state`` paid | paying | failed | cancelled | unknown; the last only when time is up."""

    out_trade_no: str
    state: str
    platform: str
    platform_trade_no: str
    amount_fen: int
    paid_fen: int
    message: str
    transaction_id: int | None

    @property
    def is_settled(self) -> bool:
        """Will nothing change any more?"""
        return self.state in ("paid", "failed", "cancelled")


def charge(terminal_id: int, asked: ChargeAsked, *, wait_seconds: float = WAIT_SECONDS) -> ChargeView:
    """Charge a payment code once for a number, and answer how it stands after at most ``wait_seconds``.

    The same number with the same content answers its state; it is never charged again. Raises Invalid (no payment
    code), Refused (platform not here, number used with other content), Unavailable (all lines busy; nothing is kept).
    """
    platform = _platform(asked)
    known = _known(terminal_id, asked)
    if known is not None:
        return known
    with waits() as may_wait:
        ended = _start(terminal_id, asked, platform, patience=SLOT_SECONDS)
        if ended is not None and may_wait:
            _wait(ended, wait_seconds)
    known = _known(terminal_id, asked)
    if known is None:
        raise Unavailable("payments.lines_busy")
    return known


def view(terminal_id: int, out_trade_no: str) -> ChargeView:
    """How a charge of this till's store stands. Raises Missing."""
    with db.reading() as session:
        found = _find(session, terminal_id, out_trade_no)
        if found is None:
            raise Missing("core.not_found")
        return _view(session, found)


def outward_state(charge: Charge) -> str:
    """The state that a till is told: open ones are ``paying`` until the time is up, then ``unknown``."""
    if charge.state in settling.OPEN:
        return "paying" if now() < charge.begun_at + settling.FINAL_AFTER else "unknown"
    return charge.state


class _Waiting:
    """Counts the web threads that wait for a platform: fewer than half of them may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def place(self) -> Iterator[bool]:
        """True: this thread may wait. False: it answers at once."""
        with self._lock:
            may_wait = self._count < max(1, composition.current().web_threads // 2)
            self._count += may_wait
        try:
            yield may_wait
        finally:
            with self._lock:
                self._count -= may_wait


class _Lines:
    """The bounded pool of calls with a payment code."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.slots = threading.BoundedSemaphore(size)
        self.threads = ThreadPoolExecutor(size, thread_name_prefix="charge")


_web = _Waiting()
waits = _web.place
"""``with waits() as may_wait``: this web thread is about to wait for a platform; False: answer at once."""

_lines: _Lines | None = None
_making = threading.Lock()


def _start(terminal_id: int, asked: ChargeAsked, platform: str, *, patience: float) -> Future[None] | None:
    """Take a line, commit the charge, make the call there. None: no line is free, or the number was begun just now."""
    lines = _pool()
    if not lines.slots.acquire(timeout=patience):
        return None
    begun = None
    try:
        begun = _begin(terminal_id, asked, platform)
    finally:
        if begun is None:
            lines.slots.release()
    return _hand_over(lines, *begun, asked.payment_code) if begun else None


def _pool() -> _Lines:
    global _lines
    with _making:
        if _lines is None or _lines.size != composition.current().charge_threads:
            _lines = _Lines(composition.current().charge_threads)
        return _lines


def _platform(asked: ChargeAsked) -> str:
    platform = rules.platform_of_code(asked.payment_code)
    if platform is None:
        raise Invalid("payments.no_payment_code", {"payment_code": [("FORM", "payments.no_payment_code")]})
    if platform not in gateways.all_kinds():
        raise Refused(f"payments.not_here_yet_{platform}")
    return platform


def _known(terminal_id: int, asked: ChargeAsked) -> ChargeView | None:
    with db.reading() as session:
        found = _find(session, terminal_id, asked.out_trade_no)
        if found is None:
            return None
        _check_same(found, asked)
        return _view(session, found)


@db.retried
def _begin(terminal_id: int, asked: ChargeAsked, platform: str) -> tuple[int, int, ChargeOrder] | None:
    """Commit the charge and the work that follows it; None: somebody else began the same number just now."""
    try:
        with db.transaction() as session:
            till = steps.till_of(session, terminal_id)
            if _find(session, terminal_id, asked.out_trade_no) is not None:
                return None
            account_id = _account(session, till, platform)
            _check_unused(session, till, asked)
            row = _row(till, asked, platform, account_id)
            session.add(row)
            session.flush()
            outbox.put(
                session,
                "payments.follow_charge",
                key=f"charge:{row.id}",
                delay=QUERY_EVERY[platform],
                charge_id=row.id,
            )
            audit.note(session, "charge", row.id, "begin", by=f"terminal:{till.code}", after=row.state)
            return row.id, account_id, _order(till, asked)
    except IntegrityError:
        return None


def _account(session: Session, till: Till, platform: str) -> int:
    account = session.get_one(MerchantAccount, till.account(platform))
    if account.is_disabled:
        raise Refused("payments.no_account", wallet=platform)
    if account.platform not in gateways.all_kinds():
        raise Refused("payments.charged_elsewhere")
    return account.id


def _check_unused(session: Session, till: Till, asked: ChargeAsked) -> None:
    used = session.scalar(
        select(TerminalTransaction.id).where(
            TerminalTransaction.merchant_account_id.in_(set(till.wallets.values())),
            TerminalTransaction.out_trade_no == asked.out_trade_no,
        )
    )
    if used is not None:
        raise Refused("payments.number_used")


def _row(till: Till, asked: ChargeAsked, platform: str, account_id: int) -> Charge:
    moment = now()
    return Charge(
        merchant_account_id=account_id,
        terminal_id=till.id,
        platform=platform,
        out_trade_no=asked.out_trade_no,
        amount_fen=asked.amount_fen,
        subject=asked.subject,
        lines=[asdict(line) for line in asked.lines],
        operator=asked.operator,
        code_hash=_code_hash(asked),
        code_tail=asked.payment_code[-4:],
        state="calling",
        begun_at=moment,
        deadline_at=moment + CANCEL_AFTER,
    )


def _order(till: Till, asked: ChargeAsked) -> ChargeOrder:
    return ChargeOrder(
        out_trade_no=asked.out_trade_no,
        amount_fen=asked.amount_fen,
        subject=asked.subject or till.store_name,
        store=till.store_code,
        terminal=till.code,
        operator=asked.operator,
    )


def _hand_over(
    lines: _Lines, charge_id: int, account_id: int, order: ChargeOrder, payment_code: str
) -> Future[None]:
    ended = lines.threads.submit(_call, charge_id, account_id, order, payment_code)
    ended.add_done_callback(lambda _: lines.slots.release())
    return ended


def _call(charge_id: int, account_id: int, order: ChargeOrder, payment_code: str) -> None:
    """The one call. Whatever goes wrong here is left to the queries."""
    try:
        gateway = gateways.of(steps.settings_of(account_id))
        failpoints.hit("charge.before_call")
        answer = gateway.charge(order, payment_code)
        failpoints.hit("charge.after_call")
        settling.settle_call(charge_id, answer)
    except Exception as error:
        log.error("charge_call_failed", charge_id=charge_id, error=type(error).__name__)


def _wait(ended: Future[None], seconds: float) -> None:
    try:
        ended.result(timeout=seconds)
    except NotYet:
        return


def _find(session: Session, terminal_id: int, out_trade_no: str) -> Charge | None:
    """The charge of a number, begun at this till or at another one of its store."""
    store_id = select(Terminal.store_id).where(Terminal.id == terminal_id).scalar_subquery()
    return session.scalar(
        select(Charge)
        .join(Terminal, Terminal.id == Charge.terminal_id)
        .where(
            Charge.out_trade_no == out_trade_no,
            or_(Charge.terminal_id == terminal_id, Terminal.store_id == store_id),
        )
        .order_by(Charge.terminal_id != terminal_id, Charge.id)
        .limit(1)
    )


def _check_same(known: Charge, asked: ChargeAsked) -> None:
    ours = (known.amount_fen, known.code_hash, known.subject, known.lines)
    if ours != (asked.amount_fen, _code_hash(asked), asked.subject, [asdict(line) for line in asked.lines]):
        raise Refused("payments.number_used")


def _code_hash(asked: ChargeAsked) -> str:
    return vault.sign("payment_code", asked.payment_code)


def _view(session: Session, charge: Charge) -> ChargeView:
    state = outward_state(charge)
    sale = session.get(TerminalTransaction, charge.transaction_id) if charge.transaction_id else None
    key = charge.message_key if charge.state not in settling.OPEN else ""
    return ChargeView(
        out_trade_no=charge.out_trade_no,
        state=state,
        platform=charge.platform,
        platform_trade_no=sale.platform_trade_no if sale else "",
        amount_fen=charge.amount_fen,
        paid_fen=sale.paid_fen if sale and state == "paid" else 0,
        message=say(key or f"payments.charge_{state}"),
        transaction_id=charge.transaction_id if state == "paid" else None,
    )
