"""Embedded: a 样票 for a company without a channel. No tax office knows it, so its number is never 20 digits."""

from datetime import timedelta

from miniapp.core.clock import now
from miniapp.invoices.channels import (
    Answer,
    ChannelSettings,
    Done,
    File,
    IssueOrder,
    NoFile,
    NotFound,
    Readiness,
    Setting,
)


class Specimen:
    """Issues at once and remembers nothing: its number follows from the serial, so a repeat is the same document."""

    SETTINGS: tuple[Setting, ...] = ()
    not_found_is_final_after = timedelta(0)
    makes_real_invoices = False
    can_reverse = False
    file_kinds: tuple[str, ...] = ()

    def __init__(self, settings: ChannelSettings) -> None:
        self.settings = settings

    def issue(self, order: IssueOrder) -> Answer:
        """The order's own content, with a number that nobody can take for an invoice's."""
        return Done(
            serial=order.serial,
            invoice_no=f"YP{order.serial}",
            issued_at=now(),
            buyer_name=order.buyer.name,
            buyer_taxpayer_no=order.buyer.taxpayer_no,
            seller_taxpayer_no=order.seller.taxpayer_no,
            total_fen=order.total_fen,
            tax_fen=order.tax_fen,
        )

    def find(self, serial: str) -> Answer:
        """Nothing is kept anywhere: the same serial may be issued again, and is the same document."""
        return NotFound()

    def file(self, kind: str, done: Done) -> File | NoFile:
        """The face is drawn by our own printing room."""
        return NoFile("specimen", again=False)

    def ready(self) -> Readiness:
        """Always."""
        return Readiness(True)

    def parse_notice(self, raw: bytes) -> str | None:
        """Nobody sends any."""
        return None

    def notice_reply(self) -> tuple[str, bytes]:
        """Nobody reads it."""
        return "text/plain", b""


KIND = Specimen
