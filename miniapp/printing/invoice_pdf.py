"""Draws an invoice on the 210 × 140 mm face of the bureau's electronic invoice.

Our drawing is never the legal document: no seal is drawn, a specimen is marked across every page, anything else
is marked as a copy. Field order and proportions follow invoices of 2025 and 2026.
"""

import io
from dataclasses import dataclass
from decimal import Decimal

from miniapp.core.money import yuan
from miniapp.printing import qr
from miniapp.printing.capital import capital
from miniapp.printing.documents import InvoiceSheet, Party, SheetLine
from miniapp.printing.fonts import FontChain, chain
from miniapp.printing.pen import POINT, Block, Colour, Pen, new_canvas
from miniapp.printing.sheet_json import SheetRefused, sheet_from_json

__all__ = ["SheetRefused", "draw", "rate_text", "sheet_from_json"]

WIDTH, HEIGHT = 210, 140
RED: Colour = (0.502, 0, 0)
GREY: Colour = (0.35, 0.35, 0.35)

_LEFT, _RIGHT = 4.6, 205.4
_MIDDLE = (_LEFT + _RIGHT) / 2
_STRIP = 6.0
_PARTIES_TOP, _LINES_TOP, _TOTALS_TOP, _REMARK_TOP, _BOTTOM = 29.0, 47.0, 93.0, 100.0, 122.0
_SUMS_HEIGHT = 6.0
_LIST_LINES_TOP, _LIST_BOTTOM = 34.0, 132.0
_HEADER = 6.5
_ROW_GAP = 0.7
_HEADING, _SIZE, _SMALLEST = 18.5, 9.0, 5.5

_TITLES = {"ordinary": "电子发票（普通发票）", "special": "电子发票（增值税专用发票）"}
_UNTAXED = {"exempt": "免税", "not_taxable": "不征税"}


@dataclass(frozen=True)
class _Column:
    heading: str
    left: float
    right: float
    align: float

    @property
    def width(self) -> float:
        return self.right - self.left - 1.6

    @property
    def anchor(self) -> float:
        return self.left + 0.8 + self.align * self.width


_COLUMNS = tuple(
    _Column(heading, left, right, align)
    for heading, left, right, align in (
        ("项目名称", 4.6, 41.0, 0.0),
        ("规格型号", 41.0, 65.4, 0.0),
        ("单  位", 65.4, 78.7, 0.5),
        ("数  量", 78.7, 104.4, 1.0),
        ("单  价", 104.4, 130.1, 1.0),
        ("金  额", 130.1, 155.8, 1.0),
        ("税率/征收率", 155.8, 178.4, 0.5),
        ("税  额", 178.4, 205.4, 1.0),
    )
)
_NET, _TAX = _COLUMNS[5], _COLUMNS[7]


@dataclass(frozen=True)
class _Row:
    """One line as it will be set: a block for each column."""

    line: SheetLine
    cells: tuple[Block, ...]

    @property
    def height(self) -> float:
        return max(cell.height for cell in self.cells) + _ROW_GAP


def draw(sheet: InvoiceSheet, *, fonts: FontChain | None = None) -> bytes:
    """The PDF of an invoice; the same sheet always gives the same bytes.

    Lines that do not fit on the face go on list pages. ``fonts`` are those of the machine unless given.
    Raises UndrawableCharacter and FontMissing.
    """
    file = io.BytesIO()
    fonts = fonts or chain()
    canvas = new_canvas(file, width=WIDTH, height=HEIGHT, fonts=fonts)
    canvas.setTitle(f"{'样票' if sheet.specimen else '发票副本'} {sheet.number}")
    canvas.setAuthor(sheet.seller.name)
    pen = Pen(canvas, height=HEIGHT, fonts=fonts)
    pages = _pages([_row(pen, line) for line in sheet.lines])
    for number, rows in enumerate(pages, 1):
        (_face if number == 1 else _list_page)(pen, sheet, rows, page=number, pages=len(pages))
        _mark(pen, sheet)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def rate_text(line: SheetLine) -> str:
    """The rate as the face prints it: 13%, 0.5%, 免税, 不征税."""
    return _UNTAXED.get(line.treatment) or f"{_plain(line.tax_rate * 100)}%"


def _face(pen: Pen, sheet: InvoiceSheet, rows: list[_Row], *, page: int, pages: int) -> None:
    _head(pen, sheet, page=page, pages=pages)
    pen.modules(6, 5, 20, qr.matrix(qr.invoice_text(sheet)))
    pen.text(28, 12, sheet.specific_business, size=12, colour=RED)
    _frame(pen)
    _party(pen, _LEFT, "购买方信息", sheet.buyer)
    _party(pen, _MIDDLE, "销售方信息", sheet.seller)
    _table(pen, _LINES_TOP, rows)
    if pages > 1:
        _sums(pen, _TOTALS_TOP - 2 * _SUMS_HEIGHT, "小        计", [row.line for row in rows])
    _sums(pen, _TOTALS_TOP - _SUMS_HEIGHT, "合        计", list(sheet.lines))
    _total(pen, sheet)
    _remark(pen, sheet)
    pen.labelled(16, _BOTTOM + 6.5, "开票人：", sheet.issuer_name, width=80, label_colour=RED)


def _list_page(pen: Pen, sheet: InvoiceSheet, rows: list[_Row], *, page: int, pages: int) -> None:
    _head(pen, sheet, page=page, pages=pages)
    pen.box(_LEFT, _LIST_LINES_TOP, _RIGHT - _LEFT, _LIST_BOTTOM - _LIST_LINES_TOP)
    pen.labelled(_LEFT + 1, _LIST_LINES_TOP - 2.2, "购买方：", sheet.buyer.name, width=94, label_colour=RED)
    pen.labelled(
        _MIDDLE + 1, _LIST_LINES_TOP - 2.2, "销售方：", sheet.seller.name, width=94, label_colour=RED
    )
    _table(pen, _LIST_LINES_TOP, rows)
    sums = [("小        计", [row.line for row in rows])]
    if page == pages:
        sums.append(("合        计", list(sheet.lines)))
    for place, (label, lines) in enumerate(reversed(sums), 1):
        _sums(pen, _LIST_BOTTOM - place * _SUMS_HEIGHT, label, lines)


def _head(pen: Pen, sheet: InvoiceSheet, *, page: int, pages: int) -> None:
    pen.canvas.setStrokeColorRGB(*RED)
    pen.canvas.setLineWidth(0.6)
    heading = _TITLES[sheet.kind]
    pen.text(WIDTH / 2, 15, heading, size=_HEADING, align=0.5, colour=RED)
    reach = pen.fonts.width(heading) * _HEADING * POINT / 2 + 1
    for y in (18.3, 19.4):
        pen.line(WIDTH / 2 - reach, y, WIDTH / 2 + reach, y)
    pen.labelled(150, 12, "发票号码：", sheet.number, width=54, label_colour=RED)
    issued_on = f"{sheet.issued_on:%Y年%m月%d日}"
    pen.labelled(150, 18, "开票日期：", issued_on, width=54, label_colour=RED)
    if pages > 1:
        pen.text(_RIGHT, 24, f"共{pages}页 第{page}页", size=8, align=1, colour=RED)


def _frame(pen: Pen) -> None:
    """The lines of the face; the columns of the table have none."""
    pen.box(_LEFT, _PARTIES_TOP, _RIGHT - _LEFT, _BOTTOM - _PARTIES_TOP)
    for y in (_LINES_TOP, _TOTALS_TOP, _REMARK_TOP):
        pen.line(_LEFT, y, _RIGHT, y)
    for x in (_LEFT + _STRIP, _MIDDLE, _MIDDLE + _STRIP):
        pen.line(x, _PARTIES_TOP, x, _LINES_TOP)
    pen.line(_COLUMNS[1].right - 13, _TOTALS_TOP, _COLUMNS[1].right - 13, _REMARK_TOP)
    pen.line(_LEFT + _STRIP, _REMARK_TOP, _LEFT + _STRIP, _BOTTOM)


def _party(pen: Pen, left: float, strip: str, party: Party) -> None:
    pen.column(left + _STRIP / 2, _PARTIES_TOP + 0.7, _LINES_TOP - _PARTIES_TOP - 1.4, strip, colour=RED)
    inner = left + _STRIP + 1.5
    pen.text(inner, _PARTIES_TOP + 6, "名称：", colour=RED)
    name_left = inner + pen.fonts.width("名称：") * _SIZE * POINT
    room = left + (_RIGHT - _MIDDLE) - 1 - name_left
    name = pen.fit(party.name, width=room, height=9.5, sizes=(_SIZE, 8, 7, 6, _SMALLEST))
    first_line = _PARTIES_TOP + 6 - 0.92 * name.size * POINT
    pen.block(name_left, first_line if len(name.lines) == 1 else _PARTIES_TOP + 1.4, name)
    label = "统一社会信用代码/纳税人识别号："
    pen.labelled(inner, _LINES_TOP - 3.2, label, party.taxpayer_no, width=92, label_colour=RED)


def _table(pen: Pen, top: float, rows: list[_Row]) -> None:
    for column in _COLUMNS:
        pen.text(column.anchor, top + 4.6, column.heading, align=column.align, colour=RED)
    y = top + _HEADER
    for row in rows:
        for column, cell in zip(_COLUMNS, row.cells, strict=True):
            pen.block(column.anchor, y, cell, align=column.align)
        y += row.height


def _sums(pen: Pen, top: float, label: str, lines: list[SheetLine]) -> None:
    y = top + 4.2
    pen.text(_LEFT + 18, y, label, align=0.5, colour=RED)
    for column, amount in ((_NET, _net_text(lines)), (_TAX, _tax_text(lines))):
        size = pen.fit_line(amount, width=column.width, size=_SIZE)
        pen.text(column.anchor, y, amount, size=size, align=1)


def _total(pen: Pen, sheet: InvoiceSheet) -> None:
    y = _TOTALS_TOP + 4.7
    pen.text((_LEFT + _COLUMNS[1].right - 13) / 2, y, "价税合计（大写）", align=0.5, colour=RED)
    left = _COLUMNS[1].right - 13 + 3
    pen.crossed_circle(left + 1.8, _TOTALS_TOP + 3.5, 1.7)
    words = capital(sheet.total_fen)
    pen.text(left + 5, y, words, size=pen.fit_line(words, width=82, size=10))
    pen.labelled(147, y, "（小写）", f"¥{yuan(sheet.total_fen)}", width=57, label_colour=RED, size=10)


def _remark(pen: Pen, sheet: InvoiceSheet) -> None:
    height = _BOTTOM - _REMARK_TOP
    pen.column(_LEFT + _STRIP / 2, _REMARK_TOP + 4, height - 8, "备注", colour=RED)
    width = _RIGHT - _LEFT - _STRIP - 3
    block = pen.fit(sheet.remark, width=width, height=height - 3, sizes=(_SIZE, 8, 7, 6, _SMALLEST))
    pen.block(_LEFT + _STRIP + 1.5, _REMARK_TOP + 1.5, block)


def _mark(pen: Pen, sheet: InvoiceSheet) -> None:
    """Over everything else: what this page is not."""
    if sheet.specimen:
        pen.text(WIDTH / 2, 24.5, "样票　非税务凭证", size=10, align=0.5, colour=RED)
        pen.watermark(WIDTH / 2, 72, "样  票", size=125, angle=20)
        pen.watermark(WIDTH / 2 + 10, 104, "非税务凭证", size=34, angle=20)
    else:
        note = "本页为发票内容的副本，非税务凭证；原件以税务数字账户中的文件为准。"
        pen.text(_RIGHT, HEIGHT - 4, note, size=7, align=1, colour=GREY)


def _row(pen: Pen, line: SheetLine) -> _Row:
    tax = yuan(line.tax_fen) if line.treatment == "taxed" else "***"
    long = (line.name, line.spec)
    short = (
        line.unit,
        _plain(line.quantity),
        _plain(line.unit_price),
        yuan(line.net_fen),
        rate_text(line),
        tax,
    )
    cells = [
        pen.fit(text, width=column.width, height=15, sizes=(_SIZE, 8, 7, 6, _SMALLEST))
        for text, column in zip(long, _COLUMNS, strict=False)
    ]
    for text, column in zip(short, _COLUMNS[2:], strict=True):
        cells.append(Block(pen.fit_line(text, width=column.width, size=_SIZE), (text,)))
    return _Row(line, tuple(cells))


def _pages(rows: list[_Row]) -> list[list[_Row]]:
    """The rows of each page: all on the face where they fit, else with a subtotal there and on list pages."""
    face = _TOTALS_TOP - _LINES_TOP - _HEADER - _SUMS_HEIGHT
    if sum(row.height for row in rows) <= face:
        return [rows]
    pages: list[list[_Row]] = [[]]
    room = face - _SUMS_HEIGHT
    for row in rows:
        if row.height > room:
            pages.append([])
            room = _LIST_BOTTOM - _LIST_LINES_TOP - _HEADER - 2 * _SUMS_HEIGHT
        pages[-1].append(row)
        room -= row.height
    return pages


def _net_text(lines: list[SheetLine]) -> str:
    return f"¥{yuan(sum(line.net_fen for line in lines))}"


def _tax_text(lines: list[SheetLine]) -> str:
    taxed = [line.tax_fen for line in lines if line.treatment == "taxed"]
    return f"¥{yuan(sum(taxed))}" if taxed else "***"


def _plain(number: Decimal | None) -> str:
    """A number without the zeros at its end, never with an exponent."""
    if number is None:
        return ""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
