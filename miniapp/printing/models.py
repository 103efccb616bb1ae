"""Print jobs and what was seen of each."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from miniapp.db import Base, BigId
from miniapp.printing.states import PRINT_JOB
from miniapp.stores.models import Printer

OPEN_ON_PRINTER = "state IN ('sending', 'sent', 'uncertain')"


class PrintJob(Base):
    """One copy of one document on paper. A reprint is a new row, marked 补打."""

    __tablename__ = "print_job"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[int] = mapped_column(BigId)
    copy_no: Mapped[int] = mapped_column(default=1)
    printer_id: Mapped[int] = mapped_column(ForeignKey("printer.id"))
    payload_sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(20))
    fence: Mapped[int] = mapped_column(default=0)
    device_ref: Mapped[str | None] = mapped_column(String(80))
    evidence: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(String(200))
    reprint_of: Mapped[int | None] = mapped_column(BigId)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    printer: Mapped[Printer] = relationship()
    __table_args__ = (
        UniqueConstraint("subject", "subject_id", "copy_no"),
        CheckConstraint(PRINT_JOB.check_sql(), name="state"),
        Index(
            "ux_print_job_open",
            "printer_id",
            unique=True,
            sqlite_where=text(OPEN_ON_PRINTER),
            postgresql_where=text(OPEN_ON_PRINTER),
        ),
    )
