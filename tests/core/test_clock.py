"""Days: the platforms' and the stores'."""

from datetime import UTC, date, datetime

import pytest

from miniapp.core import clock


@pytest.mark.parametrize(
    ("moment", "cut_off", "bill", "business"),
    [
        ("2026-11-24 15:59:58", "00:00", "2026-11-24", "2026-11-24"),
        ("2026-11-24 16:00:00", "00:00", "2026-11-25", "2026-11-25"),
        ("2026-11-24 18:00:00", "04:00", "2026-11-25", "2026-11-24"),
        ("2026-12-31 20:00:00", "04:00", "2027-01-01", "2027-01-01"),
        ("2028-02-28 16:30:00", "02:00", "2028-02-29", "2028-02-28"),
    ],
)
def test_a_moment_belongs_to_two_days(moment: str, cut_off: str, bill: str, business: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert clock.bill_date(at) == date.fromisoformat(bill)
    assert clock.business_date(at, cut_off) == date.fromisoformat(business)
