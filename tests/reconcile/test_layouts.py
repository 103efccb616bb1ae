"""Every layout found reads its sample: ``samples/<layout>/`` holds one bill and what it must add up to."""

import json
import os
from pathlib import Path

import pytest

from miniapp.reconcile.intake import BillRefused, inspect, read
from miniapp.reconcile.layouts import every_layout

SAMPLES = Path(__file__).parent / "samples"
# Real files of other projects, where somebody has them at hand: file below the folder -> layout, or the refusal.
REAL = {
    "wechatpay-axios-plugin/bill.ALL.csv": "wechat.trade.all",
    "wechatpay-go/trade_ALL_27col.csv.gz": "wechat.trade.all",
    "wechatpay-go/trade_REFUND_29col.csv": "wechat.trade.refund",
    "wechatpay-go/trade_SUCCESS_20col.csv": "wechat.trade.success",
    "wechatpay-go/fundflow.csv": "TRAILER_MISMATCH",
    "wechatpay-go/bad_row_amount_ALL.csv": "BAD_VALUE",
    "wechatpay-go/bad_summary_count.csv": "BAD_VALUE",
    "wxjava/trade_ALL_old_24col.csv": "wechat.trade.all.legacy",
    "wxjava/trade_ALL_27col.csv": "TRAILER_MISMATCH",
    "roncoo-pay/wechat_success_18col.csv": "TRAILER_MISMATCH",
    "double-entry-generator/wechat_example-wechat-records.xlsx": "WRONG_FILE",
    "double-entry-generator/alipay_example-alipay-records.csv": "WRONG_FILE",
}


@pytest.mark.parametrize("name", [each.name for each in every_layout()])
def test_layout_reads_its_sample(name: str) -> None:
    [file] = [each for each in (SAMPLES / name).iterdir() if each.name != "expected.json"]
    expected = json.loads((SAMPLES / name / "expected.json").read_text("utf-8"))

    found = inspect(file)

    assert {key: found[key] for key in expected} == expected
    assert found["layout"] == name


def test_a_layout_can_be_added_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(
        """
        name = "shop.trade"
        title = "收单明细"
        platform = "shop"
        bill = "trade"
        form = "table"
        recognise = ["单号", "类型", "金额", "时间", "收单行"]
        [kind]
        column = "类型"
        words = { "收" = "sale", "退" = "refund" }
        [columns]
        out_trade_no = { all = ["单号"], needed_by = ["sale"] }
        out_refund_no = { sale = [], refund = ["单号"] }
        amount_fen = { all = ["金额"], as = "yuan" }
        occurred_at = { all = ["时间"], as = "beijing_time" }
        """,
        "utf-8",
    )
    text = "时间,单号,类型,金额,收单行\n2026-11-23 10:00:00,S1,收,12.5,甲\n2026-11-23 11:00:00,R1,退,2,甲\n"

    bill = read(text.encode("gb18030"), folders=(tmp_path,))

    assert (bill.layout, bill.totals["sale"]["amount_fen"], bill.totals["refund"]["amount_fen"]) == (
        "shop.trade",
        1250,
        200,
    )


def test_real_files_are_read_or_refused() -> None:
    folder = Path(os.environ.get("MINIAPP_REAL_BILLS", "no-such-folder"))
    for name, outcome in REAL.items():
        if (folder / name).exists():
            try:
                found = str(inspect(folder / name)["layout"])
            except BillRefused as refused:
                found = refused.code
            assert found == outcome, name
