"""WeChat Pay v3: signed requests and answers, the trade bill byte for byte."""

import base64
import gzip
import hashlib
import secrets
import time
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from miniapp.sandbox import wechat_bill_file
from miniapp.sandbox.wechat_parties import Merchant
from miniapp.sandbox.world import BEIJING, World, stamp
from tests.sandbox.conftest import MCH_ID, Sandbox, number
from tests.sandbox.test_wechat_door_pay import charge, refund

SAMPLE = """交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注
`2026-11-23 08:12:45,`wx8888888888888888,`1900000109,`0,`S001-P03,`4200002468202611231234567801,`S001202611230001,`oUpF8uMuAJO_M2pxb1Q9zNjWeS6o,`MICROPAY,`SUCCESS,`CCB_DEBIT,`CNY,`300.00,`0.00,`0,`0,`0.00,`0.00,`,`,`92号汽油,`S001|P03|10001,`1.80000,`0.60%,`300.00,`0.00,`
`2026-11-23 09:03:10,`wx8888888888888888,`1900000109,`0,`S001-P01,`4200002468202611231234567802,`S001202611230002,`oUpF8uN95-Ptaags6E_roPHg7AG0,`MICROPAY,`SUCCESS,`OTHERS,`CNY,`290.00,`0.00,`0,`0,`0.00,`0.00,`,`,`95号汽油,`S001|P01|10002,`1.74000,`0.60%,`300.00,`0.00,`
`2026-11-23 09:40:02,`wx8888888888888888,`1900000109,`0,`S002-P02,`4200002468202611231234567803,`S002202611230007,`oUpF8uN95-Ptaags6E_roPHg7AG1,`MICROPAY,`SUCCESS,`CFT,`CNY,`200.00,`20.00,`0,`0,`0.00,`0.00,`,`,`0号柴油,`S002|P02|20007,`1.20000,`0.60%,`200.00,`0.00,`
`2026-11-23 10:15:33,`wx8888888888888888,`1900000109,`0,`S001-P03,`4200002468202611231234567801,`S001202611230001,`oUpF8uMuAJO_M2pxb1Q9zNjWeS6o,`MICROPAY,`REFUND,`CCB_DEBIT,`CNY,`0.00,`0.00,`50300102462026112312345678901,`R-S001202611230001-1,`50.00,`0.00,`ORIGINAL,`SUCCESS,`92号汽油,`S001|P03|10001,`-0.30000,`0.60%,`0.00,`50.00,`
`2026-11-23 11:20:05,`wx8888888888888888,`1900000109,`0,`S003-P04,`4200002468202611231234567804,`S003202611230011,`oUpF8uN95-Ptaags6E_roPHg7AG2,`MICROPAY,`SUCCESS,`OTHERS,`CNY,`150.00,`0.00,`0,`0,`0.00,`0.00,`,`,`92号汽油,`S003|P04|30011,`0.90000,`0.60%,`150.00,`0.00,`
`2026-11-23 11:21:00,`wx8888888888888888,`1900000109,`0,`S003-P04,`4200002468202611231234567804,`S003202611230011,`oUpF8uN95-Ptaags6E_roPHg7AG2,`MICROPAY,`REVOKED,`OTHERS,`CNY,`0.00,`0.00,`50300102462026112312345678902,`0,`150.00,`0.00,`ORIGINAL,`SUCCESS,`92号汽油,`S003|P04|30011,`-0.90000,`0.60%,`0.00,`150.00,`
总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额
`6,`940.00,`200.00,`0.00,`4.44000,`950.00,`200.00
"""
SAMPLE_SHA1 = "ae7958d7be6a79e4cf1e3d2f30836638f35f793c"


def test_the_protocols_sample_file_byte_for_byte(tmp_path: Path):
    world = World(tmp_path)
    people = ["oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uN95-Ptaags6E_roPHg7AG0"]
    people += ["oUpF8uN95-Ptaags6E_roPHg7AG1", "oUpF8uN95-Ptaags6E_roPHg7AG2"]
    sales = [
        ("08:12:45", "S001202611230001", "S001-P03", "CCB_DEBIT", 30_000, 0, 0, "92号汽油", "S001|P03|10001"),
        ("09:03:10", "S001202611230002", "S001-P01", "OTHERS", 30_000, 1000, 0, "95号汽油", "S001|P01|10002"),
        ("09:40:02", "S002202611230007", "S002-P02", "CFT", 20_000, 0, 2000, "0号柴油", "S002|P02|20007"),
        ("11:20:05", "S003202611230011", "S003-P04", "OTHERS", 15_000, 0, 0, "92号汽油", "S003|P04|30011"),
    ]
    for index, (at, mine, device, bank, fen, merchant, platform, subject, attach) in enumerate(sales):
        world.store.insert(
            "payments",
            platform="wechat", merchant=MCH_ID, app_id="wx8888888888888888", out_trade_no=mine,
            trade_no=f"420000246820261123123456780{index + 1}", person="customer_a", payer=people[index],
            state="paid", amount_fen=fen, merchant_discount_fen=merchant, platform_discount_fen=platform,
            subject=subject, attach=attach, device=device, bank=bank, created_at=day_time(at), paid_at=day_time(at),
        )  # fmt: skip
    for payment_id, at, kind, refund_no, last, fen in [
        (1, "10:15:33", "refund", "R-S001202611230001-1", 1, 5000),
        (4, "11:21:00", "cancel", "", 2, 15_000),
    ]:
        world.store.insert(
            "refunds",
            payment_id=payment_id, kind=kind, refund_no=refund_no, amount_fen=fen, created_at=day_time(at),
            done_at=day_time(at), platform_refund_no=f"5030010246202611231234567890{last}",
        )  # fmt: skip
    day = datetime(2026, 11, 23, tzinfo=BEIJING).date()
    rows = wechat_bill_file.rows_of(world, Merchant(MCH_ID, "k"), day)
    made = wechat_bill_file.render(rows, "ALL")
    assert made.decode().replace("\r\n", "\n") == SAMPLE
    assert hashlib.sha1(made).hexdigest() == SAMPLE_SHA1
    world.store.close()


def day_time(clock: str) -> str:
    return stamp(datetime.fromisoformat(f"2026-11-23T{clock}+08:00"))


def get(sandbox: Sandbox, url: str, **changed: str) -> requests.Response:
    parts = urlsplit(url)
    target = parts.path.removeprefix("/wechat-pay") + (f"?{parts.query}" if parts.query else "")
    stamped, nonce = changed.get("timestamp", str(int(time.time()))), secrets.token_hex(16)
    text = f"GET\n{changed.get('target', target)}\n{stamped}\n{nonce}\n\n".encode()
    key = serialization.load_pem_private_key(sandbox.merchant_keys.private.encode(), None)
    signature = base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
    header = f'mchid="{MCH_ID}",nonce_str="{nonce}",signature="{signature}",timestamp="{stamped}",serial_no="{sandbox.serial}"'
    headers = {"Authorization": f"WECHATPAY2-SHA256-RSA2048 {header}", "Accept": "application/json"}
    return requests.get(url, headers=headers, timeout=30)


def bill(sandbox: Sandbox, day: str, more: str = "") -> requests.Response:
    return get(sandbox, f"{sandbox.base}/wechat-pay/v3/bill/tradebill?bill_date={day}&bill_type=ALL{more}")


def verified(sandbox: Sandbox, answer: requests.Response) -> dict:
    text = f"{answer.headers['Wechatpay-Timestamp']}\n{answer.headers['Wechatpay-Nonce']}\n".encode()
    key = serialization.load_pem_public_key(sandbox.platform_keys.public.encode())
    signature = base64.b64decode(answer.headers["Wechatpay-Signature"])
    key.verify(signature, text + answer.content + b"\n", padding.PKCS1v15(), hashes.SHA256())
    assert answer.headers["Wechatpay-Serial"] == "PUB_KEY_ID_0119000001092024"
    return answer.json()


def beijing_day(sandbox: Sandbox) -> datetime:
    return datetime.fromisoformat(sandbox.get("/control/clock")["beijing"])


@pytest.fixture
def sold(sandbox: Sandbox) -> tuple[str, str]:
    """One sale with a part of it given back today; the clock stands at tomorrow 10:30. Number and bill date."""
    mine = number()
    charge(sandbox, mine, sandbox.code(), device_info="S001-P03", attach="S001|P03|1")
    refund(sandbox, mine, number(), 800)
    day = f"{beijing_day(sandbox):%Y-%m-%d}"
    sandbox.post("/control/clock", {"tomorrow": "10:30"})
    return mine, day


