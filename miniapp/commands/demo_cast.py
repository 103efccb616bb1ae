"""Who plays in the demonstration: companies, stores, accounts, staff, phones; as the sandbox and as ``setup`` want it."""

from dataclasses import dataclass
from typing import Any

from miniapp.commands.demo_folder import DemoFolder

WECHAT_APP, ALIPAY_APP, ALIPAY_APP_2 = "wx1234567890abcdef", "2021000000000001", "2021000000000002"
MCH, MCH_2, PID, PID_2 = "1900000109", "1900000117", "2088000000000011", "2088000000000029"
CARD_NO = "898310000000001"
ORIGINAL_ID, PLATFORM_KEY_ID = "gh_demo", "PUB_KEY_ID_0119000001092026"
TAX_NO, TAX_NO_2, TAX_NO_3 = "91310000MA1K35J839", "91320500MA1X2Y3W3D", "91330100MA2B4C6DX4"
NUONUO_APP, CLERK = "SD00000001", "开票员甲"
TEMPLATES = {
    "confirm": "开票提醒\n事项：{{thing1.DATA}}\n金额：{{amount2.DATA}}\n抬头：{{thing3.DATA}}\n"
    "代码：{{character_string4.DATA}}\n时间：{{time5.DATA}}",
    "result": "开票结果\n结果：{{thing1.DATA}}\n金额：{{amount2.DATA}}\n抬头：{{thing3.DATA}}\n"
    "编号：{{character_string4.DATA}}\n时间：{{time5.DATA}}",
}
OPEN_IDS = {
    "customer_a": "oDemoCustomerA",
    "customer_b": "oDemoCustomerB",
    "cashier_a": "oDemoCashierA",
    "cashier_b": "oDemoCashierB",
}


@dataclass(frozen=True)
class Employee:
    """A person with a login for the console."""

    code: str
    name: str
    login: str
    role: str
    scope: str


STAFF = (
    Employee("cashier_a", "收银员甲", "cashier1", "cashier", "store:nanjing"),
    Employee("cashier_b", "收银员乙", "cashier2", "cashier", "store:nanjing"),
    Employee("manager_a", "店长甲", "manager", "manager", "store:nanjing"),
    Employee("finance_a", "财务甲", "finance1", "finance", "*"),
    Employee("finance_b", "财务乙", "finance2", "finance", "*"),
    Employee("administrator", "管理员", "admin", "administrator", "*"),
)


@dataclass(frozen=True)
class Terminal:
    """A till in a store. ``wechat``, ``alipay`` and ``card`` are codes of merchant accounts."""

    code: str
    store: str
    name: str
    wechat: str = ""
    alipay: str = ""
    card: str = ""


TERMINALS = (
    Terminal("T01", "nanjing", "南京路店 1 号机", "wx-shanghai", "zfb-shanghai"),
    Terminal("T02", "nanjing", "南京路店 2 号机", "wx-shanghai", "zfb-shanghai"),
    Terminal("T03", "guanqian", "观前街店 1 号机", "wx-suzhou", "zfb-suzhou"),
    Terminal("T04", "hubin", "湖滨店 1 号机（只上报银联卡）", card="card-hangzhou"),
)
STORES = {"nanjing": "南京路店", "guanqian": "观前街店", "hubin": "湖滨店"}
PRINTERS = ("nanjing", "guanqian")


@dataclass(frozen=True)
class Addresses:
    """Two ports of loopback and one host name a role, so that one browser can be everybody at once."""

    port: int

    @property
    def sandbox_port(self) -> int:
        """The port after the program's."""
        return self.port + 1

    @property
    def program(self) -> str:
        """How machines reach the program."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        """How machines reach the sandbox."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def shop(self) -> str:
        """How customers reach the program; each phone has a name of its own below it."""
        return f"http://shop.localhost:{self.port}"

    @property
    def console(self) -> str:
        """How staff reach the program."""
        return f"http://console.localhost:{self.port}"

    def of(self, place: str) -> str:
        """Where a role begins, to print and to click."""
        pages = {
            "index": "sandbox.localhost:{}/",
            "customer_a": "wechat.localhost:{}/phone",
            "customer_b": "alipay.localhost:{}/phone",
            "cashier_a": "cashier1.localhost:{}/phone",
            "cashier_b": "cashier2.localhost:{}/phone",
            "till": "till.localhost:{}/till",
            "printer": "printer.localhost:{}/printer",
        }
        if place == "console":
            return f"{self.console}/console/"
        return "http://" + pages[place].format(self.sandbox_port)


def pages(at: Addresses) -> dict[str, Any]:
    """Places beyond the sandbox that its first page names."""
    note = "今日、申请、交易、对账；用启动时显示的登录名和密码"
    return {"links": [{"name": "控制台", "what": "网页", "url": at.of("console"), "note": note, "nav": True}]}


