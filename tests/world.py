"""The other side of every wire for whole-program tests: the sandbox as a process, and the retailer's document for it."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from miniapp.sandbox import keys
from tests.processes import Processes

MASTER = "5a" * 32
WECHAT_APP, ALIPAY_APP = "wx8888888888888888", "2021000000000001"
MERCHANT, PID = "1900000109", "2088000000000001"
SELLER = "91440300708461136T"
BUYER = {"type": "company", "name": "北京示例科技有限公司", "taxpayer_no": "9144030071526726XG"}
PEOPLE = {
    "顾客甲": "oCustomerA",
    "顾客乙": "oCustomerB",
    "收银员甲": "oCashierA",
    "收银员乙": "oCashierB",
    "店长甲": "oManagerA",
}
STAFF = {
    "收银员甲": ("cashier_a", "cashier", "store:s1"),
    "收银员乙": ("cashier_b", "cashier", "store:s1"),
    "收银员丙": ("cashier_c", "cashier", "store:s2"),
    "店长甲": ("manager_a", "manager", "store:s1"),
    "财务甲": ("finance_a", "finance", "*"),
    "财务乙": ("finance_b", "finance", "*"),
    "管理员": ("admin", "administrator", "*"),
}
PASSWORD = "a-long-password-for-tests"
TEMPLATE = "{{thing1.DATA}} {{amount2.DATA}} {{thing3.DATA}} {{character_string4.DATA}} {{time5.DATA}}"


@dataclass(frozen=True)
class World:
    """A running sandbox and the keys it was given."""

    base: str
    app: keys.KeyPair
    alipay: keys.KeyPair
    merchant: keys.KeyPair
    platform: keys.KeyPair
    serial: str
    certificate: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One word to the director of the sandbox."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.base}/control/{path}",
            data=data,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The sandbox as a process, with WeChat, WeChat Pay, Alipay and Nuonuo, for the whole session."""
    folder = tmp_path_factory.mktemp("world")
    app, alipay, merchant, platform = (keys.key_pair() for _ in range(4))
    certificate, serial = keys.merchant_certificate(merchant, MERCHANT)
    (folder / "config.json").write_text(json.dumps(cast(app, alipay, platform, certificate, serial)), "utf-8")
    processes = Processes(folder)
    process = processes.start(
        "sandbox",
        *("python", "-m", "miniapp.sandbox.run", "--port", "0", "--data", str(folder / "data")),
        *("--config", str(folder / "config.json")),
    )
    process.wait_for_text("sandbox ready on ")
    base = process.said.split("sandbox ready on ")[1].split()[0]
    yield World(base, app, alipay, merchant, platform, serial, certificate)
    processes.stop_all()


def cast(
    app: keys.KeyPair, alipay: keys.KeyPair, platform: keys.KeyPair, certificate: str, serial: str
) -> dict[str, Any]:
    """What the sandbox is told about the retailer and the people."""
    return {
        "official_accounts": [
            {
                "code": "main",
                "app_id": WECHAT_APP,
                "secret": "s3cret",
                "original_id": "gh_shop",
                "token": "stationtoken",
                "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
                "templates": {"CONFIRM": TEMPLATE, "RESULT": TEMPLATE},
                "name": "示例商贸",
            }
        ],
        "wechat_merchants": [
            {
                "mch_id": MERCHANT,
                "app_ids": [WECHAT_APP],
                "api_v2_key": "192006250b4c09247ec02edce69f6a2d",
                "api_v3_key": "0123456789abcdef0123456789abcdef",
                "cert_serial": serial,
                "merchant_certificate": certificate,
                "platform_private_key": platform.private,
                "platform_key_id": "PUB_KEY_ID_0119000001092024",
                "password_above_fen": 10_000_000,
            }
        ],
        "alipay_apps": [
            {
                "app_id": ALIPAY_APP,
                "code": "zfb",
                "app_public_key": app.public,
                "alipay_private_key": alipay.private,
                "pid": PID,
            }
        ],
        "nuonuo": [
            {
                "app_key": "SD00000001",
                "app_secret": "SECRET",
                "taxpayer_no": SELLER,
                "seller_name": "上海示例商贸有限公司",
                "province": "31",
                "deduplicate": False,
            }
        ],
        "people": [
            {
                "code": name,
                "name": name,
                "wechat": {WECHAT_APP: open_id},
                "follows": ["main"],
                "alipay": {"user_id": f"20881000000000{at:02}"},
            }
            for at, (name, open_id) in enumerate(PEOPLE.items(), 1)
        ],
    }


