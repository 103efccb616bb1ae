"""QR codes: as rows of 0 and 1, as PNG, and the text that an invoice's code carries."""

import io
from functools import lru_cache

from PIL import Image
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

from miniapp.core.money import yuan
from miniapp.printing.documents import OFFICIAL_NUMBER, InvoiceSheet

QUIET_ZONE = 4
"""Modules of white that readers need on each side."""

# Choosing the best mask costs most of the time; every mask is valid, its number stands in the code.
_MASK = 3
_KIND_CODES = {"ordinary": "32", "special": "31"}


@lru_cache(maxsize=64)
def matrix(text: str) -> tuple[str, ...]:
    """The code's rows from top to bottom, ``1`` is dark, without the quiet zone."""
    code = QRCode(error_correction=ERROR_CORRECT_M, mask_pattern=_MASK, border=0)
    code.add_data(text)
    code.make(fit=True)
    return tuple("".join("1" if dark else "0" for dark in row) for row in code.get_matrix())


def png(text: str, *, scale: int = 8) -> bytes:
    """The code with its quiet zone as a black and white PNG, ``scale`` pixels a module."""
    rows = matrix(text)
    small = Image.new("1", (len(rows) + 2 * QUIET_ZONE,) * 2, color=1)
    for y, row in enumerate(rows):
        for x, module in enumerate(row):
            if module == "1":
                small.putpixel((x + QUIET_ZONE, y + QUIET_ZONE), 0)
    picture = io.BytesIO()
    size = small.width * scale
    small.resize((size, size), Image.Resampling.NEAREST).save(picture, "PNG", optimize=True)
    return picture.getvalue()


def invoice_text(sheet: InvoiceSheet) -> str:
    """What the code of an invoice says: the bureau's eight fields, or for our own numbers the number alone."""
    if not OFFICIAL_NUMBER.fullmatch(sheet.number):
        return sheet.number
    kind, total = _KIND_CODES[sheet.kind], yuan(sheet.total_fen)
    head = f"01,{kind},,{sheet.number},{total},{sheet.issued_on:%Y%m%d},,"
    return f"{head}{checksum(head):04X}"


def checksum(text: str) -> int:
    """CRC-16 with polynomial 8005, start 0, nothing reflected: found by trial on published invoices."""
    crc = 0
    for byte in text.encode("ascii"):
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x8005 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc
