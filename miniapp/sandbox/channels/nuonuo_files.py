"""The channel's files of one invoice: a PDF that outside tools can read, XML, and a small OFD package.

Every page says 沙箱样票: this is a simulator and its numbers mean nothing to any tax bureau.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import Color
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from miniapp.sandbox.channels.nuonuo_rules import Line

PAGE = (210 * mm, 140 * mm)
DARK_RED = Color(0.5, 0, 0)
FAINT = Color(0.75, 0.75, 0.75)
TITLES = {"pc": "电子发票（普通发票）", "bs": "电子发票（增值税专用发票）"}
QR_KINDS = {"pc": "32", "bs": "31"}
MARK = "沙箱样票"
FONT_FILES = (
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
)


@dataclass(frozen=True)
class Face:
    """What is printed. Amounts with two places; `issued_at` is the wall clock of Shanghai."""

    number: str
    line_kind: str
    issued_at: datetime
    buyer_name: str
    buyer_tax_no: str
    seller_name: str
    seller_tax_no: str
    included: Decimal
    excluded: Decimal
    tax: Decimal
    clerk: str
    remark: str
    lines: tuple[Line, ...]


def crc16(data: bytes) -> int:
    """CRC-16, polynomial 0x8005, start 0, not reflected (check of `123456789` is FEE8)."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = ((value << 1) ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def qr_payload(face: Face) -> str:
    """`01,<kind>,,<number>,<total>,<yyyyMMdd>,,<CRC>` of a fully digital invoice."""
    head = f"01,{QR_KINDS[face.line_kind]},,{face.number},{face.included},{face.issued_at:%Y%m%d},,"
    return f"{head}{crc16(head.encode()):04X}"