def document(world: World, *, policy: str = '{ confirm = "never" }', channel: str = "nn") -> str:
    """The retailer as ``miniapp setup`` reads it."""
    return _company(world, policy, channel) + _accounts(world) + _tills_and_staff()


def _company(world: World, policy: str, channel: str) -> str:
    return f"""
[[company]]
code = "c1"
name = "上海示例商贸有限公司"
taxpayer_no = "{SELLER}"
channel = "{channel}"
[[channel]]
code = "nn"
kind = "nuonuo"
company = "c1"
app_key = "SD00000001"
app_secret = "SECRET"
token_base = "{world.base}/nuonuo"
api_base = "{world.base}/nuonuo"
taxpayer_no = "{SELLER}"
clerk = "开票员甲"
[[channel]]
code = "yp"
kind = "specimen"
company = "c1"
[[store]]
code = "s1"
name = "南京路店"
company = "c1"
phone = "021-55550001"
policy = {policy}
default_line = {{ name = "日用百货", tax_category_code = "1060512990000000000", tax_rate = "0.13", unit = "件" }}
[[store]]
code = "s2"
name = "徐家汇店"
company = "c1"
policy = {policy}
default_line = {{ name = "日用百货", tax_category_code = "1060512990000000000", tax_rate = "0.13", unit = "件" }}
"""


def _accounts(world: World) -> str:
    return f"""[[merchant_account]]
code = "wx"
company = "c1"
platform = "wechat"
merchant_no = "{MERCHANT}"
app_id = "{WECHAT_APP}"
api_base = "{world.base}/wechat-pay"
api_v2_key = "192006250b4c09247ec02edce69f6a2d"
api_v3_key = "0123456789abcdef0123456789abcdef"
cert_serial = "{world.serial}"
merchant_key = '''{world.merchant.private}'''
merchant_cert = '''{world.certificate}'''
platform_key = '''{world.platform.public}'''
platform_key_id = "PUB_KEY_ID_0119000001092024"
[[merchant_account]]
code = "zfb"
company = "c1"
platform = "alipay"
merchant_no = "{PID}"
app_id = "{ALIPAY_APP}"
api_base = "{world.base}/alipay"
app_key = '''{world.app.private}'''
platform_key = '''{world.alipay.public}'''
[[account]]
code = "main"
kind = "wechat"
app_id = "{WECHAT_APP}"
name = "示例商贸"
original_id = "gh_shop"
secret = "s3cret"
token = "stationtoken"
aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
api_base = "{world.base}/wechat-api"
oauth_base = "{world.base}/wechat-open"
template_confirm = "CONFIRM"
template_result = "RESULT"
[[account]]
code = "life"
kind = "alipay"
app_id = "{ALIPAY_APP}"
name = "示例商贸生活号"
app_key = '''{world.app.private}'''
platform_key = '''{world.alipay.public}'''
gateway_base = "{world.base}/alipay"
oauth_base = "{world.base}/alipay-oauth"
"""


def _tills_and_staff() -> str:
    staff = "\n".join(
        f'[[staff]]\ncode = "{code}"\nname = "{name}"\nlogin = "{code}"\npassword = "{PASSWORD}"\n'
        f'roles = [{{ role = "{role}", scope = "{scope}" }}]'
        for name, (code, role, scope) in STAFF.items()
    )
    return f"""[[terminal]]
code = "T01"
store = "s1"
key_id = "k1"
key = "0123456789abcdef0123456789abcdef"
merchant_accounts = {{ wechat = "wx", alipay = "zfb" }}
[[terminal]]
code = "T02"
store = "s2"
key_id = "k2"
key = "fedcba9876543210fedcba9876543210"
merchant_accounts = {{ wechat = "wx", alipay = "zfb" }}
{staff}
"""
