"""``miniapp setup``: companies, stores, accounts, channels, terminals, printers and staff from one TOML document.

Rows are keyed by ``code``; a row left out is left alone; ``disabled = true`` switches it off. Every fault is found
before anything is written. A secret is a text, ``{file = "…"}`` or ``{env = "…"}``; it is stored wrapped.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from miniapp import db
from miniapp.core.errors import Failure
from miniapp.core.text import say
from miniapp.stores.policy import DefaultLine, Policy

CODE = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
Secret = str


class SetupRefused(Failure):
    """The document has faults; nothing was written. ``faults`` name table, code, key and message."""

    def __init__(self, faults: list["Fault"]) -> None:
        super().__init__("setup.refused", count=len(faults))
        self.faults = faults


@dataclass(frozen=True)
class Fault:
    """One fault of the document."""

    table: str
    code: str
    key: str
    message: str


class Row(BaseModel):
    """What every table's rows share."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    code: str = Field(pattern=CODE)
    disabled: bool = False


class CompanyRow(Row):
    """``[[company]]``"""

    name: str = Field(min_length=1, max_length=100)
    taxpayer_no: str = Field(min_length=15, max_length=20)
    address: str = Field("", max_length=80)
    phone: str = Field("", max_length=50)
    bank_account: str = Field("", max_length=100)
    channel: str = ""


