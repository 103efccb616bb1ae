"""The slip from the till: the purchase and the QR code that leads to its invoice. It is no invoice."""

import io
import unicodedata
from dataclasses import dataclass

from miniapp.core.clock import BEIJING
from miniapp.core.money import yuan
from miniapp.printing import qr
from miniapp.printing.documents import Slip
from miniapp.printing.fonts import chain
from miniapp.printing.pen import Pen, new_canvas

COLUMNS = 32
"""Half-width characters of a line on 58 mm paper, the narrowest that tills use."""

_PAPER, _EDGE, _CODE = 80.0, 6.0, 42.0
_SIZE, _LINE = 10.0, 5.2


@dataclass(frozen=True)
class _Row:
    """A label at the left with its value at the right, or one of them alone in the middle."""

    label: str
    value: str = ""


_RULE = _Row("-" * COLUMNS)


def lines(slip: Slip) -> list[str]:
    """The slip as lines of at most 32 columns, Chinese characters counting two; the QR code goes after them.

    ￥ is the full-width sign: printers with GBK fonts have no other.
    """
    return [line for row in _rows(slip) for line in _in_columns(row)]


def qr_png(text: str) -> bytes:
    """The QR code as a black and white PNG with its quiet zone."""
    return qr.png(text)


def qr_matrix(text: str) -> list[str]:
    """The QR code as rows of 0 and 1, ``1`` is dark, without the quiet zone."""
    return list(qr.matrix(text))


def draw_pdf(slip: Slip) -> bytes:
    """The slip as one page of an 80 mm roll, as long as it needs. Raises UndrawableCharacter."""
    rows = _rows(slip)
    height = 2 * _EDGE + len(rows) * _LINE + _CODE + 3
    file = io.BytesIO()
    canvas = new_canvas(file, width=_PAPER, height=height, fonts=chain())
    canvas.setTitle(f"小票 {_plain(slip.out_trade_no)}")
    pen = Pen(canvas, height=height, fonts=chain())
    for place, row in enumerate(rows):
        _set(pen, _EDGE + place * _LINE, row)
    pen.modules((_PAPER - _CODE) / 2, _EDGE + len(rows) * _LINE + 3, _CODE, qr.matrix(slip.url))
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _rows(slip: Slip) -> list[_Row]:
    return [
        *([_Row(f"【补打】第{slip.reprint}次")] if slip.reprint else []),
        _Row(_plain(slip.store_name)),
        _RULE,
        _Row("终端", _plain(slip.terminal_name)),
        _Row("时间", f"{slip.paid_at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"),
        _Row("金额", f"￥{yuan(slip.amount_fen)}"),
        _Row("单号", _plain(slip.out_trade_no)),
        _Row("领取码", _plain(slip.claim_code)),
        _RULE,
        _Row("扫码自助开具发票"),
        _Row("本小票不是发票"),
    ]


def _set(pen: Pen, y: float, row: _Row) -> None:
    """One row on paper, made smaller where it is too wide."""
    width = _PAPER - 2 * _EDGE
    if row == _RULE:
        pen.line(_EDGE, y + _LINE / 2, _PAPER - _EDGE, y + _LINE / 2)
        return
    size = pen.fit_line(f"{row.label}　{row.value}", width=width, size=_SIZE)
    baseline = y + _LINE * 0.75
    pen.text(
        _EDGE if row.value else _PAPER / 2, baseline, row.label, size=size, align=0 if row.value else 0.5
    )
    pen.text(_PAPER - _EDGE, baseline, row.value, size=size, align=1)


def _in_columns(row: _Row) -> list[str]:
    if not row.value:
        return [" " * ((COLUMNS - _columns(part)) // 2) + part for part in _cut(row.label)]
    gap = COLUMNS - _columns(row.label) - _columns(row.value)
    if gap >= 1:
        return [row.label + " " * gap + row.value]
    return [row.label, *_cut(row.value)]


def _cut(text: str) -> list[str]:
    """A text in parts of at most a line."""
    parts = [""]
    for character in text:
        if _columns(parts[-1] + character) > COLUMNS:
            parts.append("")
        parts[-1] += character
    return parts


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WFA" else 1 for character in text)


def _plain(text: str) -> str:
    """A text from outside in one line, without what could steer a printer."""
    return "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
