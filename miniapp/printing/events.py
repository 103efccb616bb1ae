"""Facts about paper that others may hear."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PrintJobChanged:
    """A print job moved on. ``subject`` and ``subject_id`` say of what."""

    job_id: int
    subject: str
    subject_id: int
    copy_no: int
    state: str
    reason: str
