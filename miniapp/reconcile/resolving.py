"""Resolving a difference: one person proposes with a reason, another approves. Original rows are never changed.

What is decided is a row of its own; a supplement (补单) is a new ledger row with the bill as its evidence.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, clock, files
from miniapp.core.clock import now
from miniapp.core.errors import Again, Forbidden, Missing, Refused
from miniapp.outbox import service as outbox
from miniapp.payments import entries, returns
from miniapp.payments import steps as payments
from miniapp.payments.models import TerminalTransaction
from miniapp.payments.reports import Report
from miniapp.payments.rules import Part
from miniapp.reconcile import closing, rules, steps
from miniapp.reconcile.events import DifferenceSettled
from miniapp.reconcile.models import Difference, Resolution
from miniapp.reconcile.states import LIVE, RESOLUTION
from miniapp.stores import service as stores
from miniapp.stores.models import Company, Terminal, TerminalWallet
from miniapp.stores.rules import Person

MAX_AT_ONCE = 500


def propose(difference_id: int, *, kind: str, reason: str, by: int, terminal_id: int | None = None) -> int:
    """Propose what to do about one difference; answers the resolution's id.

    kind: accept_bill | accept_ledger | adjust | write_off | hold | supplement. ``terminal_id``: where a supplement was
    sold, if the bill does not say. Raises Refused (does not fit, no reason, person is the day's checker), Again, Missing.
    """
    return propose_many([difference_id], kind=kind, reason=reason, by=by, terminal_id=terminal_id)[0]


@db.retried
def propose_many(
    difference_ids: Sequence[int], *, kind: str, reason: str, by: int, terminal_id: int | None = None
) -> list[int]:
    """The same for up to 500 differences alike: all of them or none."""
    if not 0 < len(difference_ids) <= MAX_AT_ONCE:
        raise Refused("reconcile.resolve.how_many", most=MAX_AT_ONCE)
    if not reason.strip():
        raise Refused("reconcile.day.reason_needed")
    with db.transaction() as session:
        return [
            _propose(session, _lock_live(session, one), kind, reason.strip(), by, terminal_id)
            for one in sorted(set(difference_ids))
        ]


def approve(resolution_id: int, *, by: int) -> None:
    """Another person approves: the difference ends (a hold keeps it), in one transaction with what follows.

    Raises Refused (the same person, or the day's maker; the difference has changed since), Again, Forbidden, Missing.
    """
    approve_many([resolution_id], by=by)


@db.retried
def approve_many(resolution_ids: Sequence[int], *, by: int) -> None:
    """Approve up to 500 proposals: all of them or none."""
    if not 0 < len(resolution_ids) <= MAX_AT_ONCE:
        raise Refused("reconcile.resolve.how_many", most=MAX_AT_ONCE)
    with db.transaction() as session:
        freed: list[int] = []
        for one in sorted(set(resolution_ids)):
            freed += _approve(session, one, by)
        if freed:
            outbox.announce(session, DifferenceSettled(freed))


@db.retried
def refuse(resolution_id: int, *, by: int, answer: str) -> None:
    """Another person does not agree; the difference stays as it is. Raises as ``approve`` does."""
    with db.transaction() as session:
        resolution, difference = _open_resolution(session, resolution_id)
        who = _decider(session, resolution, difference, by)
        _decide(session, resolution, difference, who, "refuse", answer=answer)


@db.retried
def withdraw(resolution_id: int, *, by: int) -> None:
    """The person who proposed takes it back (undo). Raises Refused for anybody else, Again."""
    with db.transaction() as session:
        resolution, difference = _open_resolution(session, resolution_id)
        who = _person(session, by, difference)
        if resolution.proposed_by_id != who.id:
            raise Refused("reconcile.resolve.not_yours")
        _decide(session, resolution, difference, who, "withdraw")


def _propose(
    session: Session, difference: Difference, kind: str, reason: str, by: int, terminal_id: int | None
) -> int:
    who = _person(session, by, difference)
    obstacle = rules.may_resolve(
        kind, difference.reasons, ledger_fen=difference.ledger_fen, bill_fen=difference.bill_fen
    )
    if obstacle is not None:
        raise Refused(obstacle, limit=rules.WRITE_OFF_LIMIT_FEN)
    if kind == "hold" and difference.is_held:
        raise Again("reconcile.resolve.held_already")
    if any(one.state == "proposed" for one in difference.resolutions):
        raise Again("reconcile.resolve.proposed_already")
    day = closing.lock_day(session, difference.company_id, difference.bill_date)
    closing.take_hand(session, day, who, "maker")
    facts = _seen(difference)
    if kind == "supplement":
        facts["terminal_id"] = terminal_id or _terminal_of(session, difference)
    resolution = Resolution(
        difference_id=difference.id,
        kind=kind,
        reason=reason,
        facts=facts,
        proposed_by_id=who.id,
        proposed_at=now(),
    )
    session.add(resolution)
    session.flush()
    audit.note(
        session,
        "difference",
        difference.id,
        f"propose_{kind}",
        by=who.audit_name,
        before=difference.state,
        after=difference.state,
        why=reason,
        company_id=difference.company_id,
    )
    return resolution.id


def _approve(session: Session, resolution_id: int, by: int) -> list[int]:
    resolution, difference = _open_resolution(session, resolution_id)
    who = _decider(session, resolution, difference, by)
    seen = {name: resolution.facts[name] for name in _seen(difference)}
    if difference.state not in LIVE or seen != _seen(difference):
        raise Refused("reconcile.resolve.changed_since")
    _decide(session, resolution, difference, who, "approve")
    if resolution.kind == "hold":
        difference.is_held, difference.state, difference.changed_at = True, "carried_over", now()
        return []
    if resolution.kind == "supplement":
        resolution.transaction_id = _supplement(session, difference, resolution)
    blocks = rules.blocks_after(
        resolution.kind, difference.reasons, ledger_fen=difference.ledger_fen, bill_fen=difference.bill_fen
    )
    difference.state, difference.is_blocking = "settled", blocks and difference.transaction_id is not None
    difference.settled_how, difference.settled_at, difference.changed_at = resolution.kind, now(), now()
    difference.note = resolution.reason
    is_free = difference.kind == "sale" and difference.transaction_id and not difference.is_blocking
    return [difference.transaction_id] if is_free and difference.transaction_id else []


def _decide(
    session: Session,
    resolution: Resolution,
    difference: Difference,
    who: Person,
    verb: str,
    *,
    answer: str = "",
) -> None:
    after = RESOLUTION.next(resolution.state, verb)
    moved = session.execute(
        update(Resolution)
        .where(Resolution.id == resolution.id, Resolution.state == "proposed")
        .values(state=after, decided_by_id=who.id, decided_at=now(), answer=answer)
        .execution_options(synchronize_session=False)
    )
    if moved.rowcount != 1:  # type: ignore[attr-defined]
        raise Again("reconcile.resolve.decided_already")
    session.refresh(resolution)
    audit.note(
        session,
        "difference",
        difference.id,
        f"{verb}_{resolution.kind}",
        by=who.audit_name,
        before=resolution.kind,
        after=after,
        why=answer or resolution.reason,
        company_id=difference.company_id,
    )


def _decider(session: Session, resolution: Resolution, difference: Difference, by: int) -> Person:
    who = _person(session, by, difference)
    if resolution.proposed_by_id == who.id:
        raise Refused("reconcile.resolve.own_proposal", name=who.name)
    day = closing.lock_day(session, difference.company_id, difference.bill_date)
    closing.take_hand(session, day, who, "checker")
    return who


def _person(session: Session, staff_id: int, difference: Difference) -> Person:
    company = session.get_one(Company, difference.company_id)
    who = stores.person_in(session, staff_id)
    if who is None or not who.may("resolve_differences", company=company.code):
        raise Forbidden("core.forbidden")
    return who


def _lock_live(session: Session, difference_id: int) -> Difference:
    difference = session.get(Difference, difference_id, with_for_update=True, populate_existing=True)
    if difference is None:
        raise Missing("core.not_found")
    if difference.state not in LIVE:
        raise Again("reconcile.resolve.settled_already")
    return difference


def _open_resolution(session: Session, resolution_id: int) -> tuple[Resolution, Difference]:
    difference_id = session.scalar(select(Resolution.difference_id).where(Resolution.id == resolution_id))
    if difference_id is None:
        raise Missing("core.not_found")
    difference = session.get_one(Difference, difference_id, with_for_update=True, populate_existing=True)
    resolution = session.get_one(Resolution, resolution_id, populate_existing=True)
    if resolution.state != "proposed":
        raise Again("reconcile.resolve.decided_already")
    return resolution, difference


def _seen(difference: Difference) -> dict[str, Any]:
    """What the two persons must have seen alike."""
    return {
        "reasons": list(difference.reasons),
        "ledger_fen": difference.ledger_fen,
        "bill_fen": difference.bill_fen,
    }


def _terminal_of(session: Session, difference: Difference) -> int:
    """The terminal that a bill row names, or the only one of the account. Raises Refused: a person must choose."""
    of_account = session.execute(
        select(Terminal.id, Terminal.code)
        .join(TerminalWallet, TerminalWallet.terminal_id == Terminal.id)
        .where(TerminalWallet.merchant_account_id == difference.merchant_account_id)
        .distinct()
    ).all()
    named = [row.id for row in of_account if row.code == difference.bill_row.get("terminal")]
    if named:
        return int(named[0])
    if len(of_account) == 1:
        return int(of_account[0].id)
    raise Refused("reconcile.resolve.which_terminal")


def _supplement(session: Session, difference: Difference, resolution: Resolution) -> int:
    """The missing ledger row, as the bill tells it; the bill's bytes are linked to it as evidence."""
    till = payments.till_of(session, resolution.facts["terminal_id"])
    if till.account(difference.platform) != difference.merchant_account_id:
        raise Refused("reconcile.resolve.other_terminal")
    report = _report_of(difference)
    if difference.kind == "sale":
        row, _ = returns.record_sale(session, till, report, source="supplemented")
    else:
        row, _ = entries.enter_refund(
            session, till, report, _sale_of(session, difference), source="supplemented"
        )
    if difference.bill_file is not None:
        files.keep(
            session,
            difference.bill_file.sha256,
            media_type="application/octet-stream",
            subject="terminal_transaction",
            subject_id=row.id,
            role="supplement_evidence",
        )
    steps.queue_rerun(
        session, difference.merchant_account_id, difference.bill_date, mark=f"supplement:{resolution.id}"
    )
    return row.id


def _report_of(difference: Difference) -> Report:
    bill = difference.bill_row
    amount_fen = int(bill["amount_fen"])
    merchant, platform = (int(bill.get(f"{who}_discount_fen") or 0) for who in ("merchant", "platform"))
    parts = (
        Part("wallet", "customer", amount_fen - merchant - platform),
        Part("coupon", "merchant", merchant),
        Part("coupon", "platform", platform),
    )
    return Report(
        kind=difference.kind,
        platform=difference.platform,
        amount_fen=amount_fen,
        occurred_at=clock.from_beijing(bill["occurred_at"]),
        out_trade_no=difference.out_trade_no,
        out_refund_no=difference.out_refund_no,
        platform_trade_no=bill.get("platform_trade_no") or "",
        platform_refund_no=bill.get("platform_refund_no") or "",
        tenders=tuple(part for part in parts if part.amount_fen > 0),
    )


def _sale_of(session: Session, difference: Difference) -> TerminalTransaction:
    sale = entries.find_sale(session, difference.merchant_account_id, difference.out_trade_no)
    if sale is None:
        raise Refused("reconcile.resolve.sale_first")
    return sale