def sandbox(folder: DemoFolder, at: Addresses) -> dict[str, Any]:
    """The configuration of the other side."""
    return {
        "official_accounts": [_official_account(folder, at)],
        "wechat_merchants": [_wechat_merchant(folder, mch_id) for mch_id in (MCH, MCH_2)],
        "alipay_apps": [
            {**_alipay_app(folder, ALIPAY_APP, PID), "gateway_callback": f"{at.program}/alipay/life/gateway"},
            {**_alipay_app(folder, ALIPAY_APP_2, PID_2), "code": "pay2"},
        ],
        "nuonuo": [
            {
                "app_key": NUONUO_APP,
                "app_secret": folder.secret("nuonuo_secret"),
                "taxpayer_no": TAX_NO,
                "seller_name": "上海示例商贸有限公司",
                "clerk": CLERK,
                "province": "31",
            }
        ],
        "people": _people(at),
        "printers": [{"code": code, "name": f"{STORES[code]}打印机"} for code in PRINTERS],
        "tills": [_till(folder, at, one) for one in TERMINALS],
    }


def _official_account(folder: DemoFolder, at: Addresses) -> dict[str, Any]:
    return {
        "code": "main",
        "app_id": WECHAT_APP,
        "secret": folder.secret("wechat_secret"),
        "original_id": ORIGINAL_ID,
        "token": folder.secret("wechat_token"),
        "aes_key": folder.secret("wechat_aes_key", 43),
        "callback_url": f"{at.program}/wechat/main/callback",
        "name": "示例商贸",
        "templates": TEMPLATES,
    }


def _wechat_merchant(folder: DemoFolder, mch_id: str) -> dict[str, Any]:
    return {
        "mch_id": mch_id,
        "app_ids": [WECHAT_APP],
        "api_v2_key": folder.secret("api_v2_key"),
        "api_v3_key": folder.secret("api_v3_key"),
        "merchant_certificate": folder.key("wechat_merchant.crt"),
        "cert_serial": folder.remembered("cert_serial"),
        "platform_private_key": folder.key("wechat_platform.key"),
        "platform_key_id": PLATFORM_KEY_ID,
    }


def _alipay_app(folder: DemoFolder, app_id: str, pid: str) -> dict[str, Any]:
    return {
        "app_id": app_id,
        "code": "life",
        "name": "示例商贸",
        "app_public_key": folder.key("alipay_app.pub"),
        "alipay_private_key": folder.key("alipay_platform.key"),
        "pid": pid,
    }


def _people(at: Addresses) -> list[dict[str, Any]]:
    def person(code: str, name: str, host: str, wallet: str, **more: Any) -> dict[str, Any]:
        return {
            "code": code,
            "name": name,
            "wallet": wallet,
            "wechat": {WECHAT_APP: OPEN_IDS[code]},
            "account": "main" if wallet == "wechat" else "life",
            "follows": ["main"],
            "phone_host": f"{host}.localhost",
            "browses": {f"shop.localhost:{at.port}": f"{host}.shop.localhost:{at.port}"},
            **more,
        }

    bind = "绑定：用 cashier2 登录控制台，在“人员”里取我的绑定码，再到这里发送“绑定 那个码”。"
    ask = "先去收银台付一笔，再点“我的 → 发票”。抬头可以填：上海示例贸易有限公司，税号 91310115MA1H7K2P4W。"
    cashier: dict[str, Any] = {"role": "cashier", "pays": False}
    return [
        person("customer_a", "顾客甲", "wechat", "wechat", note="微信里的顾客：付款、要发票", hint=ask),
        person(
            "customer_b",
            "顾客乙",
            "alipay",
            "alipay",
            note="支付宝里的顾客：付款、要发票",
            hint=ask,
            alipay={"user_id": "2088000000000102"},
        ),
        person(
            "cashier_a",
            "收银员甲",
            "cashier1",
            "wechat",
            note="南京路店当班，已绑定：在聊天里确认开票",
            hint="收到提醒后回复“确认 代码”，或“拒绝 代码 原因”。",
            **cashier,
        ),
        person(
            "cashier_b",
            "收银员乙",
            "cashier2",
            "wechat",
            note="南京路店当班，聊天还没有绑定",
            hint=bind,
            **cashier,
        ),
    ]


def _till(folder: DemoFolder, at: Addresses, one: Terminal) -> dict[str, Any]:
    def goods(name: str, price_fen: int, code: str, rate: str, unit: str) -> dict[str, Any]:
        return {
            "name": name,
            "price_fen": price_fen,
            "tax_category_code": code,
            "tax_rate": rate,
            "unit": unit,
        }

    return {
        "code": one.code,
        "name": one.name,
        "store": STORES[one.store],
        "base": at.program,
        "cards": "only" if one.card else "",
        "key_id": f"demo-{one.code}",
        "key": folder.secret(f"terminal_{one.code}"),
        "goods": [
            goods("保温杯", 8800, "1060512990000000000", "0.13", "个"),
            goods("茶叶礼盒", 16800, "1030301000000000000", "0.13", "盒"),
            goods("帆布袋", 2990, "1040201070000000000", "0.13", "个"),
            goods("餐饮服务", 6400, "3070401000000000000", "0.06", "次"),
            goods("图书", 4500, "1060201010000000000", "0.09", "本"),
            goods("文具", 1250, "1060408000000000000", "0.13", "套"),
        ],
    }