def pdf(face: Face) -> bytes:
    """The face on 210 × 140 mm, one page; of many lines the first are drawn and the rest counted."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=PAGE, invariant=1)
    canvas.setTitle(f"{MARK} {face.number}")
    _mark(canvas)
    _head(canvas, face)
    _parties(canvas, face)
    _lines(canvas, face)
    _foot(canvas, face)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def xml(face: Face) -> bytes:
    """EInvoice XML cut down to what readers look for; unsigned."""
    items = "".join(
        "<IssuItemInformation>"
        f"<ItemName>{escape(line.name)}</ItemName><SpecMod>{escape(line.spec)}</SpecMod>"
        f"<MeaUnits>{escape(line.unit)}</MeaUnits><Quantity>{_number(line.quantity)}</Quantity>"
        f"<UnPrice>{_number(line.price)}</UnPrice><Amount>{line.excluded}</Amount>"
        f"<TaxRate>{line.rate}</TaxRate><ComTaxAm>{line.tax}</ComTaxAm>"
        f"<TotaltaxIncludedAmount>{line.included}</TotaltaxIncludedAmount>"
        f"<TaxClassificationCode>{line.goods_code}</TaxClassificationCode>"
        "</IssuItemInformation>"
        for line in face.lines
    )
    kind = "01" if face.line_kind == "bs" else "02"
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<EInvoice><Header><EIid>{face.number}</EIid><EInvoiceTag>SWEI3100</EInvoiceTag><Version>0.2</Version>"
        "<InherentLabel><InIssuType><LabelCode>Y</LabelCode></InIssuType>"
        f"<GeneralOrSpecialVAT><LabelCode>{kind}</LabelCode></GeneralOrSpecialVAT></InherentLabel></Header>"
        "<EInvoiceData>"
        f"<SellerInformation><SellerIdNum>{face.seller_tax_no}</SellerIdNum>"
        f"<SellerName>{escape(face.seller_name)}</SellerName></SellerInformation>"
        f"<BuyerInformation><BuyerIdNum>{escape(face.buyer_tax_no)}</BuyerIdNum>"
        f"<BuyerName>{escape(face.buyer_name)}</BuyerName></BuyerInformation>"
        f"<BasicInformation><TotalAmWithoutTax>{face.excluded}</TotalAmWithoutTax>"
        f"<TotalTaxAm>{face.tax}</TotalTaxAm>"
        f"<TotalTax-includedAmount>{face.included}</TotalTax-includedAmount>"
        f"<Drawer>{escape(face.clerk)}</Drawer></BasicInformation>{items}"
        f"<AdditionalInformation><Remark>{escape(f'{MARK} {face.remark}'.strip())}</Remark></AdditionalInformation>"
        "</EInvoiceData>"
        f"<TaxSupervisionInfo><InvoiceNumber>{face.number}</InvoiceNumber>"
        f"<IssueTime>{face.issued_at:%Y-%m-%d}</IssueTime></TaxSupervisionInfo></EInvoice>"
    )
    return text.encode()


def ofd(face: Face) -> bytes:
    """A package with OFD.xml (number, amounts and parties as CustomDatas) and the XML beside it; it has no page."""
    pairs = {
        "发票号码": face.number,
        "开票日期": f"{face.issued_at:%Y年%m月%d日}",
        "购买方名称": face.buyer_name,
        "购买方纳税人识别号": face.buyer_tax_no,
        "销售方名称": face.seller_name,
        "合计金额": str(face.excluded),
        "合计税额": str(face.tax),
        "价税合计": str(face.included),
    }
    custom = "".join(
        f'<ofd:CustomData Name="{name}">{escape(value)}</ofd:CustomData>' for name, value in pairs.items()
    )
    root = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016" Version="1.1" DocType="OFD"><ofd:DocBody><ofd:DocInfo>'
        f"<ofd:DocID>{face.number}</ofd:DocID><ofd:Title>{MARK}</ofd:Title>"
        f"<ofd:CustomDatas>{custom}</ofd:CustomDatas></ofd:DocInfo></ofd:DocBody></ofd:OFD>"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in (("OFD.xml", root.encode()), ("Doc_0/Attachs/original_invoice.xml", xml(face))):
            entry = zipfile.ZipInfo(name, face.issued_at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, data)
    return packed.getvalue()


def capitals(amount: Decimal) -> str:
    """大写 of an amount below 10¹²: `402.00` → 肆佰零贰圆整; a red one starts （负数）."""
    if amount < 0:
        return f"（负数）{capitals(-amount)}"
    digits, units = "零壹贰叁肆伍陆柒捌玖", ("", "拾", "佰", "仟")
    fen = int(amount * 100)
    whole, jiao, rest = fen // 100, fen // 10 % 10, fen % 10
    text, zero, text_whole = "", False, str(whole)
    for place, digit in enumerate(text_whole):
        power = len(text_whole) - 1 - place
        if digit == "0":
            zero = True
        else:
            text += ("零" if zero and text else "") + digits[int(digit)] + units[power % 4]
            zero = False
        if power and power % 4 == 0 and int(text_whole[max(0, place - 3) : place + 1]):
            text += ("", "万", "亿")[power // 4]
    text = f"{text}圆" if whole else ""
    if not jiao and not rest:
        return (text or "零圆") + "整"
    text += "零" if whole and (not jiao or whole % 10 == 0) else ""
    text += f"{digits[jiao]}角" if jiao else ""
    return text + (f"{digits[rest]}分" if rest else "整")


def _mark(canvas: Canvas) -> None:
    canvas.saveState()
    canvas.setFillColor(FAINT)
    canvas.setFont(_font(), 52)
    canvas.translate(PAGE[0] / 2, PAGE[1] / 2)
    canvas.rotate(25)
    canvas.drawCentredString(0, -18, MARK)
    canvas.restoreState()


def _head(canvas: Canvas, face: Face) -> None:
    # Error correction and mask are the library's; readers only care for the quiet zone.
    widget = QrCodeWidget(qr_payload(face), barWidth=22 * mm, barHeight=22 * mm, barLevel="M")
    drawing = Drawing(22 * mm, 22 * mm)
    drawing.add(widget)
    renderPDF.draw(drawing, canvas, 5 * mm, _from_top(27))
    _text(canvas, TITLES[face.line_kind], x=105, y=15, size=18, centred=True, colour=DARK_RED)
    _text(canvas, f"{MARK}·非税务凭证", x=105, y=24, size=9, centred=True)
    _text(canvas, f"发票号码：{face.number}", x=148, y=13, size=8.5)
    _text(canvas, f"开票日期：{face.issued_at:%Y年%m月%d日}", x=148, y=19, size=8.5)


def _parties(canvas: Canvas, face: Face) -> None:
    for x, title, name, number in (
        (5, "购买方", face.buyer_name, face.buyer_tax_no),
        (105, "销售方", face.seller_name, face.seller_tax_no),
    ):
        _box(canvas, x=x, y=30, width=100, height=18)
        _text(canvas, title, x=x + 1.5, y=36, size=7, colour=DARK_RED)
        for place, piece in enumerate(_wrapped(f"名称：{name}", width=82, size=8)[:2]):
            _text(canvas, piece, x=x + 14, y=35 + 4 * place, size=8)
        _text(canvas, f"统一社会信用代码/纳税人识别号：{number}", x=x + 14, y=46, size=7.5)


def _lines(canvas: Canvas, face: Face) -> None:
    _box(canvas, x=5, y=48, width=200, height=45)
    columns = (7, 72, 88, 98, 118, 140, 164, 182)
    names = ("项目名称", "规格型号", "单位", "数量", "单价", "金额", "税率/征收率", "税额")
    for x, name in zip(columns, names, strict=True):
        _text(canvas, name, x=x, y=52, size=7, colour=DARK_RED)
    room = 7
    for place, line in enumerate(face.lines[:room]):
        values = (
            _wrapped(line.name, width=63, size=7.5)[0],
            line.spec[:8],
            line.unit,
            _number(line.quantity),
            _number(line.price),
            str(line.excluded),
            _rate(line),
            "***" if line.policy in ("03", "04") else str(line.tax),
        )
        for x, value in zip(columns, values, strict=True):
            _text(canvas, value, x=x, y=57 + 4.4 * place, size=7.5)
    if len(face.lines) > room:
        _text(canvas, f"另有{len(face.lines) - room}行，见XML", x=7, y=91.5, size=7)


def _foot(canvas: Canvas, face: Face) -> None:
    _box(canvas, x=5, y=93, width=200, height=6)
    _text(canvas, "合计", x=7, y=97, size=8, colour=DARK_RED)
    _text(canvas, f"¥{face.excluded}", x=140, y=97, size=8)
    _text(canvas, f"¥{face.tax}", x=182, y=97, size=8)
    _box(canvas, x=5, y=99, width=200, height=7)
    _text(canvas, f"价税合计（大写） {capitals(face.included)}", x=7, y=104, size=8.5)
    _text(canvas, f"（小写） ¥{face.included}", x=144, y=104, size=8.5)
    _box(canvas, x=5, y=106, width=200, height=20)
    for place, piece in enumerate(_wrapped(f"备注：{face.remark}", width=190, size=8)[:4]):
        _text(canvas, piece, x=7, y=110.5 + 4 * place, size=8)
    _text(canvas, f"开票人：{face.clerk}", x=16, y=131, size=8)


def _rate(line: Line) -> str:
    named = {"03": "免税", "04": "不征税"}.get(line.policy)
    return named or f"{(line.rate * 100).normalize():f}%"


def _number(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def _from_top(y: float) -> float:
    return float(PAGE[1] - y * mm)


def _text(
    canvas: Canvas,
    text: str,
    *,
    x: float,
    y: float,
    size: float,
    centred: bool = False,
    colour: Color | None = None,
) -> None:
    canvas.setFillColor(colour or Color(0, 0, 0))
    canvas.setFont(_font(), size)
    (canvas.drawCentredString if centred else canvas.drawString)(x * mm, _from_top(y), text)


def _box(canvas: Canvas, *, x: float, y: float, width: float, height: float) -> None:
    canvas.setStrokeColor(DARK_RED)
    canvas.setLineWidth(0.5)
    canvas.rect(x * mm, _from_top(y + height), width * mm, height * mm)


def _wrapped(text: str, *, width: float, size: float) -> list[str]:
    pieces, piece = [], ""
    for letter in text:
        if pdfmetrics.stringWidth(piece + letter, _font(), size) > width * mm:
            pieces.append(piece)
            piece = ""
        piece += letter
    return [*pieces, piece]


@cache
def _font() -> str:
    for file in FONT_FILES:
        if Path(file).is_file():
            pdfmetrics.registerFont(TTFont("SandboxHei", file, subfontIndex=0))
            return "SandboxHei"
    # Not embedded, but it lets the simulator run on a machine without fonts.
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    return "STSong-Light"
