"""The files of an issued invoice: fetched from the channel, or drawn for a specimen, checked, kept by content.

A file that cannot be had, or is another invoice's, never changes the invoice: it is not delivered and a person decides.
"""

import threading
from datetime import timedelta
from decimal import Decimal
from io import BytesIO

import pypdfium2
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import failpoints, files, tasks
from miniapp.core.clock import beijing, now
from miniapp.core.money import yuan
from miniapp.invoices import channels
from miniapp.invoices.channels import ChannelSettings, Done, File, NoFile
from miniapp.invoices.events import DocumentReady
from miniapp.invoices.models import Invoice
from miniapp.outbox import service as outbox
from miniapp.outbox.jobs import Done as Ended
from miniapp.outbox.jobs import Later, NeverArrived, Outcome, Task
from miniapp.printing import invoice_pdf
from miniapp.printing.documents import InvoiceSheet, Party, SheetLine
from miniapp.stores import service as stores

PREVIEW_WIDTH, PREVIEW_COLOURS = 900, 32
_pdfium = threading.Lock()
"""pdfium is not safe for several threads at once."""

MEDIA = {"pdf": "application/pdf", "ofd": "application/ofd", "xml": "application/xml", "png": "image/png"}


def fetch(task: Task) -> Outcome | None:
    """Work: get every file that the channel has, draw the preview, keep both."""
    invoice_id = task.payload["invoice_id"]
    content = _specimen(invoice_id)
    if content is not None:
        _keep(invoice_id, {"pdf": content, "png": preview(content)})
        return Ended("drawn")
    settings, done, wanted = _channel(invoice_id)
    channel = channels.of(settings)
    got: dict[str, bytes] = {}
    for kind in wanted:
        answer = channel.file(kind, done)
        if isinstance(answer, File):
            got[kind] = answer.content
        elif kind == "pdf" and isinstance(answer, NoFile):
            done = _ask_again(channel, done)
            return Later(
                f"no pdf yet: {answer.reason}", after=timedelta(seconds=min(600, 3 * 2**task.attempts))
            )
    if "pdf" not in got:
        return Ended("the channel has no pdf")
    if not _is_ours(invoice_id, got["pdf"]):
        return Ended("another invoice's file")
    _keep(invoice_id, {**got, "png": preview(got["pdf"])})
    return Ended("kept")


def kept(task: Task) -> Outcome | None:
    """Work, when a fetch may have ended unrecorded: fetching is a question and may be asked again."""
    with db.reading() as session:
        if "pdf" in files.linked(session, "invoice", task.payload["invoice_id"]):
            return Ended("kept")
    return NeverArrived("no file is kept")


