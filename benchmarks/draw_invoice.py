"""What our drawing costs: `draw()` against the same page in one flat function, in the same run.

Each round draws invoices that were not drawn before. Prints the ratio; exits 1 above the limit (default 1.3).
"""

import argparse
import io
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

from pypdf import PdfReader
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from miniapp.printing.documents import InvoiceSheet, Party, SheetLine
from miniapp.printing.invoice_pdf import draw

MM = 72 / 25.4
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")


# The page as numbers: lines (x, y, x, y) and labels (x, y, size, align, text) in millimetres from the top left.
RULES = (
    (74, 18.3, 136, 18.3), (74, 19.4, 136, 19.4), (4.6, 47, 205.4, 47), (4.6, 93, 205.4, 93),
    (4.6, 100, 205.4, 100), (10.6, 29, 10.6, 47), (105, 29, 105, 47), (111, 29, 111, 47),
    (52.4, 93, 52.4, 100), (10.6, 100, 10.6, 122),
    (56, 97.7, 58.4, 95.3), (56, 95.3, 58.4, 97.7),
)  # fmt: skip
LABELS = (
    (105, 15, 18.5, 0.5, "电子发票（普通发票）"), (105, 24.5, 10, 0.5, "样票　非税务凭证"),
    (150, 12, 9, 0, "发票号码："), (150, 18, 9, 0, "开票日期："), (12.1, 35, 9, 0, "名称："),
    (12.1, 43.8, 9, 0, "统一社会信用代码/纳税人识别号："), (112.5, 35, 9, 0, "名称："),
    (112.5, 43.8, 9, 0, "统一社会信用代码/纳税人识别号："), (5.4, 51.6, 9, 0, "项目名称"),
    (41.8, 51.6, 9, 0, "规格型号"), (72, 51.6, 9, 0.5, "单  位"), (103.6, 51.6, 9, 1, "数  量"),
    (129.3, 51.6, 9, 1, "单  价"), (155, 51.6, 9, 1, "金  额"), (167.1, 51.6, 9, 0.5, "税率/征收率"),
    (204.6, 51.6, 9, 1, "税  额"), (22.6, 91.2, 9, 0.5, "合        计"), (28.5, 97.7, 9, 0.5, "价税合计（大写）"),
    (147, 97.7, 10, 0, "（小写）"), (16, 128.5, 9, 0, "开票人："),
    *((7.6, 32.2 + 3.3 * place, 9, 0.5, sign) for place, sign in enumerate("购买方信息")),
    *((108, 32.2 + 3.3 * place, 9, 0.5, sign) for place, sign in enumerate("销售方信息")),
    (7.6, 108, 9, 0.5, "备"), (7.6, 115, 9, 0.5, "注"),
)  # fmt: skip


def sheet(serial: int) -> InvoiceSheet:
    """One invoice of one line, unlike all others."""
    line = SheetLine(
        name="*汽油*92号车用汽油（VIB）",
        net_fen=19469,
        tax_fen=2531,
        tax_rate=Decimal("0.13"),
        spec="92#",
        unit="升",
        quantity=Decimal("32.11678832"),
        unit_price=Decimal("6.06193864"),
    )
    return InvoiceSheet(
        number=f"YP{serial:08d}",
        issued_on=date(2026, 11, 24),
        kind="ordinary",
        buyer=Party(f"上海示例商贸有限公司第{serial}部", "91310104084123648T"),
        seller=Party("上海示例石油销售有限公司", "91350100M000100Y43"),
        lines=(line,),
        remark=f"订单号：{serial:014d}",
        issuer_name="收银员甲",
        specimen=True,
    )


