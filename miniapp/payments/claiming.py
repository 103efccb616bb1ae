"""Whose purchase it is: by the slip's signed address, by claim code and exact amount, or by being the payer.

One owner, the first one binds. A wrong guess tells nothing; guesses are counted in the database, in a transaction of
their own, so that a refused claim counts too.
"""

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, codes, limits
from miniapp.core.clock import now
from miniapp.core.errors import Again, Missing, Refused
from miniapp.customers.models import Identity
from miniapp.outbox import service as outbox
from miniapp.payments import rules, slips
from miniapp.payments.events import PurchaseClaimed
from miniapp.payments.models import PurchaseClaim, SlipCode, TerminalTransaction

GUESSES_AN_HOUR = {"customer": 5, "address": 50, "store": 500, "retailer": 2000}
"""Together at most one expected hit a year (31⁶ codes a store, the exact amount asked as well)."""

_GUESSING = 7_041_126
"""The advisory lock under which guesses are counted, so that twenty at once are twenty."""


@db.retried
def by_slip(customer_id: int, token: str) -> str:
    """Bind the purchase of a signed slip address; answers its public id. Call it for a POST only.

    Raises Missing (not ours), Refused (expired), Again (somebody else's). The owner may repeat it.
    """
    with db.transaction() as session:
        sale = slips.sale_of_token(session, token)
        if not bind(session, sale.id, customer_id, "slip"):
            raise Again("payments.taken")
        return sale.public_id


def by_code(customer_id: int, code: str, amount_fen: int, address: str) -> str:
    """Bind a purchase by its claim code and exact amount; answers its public id.

    Raises TooOften, Missing (one answer for an unknown, expired or wrong code and a wrong amount), Again (taken: told
    only with the right amount), Refused (paid by somebody whom we know: the slip's QR code is needed).
    """
    typed = codes.normal_claim_code(code)
    count_guess(customer_id, address, store_part=typed[: codes.STORE_PART] if typed else "")
    return _bind_by_code(customer_id, typed or "", amount_fen)


@db.retried
def count_guess(customer_id: int, address: str, *, store_part: str) -> None:
    """Count one try to claim by code, before it is looked at. Raises TooOften."""
    scopes = {
        "retailer": "claim",
        "store": f"claim:store:{store_part}",
        "address": f"claim:address:{address}",
        "customer": _customer_scope(customer_id),
    }
    with db.transaction() as session:
        if not db.is_sqlite():
            session.execute(select(func.pg_advisory_xact_lock(_GUESSING)))
        for name, scope in scopes.items():
            limits.check(session, scope, at_most=GUESSES_AN_HOUR[name], key="payments.too_many_guesses")
        for scope in scopes.values():
            limits.hit(session, scope)


def owner_of(session: Session, sale: TerminalTransaction) -> int | None:
    """The customer who has bound a purchase, or None."""
    return session.scalar(select(PurchaseClaim.customer_id).where(PurchaseClaim.transaction_id == sale.id))


def is_payer(session: Session, customer_id: int, sale: TerminalTransaction) -> bool:
    """Did this customer pay, as far as one of their own app ids tells?"""
    if not (sale.payer_app_id and sale.payer_open_id):
        return False
    return _identities(session, customer_id).get(sale.payer_app_id) == sale.payer_open_id


def may_claim(
    session: Session, customer_id: int, sale: TerminalTransaction, *, has_slip: bool = False
) -> bool:
    """May this customer take the purchase: owner already, or free and not known to be paid by another person."""
    owner = owner_of(session, sale)
    if owner is not None:
        return owner == customer_id
    return rules.payer_allows(
        payer_app_id=sale.payer_app_id,
        payer_open_id=sale.payer_open_id,
        identities=_identities(session, customer_id),
        has_slip=has_slip,
    )


def bind(session: Session, sale_id: int, customer_id: int, how: str) -> bool:
    """Make the customer the owner if nobody is; True where they are the owner then. ``how``: payer | slip | code."""
    dialect = sqlite if db.is_sqlite() else postgresql
    statement = (
        dialect.insert(PurchaseClaim)
        .values(transaction_id=sale_id, customer_id=customer_id, how=how, at=now())
        .on_conflict_do_nothing(index_elements=["transaction_id"])
        .returning(PurchaseClaim.customer_id)
    )
    if session.execute(statement).first() is None:
        owner = select(PurchaseClaim.customer_id).where(PurchaseClaim.transaction_id == sale_id)
        return session.scalar(owner) == customer_id
    audit.note(session, "purchase", sale_id, "claim", by=f"customer:{customer_id}", after="claimed", why=how)
    outbox.announce(session, PurchaseClaimed(transaction_id=sale_id, customer_id=customer_id))
    return True


@db.retried
def _bind_by_code(customer_id: int, code: str, amount_fen: int) -> str:
    with db.transaction() as session:
        sale = session.scalar(
            select(TerminalTransaction)
            .join(SlipCode, SlipCode.transaction_id == TerminalTransaction.id)
            .where(
                SlipCode.code == code,
                SlipCode.expires_at > now(),
                TerminalTransaction.amount_fen == amount_fen,
            )
        )
        if sale is None:
            raise Missing("payments.not_found")
        if not may_claim(session, customer_id, sale):
            taken = owner_of(session, sale) is not None
            raise Again("payments.taken") if taken else Refused("payments.slip_needed")
        if not bind(session, sale.id, customer_id, "code"):
            raise Again("payments.taken")
        limits.take_back(session, _customer_scope(customer_id))  # a person with six slips is no guesser
        return sale.public_id


def _customer_scope(customer_id: int) -> str:
    return f"claim:customer:{customer_id}"


def _identities(session: Session, customer_id: int) -> dict[str, str]:
    rows = session.execute(
        select(Identity.app_id, Identity.open_id).where(Identity.customer_id == customer_id)
    )
    return dict(rows.all())
