"""The slip of a sale: claim code, the signed address behind its QR code, and the lines that a till prints."""

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import vault
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.payments import composition
from miniapp.payments.models import SlipCode, TerminalTransaction
from miniapp.printing import slip as drawing
from miniapp.printing.documents import Slip
from miniapp.stores.models import Store, Terminal

PURPOSE = "slip"
KEY_ID = "1"
"""Names the key that signs; a second one is added here when the first is changed."""


@dataclass(frozen=True)
class SlipToken:
    """What a slip's address says, proved by its signature."""

    public_id: str
    store_id: int


def slip_of(transaction_id: int) -> dict[str, Any]:
    """The slip of a sale as the terminal door answers it. Raises Missing."""
    slip = sheet(transaction_id)
    return {
        "claim_code": slip.claim_code,
        "url": slip.url,
        "qr_png_base64": base64.b64encode(drawing.qr_png(slip.url)).decode("ascii"),
        "qr_matrix": drawing.qr_matrix(slip.url),
        "lines": drawing.lines(slip),
    }


def sheet(transaction_id: int) -> Slip:
    """The slip of a sale as plain values for drawing. Raises Missing."""
    with db.reading() as session:
        row = session.execute(
            select(TerminalTransaction, SlipCode, Store, Terminal)
            .join(SlipCode, SlipCode.transaction_id == TerminalTransaction.id)
            .join(Store, Store.id == TerminalTransaction.store_id)
            .join(Terminal, Terminal.id == TerminalTransaction.terminal_id)
            .where(TerminalTransaction.id == transaction_id, TerminalTransaction.kind == "sale")
        ).one_or_none()
        if row is None:
            raise Missing("payments.not_found")
        sale, code, store, terminal = row
        token = token_of(sale.public_id, sale.store_id, expires_at=code.expires_at)
        return Slip(
            store_name=store.name,
            terminal_name=terminal.code,
            amount_fen=sale.amount_fen,
            paid_at=sale.occurred_at,
            out_trade_no=sale.out_trade_no,
            claim_code=code.code,
            url=f"{composition.current().public_base}/c/slip/{token}",
        )


def token_of(public_id: str, store_id: int, *, expires_at: datetime) -> str:
    """``key.store.expiry.purchase.signature``: HMAC-SHA256 over the four before it."""
    body = f"{KEY_ID}.{store_id}.{int(expires_at.timestamp())}.{public_id}"
    return f"{body}.{_signature(body)}"


def read_token(token: str) -> SlipToken:
    """What a signed address names. Raises Missing (not ours, altered), Refused (expired)."""
    body, _, signature = token.rpartition(".")
    parts = body.split(".")
    if len(token) > 200 or len(parts) != 4 or not _is_signed(body, signature):
        raise Missing("payments.not_found")
    _, store_id, expiry, public_id = parts
    if datetime.fromtimestamp(int(expiry), UTC) <= now():
        raise Refused("payments.slip_expired")
    return SlipToken(public_id, int(store_id))


def sale_of_token(session: Session, token: str) -> TerminalTransaction:
    """The sale of a slip's address. Raises Missing, Refused (expired)."""
    named = read_token(token)
    sale = session.scalar(
        select(TerminalTransaction).where(
            TerminalTransaction.public_id == named.public_id, TerminalTransaction.store_id == named.store_id
        )
    )
    if sale is None:
        raise Missing("payments.not_found")
    return sale


def _signature(body: str) -> str:
    digest = bytes.fromhex(vault.sign(PURPOSE, body))
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _is_signed(body: str, signature: str) -> bool:
    return hmac.compare_digest(_signature(body).encode(), signature.encode("utf-8", "replace"))