def test_bill_is_fetched_next_morning_with_every_proof(sandbox: Sandbox, sold: tuple[str, str]):
    mine, day = sold
    answer = verified(sandbox, bill(sandbox, day))
    file = get(sandbox, answer["download_url"])
    assert "Wechatpay-Signature" not in file.headers
    assert hashlib.sha1(file.content).hexdigest() == answer["hash_value"]
    rows = [line for line in file.content.decode().split("\r\n") if mine in line]
    assert [row.split(",`")[9] for row in rows] == ["SUCCESS", "REFUND"]
    assert all(len(row.split(",`")) == 27 for row in rows)
    packed = verified(sandbox, bill(sandbox, day, "&tar_type=GZIP"))
    assert packed["download_url"].endswith("&tartype=gzip")
    assert gzip.decompress(get(sandbox, packed["download_url"]).content) == file.content
    assert packed["hash_value"] == answer["hash_value"]


def test_bill_is_not_there_too_early_nor_for_an_empty_day(sandbox: Sandbox, sold: tuple[str, str]):
    _, day = sold
    sandbox.post("/control/clock", {"advance": -3600})
    assert verified(sandbox, bill(sandbox, day))["code"] == "STATEMENT_CREATING"
    sandbox.post("/control/clock", {"advance": 3600})
    empty = f"{datetime.fromisoformat(day) - timedelta(days=20):%Y-%m-%d}"
    none = bill(sandbox, empty)
    assert (none.status_code, none.json()["code"]) == (400, "NO_STATEMENT_EXIST")
    assert bill(sandbox, "2026-13-01").json()["code"] == "PARAM_ERROR"
    assert bill(sandbox, f"{beijing_day(sandbox):%Y-%m-%d}").json()["code"] == "INVALID_REQUEST"


def test_request_signature_covers_path_and_query(sandbox: Sandbox, sold: tuple[str, str]):
    url = f"{sandbox.base}/wechat-pay/v3/bill/tradebill?bill_date={sold[1]}&bill_type=ALL"
    for changed in (
        {"target": f"/v3/bill/tradebill?bill_type=ALL&bill_date={sold[1]}"},
        {"timestamp": "1409735669"},
    ):
        refused = get(sandbox, url, **changed)
        assert (refused.status_code, refused.json()["code"]) == (401, "SIGN_ERROR")
    assert requests.get(url, timeout=9).status_code == 401


def test_link_lives_thirty_seconds(sandbox: Sandbox, sold: tuple[str, str]):
    link = bill(sandbox, sold[1]).json()["download_url"]
    assert requests.get(link, timeout=9).status_code == 401
    sandbox.post("/control/clock", {"advance": 31})
    assert get(sandbox, link).status_code == 400


def test_bills_can_be_damaged(sandbox: Sandbox, sold: tuple[str, str]):
    mine, day = sold

    def text() -> str:
        answer = bill(sandbox, day).json()
        content = get(sandbox, answer["download_url"]).content
        assert hashlib.sha1(content).hexdigest() == answer["hash_value"]
        return content.decode()

    whole = text()
    for kind, check in {
        "missing_row": lambda made: made.count(mine) == whole.count(mine) - 1,
        "duplicate_row": lambda made: made.count(mine) == whole.count(mine) + 1,
        "extra_row": lambda made: len(made.splitlines()) == len(whole.splitlines()) + 1,
        "off_by_a_fen": lambda made: "`88.01" in made,
        "status:CLOSED": lambda made: "`CLOSED" in made,
        "cut:10": lambda made: made == whole[: len(made)] and len(made) == len(whole) - 10,
        "bom": lambda made: made == "\ufeff" + whole,
        "lf": lambda made: "\r" not in made,
    }.items():
        sandbox.fault("wechat_pay.bills", kind, times=None, match={"bill_date": day, "out_trade_no": mine})
        assert check(text()), kind
        sandbox.http.delete(f"{sandbox.base}/control/faults", timeout=9)
    sandbox.fault("wechat_pay.bills", "late", times=None)
    assert bill(sandbox, day).json()["code"] == "STATEMENT_CREATING"