def flat(serial: int) -> bytes:
    """The same page with everything written out: no sheet, no fitting, no choice of font."""
    file = io.BytesIO()
    canvas = Canvas(file, (210 * MM, 140 * MM), initialFontName="Flat", invariant=1, pageCompression=1)
    canvas.setTitle(f"样票 YP{serial:08d}")
    canvas.setAuthor("上海示例石油销售有限公司")
    canvas.setStrokeColorRGB(0.502, 0, 0)
    canvas.setLineWidth(0.6)
    code = QRCode(error_correction=ERROR_CORRECT_M, mask_pattern=3, border=0)
    code.add_data(f"YP{serial:08d}")
    code.make(fit=True)
    modules = code.get_matrix()
    side = 20 * MM / len(modules)
    path = canvas.beginPath()
    for y, row in enumerate(modules):
        x = 0
        while x < len(row):
            start = x
            while x < len(row) and row[x]:
                x += 1
            if x > start:
                path.rect(6 * MM + start * side, 135 * MM - (y + 1) * side, (x - start) * side, side)
            x += 1
    canvas.drawPath(path, stroke=0, fill=1)
    for x1, y1, x2, y2 in RULES:
        canvas.line(x1 * MM, (140 - y1) * MM, x2 * MM, (140 - y2) * MM)
    canvas.rect(4.6 * MM, 18 * MM, 200.8 * MM, 93 * MM)
    canvas.circle(57.2 * MM, 43.5 * MM, 1.7 * MM)
    canvas.setFillColorRGB(0.502, 0, 0)
    for x, y, size, align, text in LABELS:
        canvas.setFont("Flat", size)
        left = x * MM - align * pdfmetrics.stringWidth(text, "Flat", size)
        canvas.drawString(left, (140 - y) * MM, text)
    canvas.setFillColorRGB(0, 0, 0)
    for x, y, size, align, text in (
        (165.9, 12, 9, 0, f"YP{serial:08d}"), (165.9, 18, 9, 0, "2026年11月24日"),
        (21.6, 35, 9, 0, f"上海示例商贸有限公司第{serial}部"), (61.4, 43.8, 9, 0, "91310104084123648T"),
        (122, 35, 9, 0, "上海示例石油销售有限公司"), (161.8, 43.8, 9, 0, "91350100M000100Y43"),
        (5.4, 56.4, 9, 0, "*汽油*92号车用汽油"), (5.4, 60.2, 9, 0, "（VIB）"), (41.8, 56.4, 9, 0, "92#"),
        (72, 56.4, 9, 0.5, "升"), (103.6, 56.4, 9, 1, "32.11678832"), (129.3, 56.4, 9, 1, "6.06193864"),
        (155, 56.4, 9, 1, "194.69"), (167.1, 56.4, 9, 0.5, "13%"), (204.6, 56.4, 9, 1, "25.31"),
        (155, 91.2, 9, 1, "¥194.69"), (204.6, 91.2, 9, 1, "¥25.31"), (60.4, 97.7, 10, 0, "贰佰贰拾圆整"),
        (161.1, 97.7, 10, 0, "¥220.00"), (12.1, 104, 9, 0, f"订单号：{serial:014d}"), (28.7, 128.5, 9, 0, "收银员甲"),
    ):  # fmt: skip
        canvas.setFont("Flat", size)
        left = x * MM - align * pdfmetrics.stringWidth(text, "Flat", size)
        canvas.drawString(left, (140 - y) * MM, text)
    canvas.setFillAlpha(0.13)
    for x, y, size, text in ((105, 72, 125, "样  票"), (115, 104, 34, "非税务凭证")):
        canvas.saveState()
        canvas.translate(x * MM, (140 - y) * MM)
        canvas.rotate(20)
        canvas.setFont("Flat", size)
        canvas.drawCentredString(0, -0.36 * size, text)
        canvas.restoreState()
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def seconds(draw_one: Callable[[int], object], serials: range) -> float:
    """CPU seconds for one invoice."""
    start = time.process_time()
    for serial in serials:
        draw_one(serial)
    return (time.process_time() - start) / len(serials)


def characters(pdf: bytes) -> list[str]:
    """Everything written on the first page, in no order."""
    return sorted("".join(PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split()))


def main() -> int:
    """Best of the rounds for each side, and their ratio."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--invoices", type=int, default=40)
    options.add_argument("--limit", type=float, default=1.3)
    given = options.parse_args()
    pdfmetrics.registerFont(TTFont("Flat", str(FONT)))
    if characters(flat(0)) != characters(draw(sheet(0))):
        raise SystemExit("the two pages differ")
    rounds = [
        range(start, start + given.invoices)
        for start in range(0, given.rounds * given.invoices, given.invoices)
    ]
    sheets = {serial: sheet(serial) for serials in rounds for serial in serials}
    ours, floor = [], []
    for serials in rounds:
        floor.append(seconds(flat, serials))
        ours.append(seconds(lambda serial: draw(sheets[serial]), serials))
    ratio = min(ours) / min(floor)
    print(
        f"draw {min(ours) * 1000:.2f} ms, flat {min(floor) * 1000:.2f} ms, ratio {ratio:.2f}, limit {given.limit}"
    )
    return 0 if ratio <= given.limit else 1


if __name__ == "__main__":
    raise SystemExit(main())