class StoreRow(Row):
    """``[[store]]``"""

    name: str = Field(min_length=1, max_length=60)
    company: str
    cut_off: str = Field("00:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    address: str = Field("", max_length=100)
    phone: str = Field("", max_length=50)
    service_hours: str = Field("", max_length=60)
    policy: Policy = Policy()
    default_line: DefaultLine | None = None


class MerchantAccountRow(Row):
    """``[[merchant_account]]``"""

    company: str
    platform: str = Field(pattern=r"^[a-z][a-z0-9_]{1,19}$")
    merchant_no: str = Field(min_length=1, max_length=40)
    app_id: str = Field("", max_length=40)
    api_base: str = ""
    carry_days: int = Field(3, ge=0, le=60)
    fee_rate: str = Field("", pattern=r"^(0\.\d{1,6})?$")
    account_no: str = ""
    cert_serial: str = ""
    platform_key: Secret = ""
    platform_key_id: str = ""
    api_v2_key: Secret = ""
    api_v3_key: Secret = ""
    merchant_key: Secret = ""
    merchant_cert: Secret = ""
    app_key: Secret = ""


class AccountRow(Row):
    """``[[account]]``: an official account or a life account"""

    kind: Literal["wechat", "alipay"]
    app_id: str = Field(min_length=1, max_length=40)
    name: str = Field(min_length=1, max_length=60)
    original_id: str = ""
    api_base: str = ""
    oauth_base: str = ""
    js_base: str = ""
    gateway_base: str = ""
    template_confirm: str = ""
    template_result: str = ""
    secret: Secret = ""
    token: Secret = ""
    aes_key: Secret = ""
    app_key: Secret = ""
    platform_key: Secret = ""


class ChannelRow(Row):
    """``[[channel]]``: the kind's own settings stand beside"""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    kind: str = Field(pattern=r"^[a-z][a-z0-9_]{1,19}$")
    company: str


class TerminalRow(Row):
    """``[[terminal]]``"""

    store: str
    key_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    key: Secret = Field(min_length=16)
    merchant_accounts: dict[str, str] = Field(default_factory=dict)


class PrinterRow(Row):
    """``[[printer]]``"""

    store: str
    kind: str = Field(pattern=r"^[a-z][a-z0-9_]{1,19}$")
    uri: str = Field("", max_length=200)


class RoleRow(BaseModel):
    """One of ``staff.roles``"""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    role: Literal["administrator", "finance", "cashier", "manager"]
    scope: str = Field(pattern=r"^(\*|company:.+|store:.+)$")


class StaffRow(Row):
    """``[[staff]]``"""

    name: str = Field(min_length=1, max_length=40)
    login: str = Field(min_length=1, max_length=60)
    password: Secret = Field("", max_length=200)
    roles: list[RoleRow] = Field(default_factory=list)

    @field_validator("password")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and len(value) < 8:
            raise ValueError("at least 8 characters")
        return value


TABLES: dict[str, type[Row]] = {
    "company": CompanyRow,
    "channel": ChannelRow,
    "store": StoreRow,
    "merchant_account": MerchantAccountRow,
    "account": AccountRow,
    "terminal": TerminalRow,
    "printer": PrinterRow,
    "staff": StaffRow,
}

REFERENCES = {
    "store": [("company", "company")],
    "merchant_account": [("company", "company")],
    "channel": [("company", "company")],
    "terminal": [("store", "store")],
    "printer": [("store", "store")],
}

KindFields = Mapping[str, Mapping[str, frozenset[str]]]
"""family → kind → the setting names that the kind declares (all families that ``setup`` may name)."""


@dataclass(frozen=True)
class Document:
    """A document without faults: rows by table."""

    rows: Mapping[str, list[Row]]


def read(text: str, *, kinds: KindFields, folder: Path = Path(".")) -> Document:
    """Parse and check a document as far as its own text allows. Raises SetupRefused with every fault."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupRefused([Fault("", "", "", say("setup.not_toml", detail=str(error)))]) from error
    faults = [Fault(name, "", "", say("setup.unknown_table")) for name in tables if name not in TABLES]
    rows: dict[str, list[Row]] = {}
    for name, model in TABLES.items():
        rows[name] = _rows(name, model, tables.get(name, []), folder, faults)
    _check_kinds(rows, kinds, faults)
    _check_repeats(rows, faults)
    if faults:
        raise SetupRefused(faults)
    return Document(rows)


def apply(
    document: Document, write: Callable[[Any, Document], tuple[list[Fault], dict[str, int]]]
) -> dict[str, int]:
    """Write the whole document in one transaction, or nothing. Answers how many rows of each table were new or changed."""
    with db.transaction() as session:
        faults, counts = write(session, document)
        if faults:
            raise SetupRefused(faults)
        return counts


def _rows(name: str, model: type[Row], table: Any, folder: Path, faults: list[Fault]) -> list[Row]:
    if not isinstance(table, list) or any(not isinstance(row, dict) for row in table):
        faults.append(Fault(name, "", "", say("setup.not_a_table")))
        return []
    good = []
    for row in table:
        code = str(row.get("code", ""))
        try:
            good.append(model.model_validate({k: _secret(k, v, folder) for k, v in row.items()}))
        except ValidationError as error:
            for fault in error.errors():
                key = ".".join(str(part) for part in fault["loc"])
                faults.append(Fault(name, code, key, _message(fault)))
        except _NoSecret as missing:
            faults.append(Fault(name, code, missing.key, say("setup.no_secret", where=missing.where)))
    return good


class _NoSecret(Exception):
    def __init__(self, key: str, where: str) -> None:
        self.key, self.where = key, where


def _secret(key: str, value: Any, folder: Path) -> Any:
    """A secret given as ``{file}`` or ``{env}`` becomes its text."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    (source, name), *_ = value.items()
    if source == "env":
        if name not in os.environ:
            raise _NoSecret(key, f"env {name}")
        return os.environ[name]
    if source == "file":
        try:
            return (folder / name).read_text("utf-8").strip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise _NoSecret(key, f"file {name}") from error
    return value


def _check_kinds(rows: Mapping[str, list[Row]], kinds: KindFields, faults: list[Fault]) -> None:
    for table, family, field in (
        ("channel", "channel", "kind"),
        ("printer", "driver", "kind"),
        ("merchant_account", "gateway", "platform"),
    ):
        known = kinds.get(family, {})
        for row in rows[table]:
            kind = getattr(row, field)
            if kind not in known and table != "merchant_account":
                faults.append(
                    Fault(table, row.code, field, say("setup.unknown_kind", kinds="、".join(sorted(known))))
                )
            elif table == "channel":
                allowed = known[kind]
                for key in sorted(set(row.model_extra or {}) - allowed):
                    faults.append(Fault(table, row.code, key, say("setup.unknown_key")))


def _check_repeats(rows: Mapping[str, list[Row]], faults: list[Fault]) -> None:
    for name, table in rows.items():
        seen: set[str] = set()
        for row in table:
            if row.code in seen:
                faults.append(Fault(name, row.code, "code", say("setup.repeated")))
            seen.add(row.code)


def _message(fault: Any) -> str:
    kinds = {
        "missing": "setup.missing",
        "extra_forbidden": "setup.unknown_key",
        "string_pattern_mismatch": "setup.bad_form",
        "string_too_short": "setup.too_short",
        "string_too_long": "setup.too_long",
        "literal_error": "setup.not_one_of",
    }
    context = fault.get("ctx", {})
    key = kinds.get(fault["type"], "setup.bad_value")
    return say(
        key,
        limit=context.get("min_length", context.get("max_length", "")),
        choices=context.get("expected", ""),
        detail=fault["msg"],
    )
