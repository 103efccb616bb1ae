"""`reconcile compare`, whole process, against a floor in the same run: DuckDB only counting the rows of the same two files.

    python -m benchmarks.reconcile_compare [--rows 1000000] [--runs 3] [--table] [--memory 1.5GB]

Makes a seeded ledger and a WeChat bill of 27 columns in a temporary folder (0.5 % of the rows differ), runs floor and compare
in turn, prints the least of each, their ratio and the peak memory. ``--table`` goes from 10^4 to 10^6 rows.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

DAY = "2026-11-23"
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,"
    "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
TRAILER = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
LEDGER = "out_trade_no,out_refund_no,occurred_at,store,terminal,platform,kind,amount_fen,status"
FLOOR = """
import duckdb, sys
con = duckdb.connect()
for path in sys.argv[1:3]:
    con.execute("SELECT count(*) FROM read_csv(?, delim=',', quote='', header=true, all_varchar=true, null_padding=true)", [path])
"""
COMPARE = """
import sys
from datetime import date
from pathlib import Path
from miniapp.reconcile.comparing import compare
result = compare(
    Path(sys.argv[1]), [Path(sys.argv[2])], date(2026, 11, 23), None, 3, Path(sys.argv[3]), memory=sys.argv[4] or None
)
print(len(result["differences"]))
"""


@dataclass(frozen=True)
class Took:
    """One process: wall and processor seconds, peak memory in MB, what it printed."""

    seconds: float
    processor: float
    peak_mb: int
    said: str


def make_files(folder: Path, rows: int, *, seed: int = 7) -> tuple[Path, Path]:
    """A ledger and a bill: 2 % refunds; of 1,000 rows two lack a side, two differ in amount, one is doubled."""
    dice = random.Random(seed)
    ledger, bill = folder / f"ledger-{rows}.csv", folder / f"bill-{rows}.csv"
    settled = refunded = fees = count = 0
    with ledger.open("w", newline="") as book, bill.open("w", newline="") as paper:
        book.write(LEDGER + "\n")
        paper.write(HEADER + "\r\n")
        for number in range(rows):
            fen, refund = dice.randrange(100, 100_000), number % 50 == 49
            fee = (fen * 6 + 500) // 1000 * 1000
            line = _bill_line(number, fen, fee, refund=refund)
            luck = number % 1000
            for _ in range(2 if luck == 500 else 0 if luck == 501 else 1):
                paper.write(line)
                count += 1
                settled += 0 if refund else fen
                refunded += fen if refund else 0
                fees += -fee if refund else fee
            if luck != 502:
                book.write(_ledger_line(number, fen + (luck in (503, 504)), refund=refund))
        figures = [
            str(count),
            _yuan(settled),
            _yuan(refunded),
            "0.00",
            _fee(fees),
            _yuan(settled),
            _yuan(refunded),
        ]
        paper.write(f"{TRAILER}\r\n`{',`'.join(figures)}\r\n")
    return ledger, bill


def main() -> int:
    """Print one measurement, or the table; 1 where a ratio is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", default="")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--limit", type=float, default=4.0)
    options = parser.parse_args()
    sizes = [10_000, 100_000, 1_000_000] if options.table else [options.rows]
    print("rows      floor s  compare s  ratio  processor ratio  floor MB  compare MB  differences")
    with tempfile.TemporaryDirectory() as name:
        ratios = [_measure(Path(name), rows, options.runs, options.memory) for rows in sizes]
    print(f"limit {options.limit}")
    return 0 if max(ratios) <= options.limit else 1


def _measure(folder: Path, rows: int, runs: int, memory: str) -> float:
    ledger, bill = make_files(folder, rows)
    floors, compares = [], []
    for _ in range(runs):  # in turn, so that a busy machine is busy for both
        floors.append(_run(FLOOR, str(bill), str(ledger)))
        compares.append(_run(COMPARE, str(ledger), str(bill), str(folder / "out"), memory))
    floor = min(floors, key=lambda each: each.seconds)
    ours = min(compares, key=lambda each: each.seconds)
    processor = min(each.processor for each in compares) / min(each.processor for each in floors)
    print(
        f"{rows:<9} {floor.seconds:7.2f}  {ours.seconds:9.2f}  {ours.seconds / floor.seconds:5.2f}  {processor:15.2f}  "
        f"{floor.peak_mb:8}  {max(each.peak_mb for each in compares):10}  {ours.said}"
    )
    return ours.seconds / floor.seconds


def _run(code: str, *arguments: str) -> Took:
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read().strip() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"a measured process failed: {status}")
    return Took(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, said)


def _bill_line(number: int, fen: int, fee: int, *, refund: bool) -> str:
    cells = [
        *(
            f"{DAY} {number % 24:02d}:{number % 60:02d}:{number % 59:02d}",
            "wx8888888888888888",
            "1900000109",
            "0",
        ),
        *(
            "S001-P03",
            f"42000024682026112{number:013d}",
            _order(number),
            "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
            "MICROPAY",
        ),
        *("REFUND" if refund else "SUCCESS", "CCB_DEBIT", "CNY", "0.00" if refund else _yuan(fen), "0.00"),
        *((f"5030010{number}", f"R-{_order(number)}", _yuan(fen)) if refund else ("0", "0", "0.00")),
        *("0.00", *(("ORIGINAL", "SUCCESS") if refund else ("", "")), "92号汽油", "S001|P03|10001"),
        *(
            _fee(-fee if refund else fee),
            "0.60%",
            "0.00" if refund else _yuan(fen),
            _yuan(fen) if refund else "0.00",
            "",
        ),
    ]
    return f"`{',`'.join(cells)}\r\n"


def _ledger_line(number: int, fen: int, *, refund: bool) -> str:
    back = f"R-{_order(number)}" if refund else ""
    kind = "refund" if refund else "sale"
    return f"{_order(number)},{back},{DAY} {number % 24:02d}:00:00,S{number % 400:03d},P03,wechat,{kind},{fen},success\n"


def _order(number: int) -> str:
    return f"S{number % 400:03d}20261123{number:08d}"


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _fee(fee: int) -> str:
    return f"{'-' if fee < 0 else ''}{abs(fee) // 100_000}.{abs(fee) % 100_000:05d}"


if __name__ == "__main__":
    raise SystemExit(main())
