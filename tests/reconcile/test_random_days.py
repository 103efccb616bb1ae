"""Random days with every kind of damage at once: the set-based match equals the slow reference, row by row and to the fen.

``MINIAPP_RANDOM_DAYS`` sets how many chains of three days are tried; each is named by its seed.
"""

import os
import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from miniapp.reconcile.comparing import compare
from tests.reconcile import reference
from tests.reconcile.papers import Row, Sale, alipay, ledger, put, wechat

CHAINS = int(os.environ.get("MINIAPP_RANDOM_DAYS", "12"))
FIRST = date(2026, 11, 21)
STATES = ("SUCCESS", "PROCESSING", "FAIL", "REFUNDCLOSE", "CHANGE")


@pytest.mark.parametrize("seed", range(CHAINS))
def test_three_random_days_equal_the_reference(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    carry_days = dice.choice((0, 1, 3))
    truth = {FIRST + timedelta(offset): _truth(dice, FIRST + timedelta(offset)) for offset in range(3)}
    everything = [sale for rows in truth.values() for sale in rows]
    before: Path | None = None
    carried: dict[reference.Key, reference.Carried] = {}
    for day in truth:
        sales = _damaged_ledger(dice, everything, day)
        bills = {
            name: _bill(dice, truth[day], name, day) for name in ("wechat", "alipay") if dice.random() < 0.85
        }
        out = tmp_path / day.isoformat()
        found = compare(*_files(tmp_path, sales, bills, day), day, before, carry_days, out)
        want = reference.compare(ledger=sales, bills=bills, day=day, previous=carried, carry_days=carry_days)
        _equal(found, want, bills, sales, day)
        before, carried = out, want["carried"]


def _truth(dice: random.Random, day: date) -> list[Sale]:
    """What was really sold and given back: few numbers, so that they meet again."""
    rows: list[Sale] = []
    for _ in range(dice.randrange(0, 14)):
        platform = dice.choice(("wechat", "alipay"))
        order = f"S{dice.randrange(40)}"
        status = "revoked" if dice.random() < 0.15 else "success"
        sale = Sale(
            order, dice.choice((100, 200, 333)), platform=platform, status=status, day=day.isoformat()
        )
        rows.append(sale)
        if dice.random() < 0.5:
            number = "" if platform == "alipay" and dice.random() < 0.4 else f"R{dice.randrange(30)}"
            back = sale.fen if dice.random() < 0.4 else 50
            rows.append(replace(sale, kind="refund", refund=number, fen=back, status="success"))
    return rows


def _damaged_ledger(dice: random.Random, rows: list[Sale], day: date) -> list[Sale]:
    out: list[Sale] = []
    for row in rows:
        luck = dice.random()
        if luck < 0.1:
            continue
        if luck < 0.18:
            row = replace(row, fen=row.fen + 1)
        elif luck < 0.24:
            row = replace(row, status="success" if row.status == "revoked" else "revoked")
        elif luck < 0.32:
            row = replace(row, day=(day + timedelta(dice.randrange(-5, 3))).isoformat())
        out.append(row)
        if luck > 0.94:
            out.append(replace(row, fen=row.fen + dice.randrange(2)))
    dice.shuffle(out)
    return out


def _bill(dice: random.Random, rows: list[Sale], platform: str, day: date) -> list[Row]:
    out = [Row("sale", "ALWAYS", 1, day=day.isoformat())]
    for sale in rows:
        if sale.platform != platform or dice.random() < 0.12:
            continue
        fen = sale.fen + (1 if dice.random() < 0.08 else 0)
        row = Row(
            sale.kind, sale.order, fen, refund=sale.refund, day=day.isoformat(), state=dice.choice(STATES)
        )
        if row.kind == "sale" or row.refund or platform == "alipay":
            out.append(row)
        if dice.random() < 0.08:
            out.append(row)
        if sale.status == "revoked" and dice.random() < 0.8:
            out.append(replace(row, kind="revocation" if platform == "wechat" else "refund", refund=""))
            if dice.random() < 0.2:
                out.remove(row)
    dice.shuffle(out)
    return out


def _files(
    folder: Path, sales: list[Sale], bills: dict[str, list[Row]], day: date
) -> tuple[Path, list[Path]]:
    paths = []
    if "wechat" in bills:
        paths.append(put(folder / f"w-{day}.csv", wechat(bills["wechat"])))
    if "alipay" in bills:
        paths.append(put(folder / f"a-{day}.csv", alipay(bills["alipay"], first=day.isoformat()), "gb18030"))
    return put(folder / f"l-{day}.csv", ledger(sales)), paths


def _equal(
    found: dict[str, Any], want: dict[str, Any], bills: dict[str, list[Row]], sales: list[Sale], day: date
) -> None:
    names = ("reasons", "ledger_fen", "bill_fen", "state", "since")
    differences = {
        (d["platform"], d["kind"], d["key"], d.get("out_trade_no", "")): {name: d[name] for name in names}
        for d in found["differences"]
    }
    assert differences == want["differences"]
    assert list(differences) == sorted(differences)
    assert [(c["platform"], c["kind"], c["key"]) for c in found["cleared"]] == [
        key[:3] for key in want["cleared"]
    ]
    for platform in bills:
        totals = found["platforms"][platform]
        for kind in ("sale", "refund"):
            count, fen = want["matched"].get((platform, kind), (0, 0))
            assert totals["matched"][kind] == {"count": count, "amount_fen": fen}
            mine = [s.fen for s in sales if (s.platform, s.kind, s.day) == (platform, kind, day.isoformat())]
            assert totals["ledger"][kind] == {"count": len(mine), "amount_fen": sum(mine)}
        states = [d["state"] for d in found["differences"] if d["platform"] == platform]
        assert (totals["open"], totals["carried_over"]) == (
            states.count("open"),
            states.count("carried_over"),
        )
