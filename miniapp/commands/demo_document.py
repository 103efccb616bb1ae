"""The demonstration's ``setup`` document, as TOML text: the same way in that everybody uses."""

import json
from typing import Any

from miniapp.commands import demo_cast as cast
from miniapp.commands.demo_cast import Addresses
from miniapp.commands.demo_folder import DemoFolder

Row = dict[str, Any]
PASSWORD = "DEMO_PASSWORD_{}"  # noqa: S105  the name of an environment variable
LINE: Row = {"name": "日用杂品", "tax_category_code": "1060512990000000000", "tax_rate": "0.13", "unit": "批"}


def document(folder: DemoFolder, at: Addresses, *, with_passwords: bool) -> str:
    """The whole document. Passwords come from the environment, so that no file ever holds one."""
    tables: dict[str, list[Row]] = {
        "company": _companies(),
        "channel": _channels(folder, at),
        "store": _stores(),
        "merchant_account": _merchant_accounts(folder, at),
        "account": _accounts(folder, at),
        "terminal": _terminals(folder),
        "printer": [
            {
                "code": code,
                "store": code,
                "kind": "ipp",
                "uri": f"ipp://127.0.0.1:{at.sandbox_port}/ipp/print/{code}",
            }
            for code in cast.PRINTERS
        ],
        "staff": [_staff(one, with_password=with_passwords) for one in cast.STAFF],
    }
    return "\n".join(
        f"[[{name}]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in row.items())
        for name, rows in tables.items()
        for row in rows
    )


def _companies() -> list[Row]:
    return [
        {
            "code": "shanghai",
            "name": "上海示例商贸有限公司",
            "taxpayer_no": cast.TAX_NO,
            "address": "上海市示例路 1 号",
            "phone": "021-00000001",
            "bank_account": "示例银行上海分行 6200000000000000001",
            "channel": "nuonuo",
        },
        {
            "code": "suzhou",
            "name": "苏州示例食品有限公司",
            "taxpayer_no": cast.TAX_NO_2,
            "address": "苏州市示例街 2 号",
            "phone": "0512-00000002",
            "channel": "specimen",
        },
        # Its tills only report what a card acquirer has taken, so its days wait for bills that people import.
        {"code": "hangzhou", "name": "杭州示例百货有限公司", "taxpayer_no": cast.TAX_NO_3},
    ]


def _channels(folder: DemoFolder, at: Addresses) -> list[Row]:
    base = f"{at.sandbox}/nuonuo"
    nuonuo = {"code": "nuonuo", "kind": "nuonuo", "company": "shanghai", "app_key": cast.NUONUO_APP}
    nuonuo |= {"app_secret": folder.secret("nuonuo_secret"), "token_base": base, "api_base": base}
    nuonuo |= {"taxpayer_no": cast.TAX_NO, "clerk": cast.CLERK}
    return [nuonuo, {"code": "specimen", "kind": "specimen", "company": "suzhou"}]


def _stores() -> list[Row]:
    hours = {"service_hours": "10:00–22:00", "default_line": LINE}
    return [
        {
            "code": "nanjing",
            "name": "南京路店",
            "company": "shanghai",
            "address": "上海市南京路",
            "phone": "021-00000003",
            "policy": {"confirm": "always", "invoice_after": "vouched"},
            **hours,
        },
        {
            "code": "guanqian",
            "name": "观前街店",
            "company": "suzhou",
            "address": "苏州市观前街",
            "phone": "0512-00000004",
            "policy": {"confirm": "never", "invoice_after": "vouched"},
            **hours,
        },
        {
            "code": "hubin",
            "name": "湖滨店",
            "company": "hangzhou",
            "policy": {"confirm": "never", "invoice_after": "matched"},
            **hours,
        },
    ]


def _merchant_accounts(folder: DemoFolder, at: Addresses) -> list[Row]:
    wechat: Row = {"platform": "wechat", "app_id": cast.WECHAT_APP, "api_base": f"{at.sandbox}/wechat-pay"}
    wechat |= {
        "api_v2_key": folder.secret("api_v2_key"),
        "api_v3_key": folder.secret("api_v3_key"),
        "cert_serial": folder.remembered("cert_serial"),
        "merchant_key": {"file": "keys/wechat_merchant.key"},
        "merchant_cert": {"file": "keys/wechat_merchant.crt"},
        "platform_key": {"file": "keys/wechat_platform.pub"},
        "platform_key_id": cast.PLATFORM_KEY_ID,
    }
    alipay: Row = {
        "platform": "alipay",
        "api_base": f"{at.sandbox}/alipay",
        "app_key": {"file": "keys/alipay_app.key"},
        "platform_key": {"file": "keys/alipay_platform.pub"},
    }
    return [
        {"code": "wx-shanghai", "company": "shanghai", "merchant_no": cast.MCH, **wechat},
        {"code": "wx-suzhou", "company": "suzhou", "merchant_no": cast.MCH_2, **wechat},
        {
            "code": "zfb-shanghai",
            "company": "shanghai",
            "merchant_no": cast.PID,
            "app_id": cast.ALIPAY_APP,
            **alipay,
        },
        {
            "code": "zfb-suzhou",
            "company": "suzhou",
            "merchant_no": cast.PID_2,
            "app_id": cast.ALIPAY_APP_2,
            **alipay,
        },
        {"code": "card-hangzhou", "company": "hangzhou", "platform": "unionpay", "merchant_no": cast.CARD_NO},
    ]


def _accounts(folder: DemoFolder, at: Addresses) -> list[Row]:
    wechat = {
        "code": "main",
        "kind": "wechat",
        "app_id": cast.WECHAT_APP,
        "name": "示例商贸",
        "original_id": cast.ORIGINAL_ID,
        "secret": folder.secret("wechat_secret"),
        "token": folder.secret("wechat_token"),
        "aes_key": folder.secret("wechat_aes_key", 43),
        "api_base": f"{at.sandbox}/wechat-api",
        "oauth_base": f"http://wechat.localhost:{at.sandbox_port}/wechat-open",
        "template_confirm": "confirm",
        "template_result": "result",
    }
    alipay = {
        "code": "life",
        "kind": "alipay",
        "app_id": cast.ALIPAY_APP,
        "name": "示例商贸",
        "app_key": {"file": "keys/alipay_app.key"},
        "platform_key": {"file": "keys/alipay_platform.pub"},
        "gateway_base": f"{at.sandbox}/alipay",
        "oauth_base": f"http://alipay.localhost:{at.sandbox_port}/alipay-oauth",
    }
    return [wechat, alipay]


def _terminals(folder: DemoFolder) -> list[Row]:
    return [
        {
            "code": one.code,
            "store": one.store,
            "key_id": f"demo-{one.code}",
            "key": folder.secret(f"terminal_{one.code}"),
            "merchant_accounts": {wallet: code for wallet, code in _wallets(one) if code},
        }
        for one in cast.TERMINALS
    ]


def _wallets(one: cast.Terminal) -> list[tuple[str, str]]:
    return [("wechat", one.wechat), ("alipay", one.alipay), ("unionpay", one.card)]


def _staff(one: cast.Employee, *, with_password: bool) -> Row:
    row: Row = {"code": one.code, "name": one.name, "login": one.login}
    if with_password:
        row["password"] = {"env": PASSWORD.format(one.code.upper())}
    return {**row, "roles": [{"role": one.role, "scope": one.scope}]}


def _toml(value: Any) -> str:
    """Texts, truths, tables and lists; a JSON text is a TOML one."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)
