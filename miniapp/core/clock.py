"""The one clock. All code asks here; database defaults such as ``now()`` are not used.

Tests set the clock; the demo moves it by a file that holds an offset in seconds (``MINIAPP_CLOCK_FILE``).
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

BEIJING = ZoneInfo("Asia/Shanghai")
GMT8 = timezone(timedelta(hours=8))

_source: Callable[[], datetime] | None = None
_offset_file: Path | None = None


def now() -> datetime:
    """The program's time, aware UTC."""
    if _source is not None:
        return _source()
    return real_now() + timedelta(seconds=_offset())


def real_now() -> datetime:
    """The machine's time, aware UTC: for leases only, which must survive steps of the program's clock."""
    return datetime.fromtimestamp(time.time(), UTC)


def set_clock(source: Callable[[], datetime] | None) -> None:
    """Put another clock in its place (tests), or the machine's again with None."""
    global _source
    _source = source


def use_offset_file(path: Path | None) -> None:
    """Read an offset in seconds from a file at every call (demo and tests only)."""
    global _offset_file
    _offset_file = path


def beijing(moment: datetime) -> datetime:
    """The same instant on a Beijing clock."""
    return moment.astimezone(BEIJING)


def bill_date(moment: datetime) -> date:
    """The platforms' own day: the Beijing calendar day."""
    return beijing(moment).date()


def business_date(moment: datetime, cut_off: str) -> date:
    """The store's day: ``cut_off`` is ``HH:MM``; what happens before it belongs to the day before."""
    hours, minutes = (int(part) for part in cut_off.split(":"))
    return (beijing(moment) - timedelta(hours=hours, minutes=minutes)).date()


def show_time(moment: datetime) -> str:
    """For readers: ``11月23日 18:02`` this year, in full otherwise."""
    local, today = beijing(moment), beijing(now())
    text = f"{local.month}月{local.day}日 {local:%H:%M}"
    return text if local.year == today.year else f"{local.year}年{text}"


def from_beijing(text: str, pattern: str = "%Y-%m-%d %H:%M:%S") -> datetime:
    """A Beijing wall-clock text, without zone, as aware UTC. Raises ValueError."""
    return datetime.strptime(text, pattern).replace(tzinfo=BEIJING).astimezone(UTC)


def _offset() -> float:
    if _offset_file is None:
        return 0.0
    try:
        return float(_offset_file.read_text("ascii").strip() or 0)
    except (FileNotFoundError, ValueError):
        return 0.0
