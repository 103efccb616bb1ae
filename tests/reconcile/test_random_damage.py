"""Files damaged at random are refused or read, never anything else; what is read is what a plain reader reads.

``MINIAPP_DAMAGED_FILES`` sets how many are tried; each is named by its seed.
"""

import csv
import gzip
import os
import random
from decimal import Decimal
from pathlib import Path

import pytest

from miniapp.reconcile.intake import BillRefused, inspect
from miniapp.reconcile.refusing import CODES
from tests.reconcile.papers import Row, alipay, gbk_zip, put, wechat, zm

COUNT = int(os.environ.get("MINIAPP_DAMAGED_FILES", "60"))
PIECES = [
    b"`",
    b",",
    b"\n",
    b"\r",
    b'"',
    b"\t",
    b"\x00",
    b"\xff",
    b"#",
    b"E+",
    b"0",
    b"a",
    b" ",
    "，".encode(),
    b"\x1f",
]


def _papers(folder: Path) -> list[bytes]:
    rows = [Row("sale", f"S{n}", 100 * n + 1, coupon=n % 3, fee=1000 * n) for n in range(1, 6)]
    rows += [Row("refund", "S1", 50, refund="R1"), Row("sale", "S9", 5), Row("revocation", "S9", 5)]
    mine = [row for row in rows if row.kind != "revocation"]
    return [
        wechat(rows).encode(),
        wechat(rows, end="\n").encode("utf-8-sig"),
        wechat(rows).encode("gb18030"),
        alipay(mine).encode("gb18030"),
        alipay(mine).encode(),
        zm(rows),
        gzip.compress(wechat(rows).encode()),
        gbk_zip(folder / "z", {"业务明细.csv": alipay(mine)}).read_bytes(),
    ]


def _damaged(dice: random.Random, data: bytes) -> bytes:
    for _ in range(dice.choice((1, 1, 2, 3))):
        at = dice.randrange(len(data))
        end = min(len(data), at + dice.choice((0, 1, 1, 2, 40)))
        match dice.randrange(6):
            case 0:
                data = data[:at] + dice.choice(PIECES) + data[at:]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:at] + dice.choice(PIECES) + data[end:]
            case 3:
                lines = data.split(b"\n")
                lines.insert(dice.randrange(len(lines)), dice.choice(lines))
                data = b"\n".join(lines)
            case 4:
                lines = data.split(b"\n")
                lines.pop(dice.randrange(len(lines)))
                data = b"\n".join(lines)
            case _:
                data = data[:at] if dice.random() < 0.3 else data[:at] + data[at : at + 30] + data[at:]
        if not data:
            return b"x"
    return data


@pytest.mark.parametrize("seed", range(COUNT))
def test_damaged_files_are_refused_or_read(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    for number, good in enumerate(_papers(tmp_path)):
        data = _damaged(dice, good)
        file = put(tmp_path / f"INN26112401ZM_{number}", data)
        try:
            found = inspect(file)
        except BillRefused as refused:
            answer = refused.as_json()
            assert answer["code"] in CODES and answer["message"] and answer["hint"]
            continue
        if found["layout"] == "wechat.trade.all" and found["compression"] is None:
            assert (found["rows"], found["totals"]["sale"]["amount_fen"]) == _plainly(
                data, found["encoding"]
            ), data


def _plainly(data: bytes, encoding: str) -> tuple[int, int]:
    """Rows and sum of sales, read with no library of ours; a stray carriage return is no line's end."""
    lines = [line.strip("\r") for line in data.decode(encoding).split("\n")]
    header = next(csv.reader([lines[0]]))
    body = [line for line in lines[1:] if line.strip()][:-2]
    rows = [
        line[1:].split(",`") if line.startswith("`") else line.replace("`", "").split(",") for line in body
    ]
    at = header.index("订单金额")
    return len(rows), sum(int(Decimal(row[at]) * 100) for row in rows)