def preview(pdf: bytes) -> bytes:
    """The first page as a PNG for the chat and the page."""
    with _pdfium:
        document = pypdfium2.PdfDocument(pdf)
        try:
            page = document[0]
            picture = page.render(scale=PREVIEW_WIDTH / page.get_width()).to_pil()
        finally:
            document.close()
    out = BytesIO()
    # An octree without dithering and quick packing: a sixth of the time of the best, a tenth more bytes, the same to the eye.
    few = picture.convert("RGB").quantize(
        PREVIEW_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    few.save(out, "PNG", compress_level=4)
    return out.getvalue()


def text_of(pdf: bytes) -> str:
    """The text of a PDF, without blanks."""
    with _pdfium:
        document = pypdfium2.PdfDocument(pdf)
        try:
            parts = [page.get_textpage().get_text_range() for page in document]
        finally:
            document.close()
    return "".join("".join(parts).split())


def sheet(invoice: Invoice) -> InvoiceSheet:
    """What the face shows, from the invoice's own frozen columns."""
    buyer, seller = invoice.buyer, invoice.seller
    return InvoiceSheet(
        number=invoice.number,
        issued_on=beijing(invoice.issued_at).date(),
        kind=invoice.kind,
        buyer=Party(name=buyer["name"], taxpayer_no=buyer.get("taxpayer_no", "")),
        seller=Party(name=seller["name"], taxpayer_no=seller["taxpayer_no"]),
        lines=tuple(_sheet_line(line) for line in invoice.lines),
        remark=invoice.remark,
        issuer_name=invoice.issuer_name,
        specimen=invoice.is_specimen,
    )


def _sheet_line(line: dict[str, object]) -> SheetLine:
    return SheetLine(
        name=str(line["name"]),
        unit=str(line["unit"]),
        quantity=Decimal(str(line["quantity"])) if line["quantity"] else None,
        unit_price=Decimal(str(line["price"])) if line["price"] else None,
        net_fen=int(str(line["net_fen"])),
        tax_fen=int(str(line["tax_fen"])),
        tax_rate=Decimal(str(line["tax_rate"])),
    )


def _specimen(invoice_id: int) -> bytes | None:
    with db.reading() as session:
        invoice = session.get_one(Invoice, invoice_id)
        face = sheet(invoice) if invoice.is_specimen else None
    return None if face is None else invoice_pdf.draw(face)


def _channel(invoice_id: int) -> tuple[ChannelSettings, Done, tuple[str, ...]]:
    with db.reading() as session:
        invoice = session.get_one(Invoice, invoice_id)
        order, channel_id = invoice.order, invoice.order.channel_id
        done = Done(
            serial=order.serial,
            invoice_no=invoice.number,
            issued_at=invoice.issued_at,
            buyer_name=invoice.buyer["name"],
            buyer_taxpayer_no=invoice.buyer.get("taxpayer_no", ""),
            seller_taxpayer_no=invoice.seller["taxpayer_no"],
            total_fen=invoice.total_fen,
            tax_fen=invoice.tax_fen,
            files=invoice.file_urls,
        )
    if channel_id is None:
        raise LookupError(f"invoice {invoice_id} has no channel")
    view = stores.channel(channel_id)
    settings = ChannelSettings(view.code, view.kind, {**view.settings, **view.secrets})
    return settings, done, channels.all_kinds()[view.kind].file_kinds


def _ask_again(channel: channels.Channel, done: Done) -> Done:
    """File addresses may come later than the number: ask for them; the invoice itself does not change."""
    if done.files.get("pdf"):
        return done
    answer = channel.find(done.serial)
    if not isinstance(answer, Done) or answer.invoice_no != done.invoice_no:
        return done
    with db.transaction() as session:
        invoice = session.scalar(select(Invoice).where(Invoice.number == done.invoice_no).with_for_update())
        if invoice is not None:
            invoice.file_urls = dict(answer.files)
    return answer


def _is_ours(invoice_id: int, pdf: bytes) -> bool:
    """Does the file carry our number and total? Otherwise it is kept from the customer and a person is asked."""
    text = text_of(pdf)
    with db.transaction() as session:
        invoice = session.get_one(Invoice, invoice_id)
        total = yuan(invoice.total_fen)
        if invoice.number in text and total in text.replace(",", ""):
            return True
        digest = files.write(pdf)
        files.keep(
            session,
            digest,
            media_type=MEDIA["pdf"],
            subject="invoice",
            subject_id=invoice_id,
            role="wrong_pdf",
        )
        _wrong(session, invoice)
        return False


def _wrong(session: Session, invoice: Invoice) -> None:
    tasks.open_once(
        session,
        "wrong_document",
        f"invoice:{invoice.id}",
        store_id=invoice.store_id,
        company_id=invoice.company_id,
        number=invoice.number,
    )


def _keep(invoice_id: int, contents: dict[str, bytes]) -> None:
    digests = {role: files.write(content) for role, content in contents.items()}
    with db.transaction() as session:
        invoice = session.get_one(Invoice, invoice_id, with_for_update=True)
        is_first = "pdf" not in files.linked(session, "invoice", invoice_id)
        for role, digest in digests.items():
            files.keep(
                session, digest, media_type=MEDIA[role], subject="invoice", subject_id=invoice_id, role=role
            )
        for delivery in invoice.deliveries:
            if delivery.way == "page" and delivery.state == "waiting":
                delivery.state, delivery.changed_at = "delivered", now()
        if is_first:
            outbox.announce(session, DocumentReady(invoice_id))
    failpoints.hit("issue.file_saved")
