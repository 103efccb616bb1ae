"""A cashier answers a request: in the chat, on the page, whichever is first. The code names (request, version)."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import failpoints
from miniapp.core.clock import now, show_time
from miniapp.core.errors import Again, Forbidden, Missing, Refused
from miniapp.customers import service as customers
from miniapp.invoices import rules, steps
from miniapp.invoices.models import ConfirmCode, InvoiceRequest
from miniapp.invoices.states import BEFORE_ISSUING
from miniapp.stores import service as stores
from miniapp.stores.rules import Person

REASONS = ("wrong_title", "wrong_amount", "other_store", "invoiced_before", "other")
REASON_LENGTH = 50


@db.retried
def approve(request_id: int, *, version: int, by: int, origin: str = "") -> str:
    """Approve a request that waits for a cashier and record the work of issuing it; answers the request's code.

    Raises Forbidden (not on duty there, own request), Again (answered already, with who and when), Refused
    (edited meanwhile, cancelled, expired). Nothing has changed then.
    """
    with db.transaction() as session:
        request = steps.lock_whole(session, request_id)
        person = _check(session, request, asked_version=version, by=by)
        _decide(request, by)
        if steps.missing_proof(session, request) is not None:
            request.approved_version = request.version
            steps.move(session, request, "wait_for_proof", by=person.audit_name, origin=origin)
        else:
            steps.move(session, request, "approve", by=person.audit_name, origin=origin)
            steps.hand_over(session, request)
        code = request.code
    failpoints.hit("approve.committed")
    return code


@db.retried
def reject(request_id: int, *, version: int, by: int, reason: str, origin: str = "") -> str:
    """Say no, with a reason that the customer reads. Raises as ``approve``, and Refused without a reason."""
    words = reason.strip()[:REASON_LENGTH]
    if not words:
        raise Refused("invoices.confirm.reason_needed")
    with db.transaction() as session:
        request = steps.lock_whole(session, request_id)
        person = _check(session, request, asked_version=version, by=by)
        _decide(request, by)
        request.reason = words
        steps.release_claims(session, request)
        steps.move(session, request, "reject", by=person.audit_name, why=words, origin=origin)
        return request.code


def by_code(code: str) -> tuple[int, int]:
    """(request id, version) that a confirm code named last. Raises Missing."""
    with db.reading() as session:
        row = session.scalar(
            select(ConfirmCode)
            .where(ConfirmCode.code == code.strip().upper())
            .order_by(ConfirmCode.id.desc())
            .limit(1)
        )
        if row is None:
            raise Missing("invoices.confirm.unknown_code")
        return row.request_id, row.version


def by_public_id(public_id: str) -> int:
    """The request of a page address. Raises Missing."""
    with db.reading() as session:
        found = session.scalar(select(InvoiceRequest.id).where(InvoiceRequest.public_id == public_id))
        if found is None:
            raise Missing("core.not_found")
        return found


def _check(session: Session, request: InvoiceRequest, *, asked_version: int, by: int) -> Person:
    person = stores.person_in(session, by)
    if person is None:
        raise Forbidden("invoices.confirm.not_here", store=request.store.name)
    company = stores.company_of(session, request.store_id)
    key = rules.confirm_obstacle(
        state=request.state,
        version=request.version,
        asked_version=asked_version,
        is_on_duty=stores.is_on_duty(session, person.id, request.store_id),
        may_confirm=person.may("confirm_requests", company=company.code, store=request.store.code),
        is_own=rules.same_person(
            stores.identities_of_staff(session, person.id),
            customers.identities(session, request.customer_id),
        ),
    )
    if key is None:
        return person
    values = {
        "store": request.store.name,
        "name": request.decided_by.name if request.decided_by else "",
        "time": show_time(request.decided_at) if request.decided_at else "",
        "code": request.code,
    }
    if key in ("invoices.confirm.not_here", "invoices.confirm.own"):
        raise Forbidden(key, **values)
    if request.decided_at is not None and request.state not in BEFORE_ISSUING - {"approved"}:
        raise Again(key if request.state == "rejected" else "invoices.confirm.approved", **values)
    raise Refused(key, **values)


def _decide(request: InvoiceRequest, by: int) -> None:
    request.decided_by_id, request.decided_at = by, now()
