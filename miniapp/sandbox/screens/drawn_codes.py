"""Codes as SVG pictures: the bars and the square of a payment code."""

from __future__ import annotations

import qrcode
from reportlab.graphics.barcode import code128

QUIET = 4


def square(text: str) -> str:
    """A QR code with its quiet zone."""
    code = qrcode.QRCode(border=0, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    code.make()
    rows = code.get_matrix()
    size = len(rows) + 2 * QUIET
    cells = "".join(
        f"M{x + QUIET} {y + QUIET}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, dark in enumerate(row)
        if dark
    )
    return _picture(size, size, cells, "二维码")


def bars(digits: str) -> str:
    """Code 128 of digits, as cashiers' scanners read it."""
    drawn = code128.Code128(digits)
    drawn.validate()
    drawn.encode()
    drawn.decompose()
    at, cells = 10, ""
    for letter in drawn.decomposed:  # capital letters are bars, small ones gaps, a to d their widths
        width = "abcd".index(letter.lower()) + 1
        if letter.isupper():
            cells += f"M{at} 0h{width}v60h-{width}z"
        at += width
    return _picture(at + 10, 60, cells, "条形码", stretched=True)


def _picture(width: int, height: int, path: str, name: str, *, stretched: bool = False) -> str:
    fit = ' preserveAspectRatio="none"' if stretched else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{name}"'
        f' shape-rendering="crispEdges"{fit}><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<path d="{path}" fill="#000"/></svg>'
    )
