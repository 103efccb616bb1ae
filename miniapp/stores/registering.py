"""Writing a checked setup document into the tables, inside one transaction of the caller."""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp.core import audit, codes, vault
from miniapp.core.clock import now
from miniapp.core.text import say
from miniapp.db import Base
from miniapp.stores import passwords, setup
from miniapp.stores.models import (
    ChatAccount,
    Company,
    IssuingChannel,
    MerchantAccount,
    Printer,
    Staff,
    StaffRole,
    Store,
    StoreCompany,
    Terminal,
    TerminalKey,
    TerminalWallet,
)

Model = TypeVar("Model", bound=Base)
WALLETS_OF_PLATFORM = {"wechat": {"wechat"}, "alipay": {"alipay"}}
"""A direct account takes its own wallet only; an acquirer's takes any."""

MERCHANT_PLAIN = (
    "api_base",
    "fee_rate",
    "account_no",
    "cert_serial",
    "platform_key_id",
    "platform_key",
    "merchant_cert",
)
MERCHANT_SECRET = ("api_v2_key", "api_v3_key", "merchant_key", "app_key")
ACCOUNT_PLAIN = (
    "original_id",
    "api_base",
    "oauth_base",
    "js_base",
    "gateway_base",
    "template_confirm",
    "template_result",
    "platform_key",
)
ACCOUNT_SECRET = ("secret", "token", "aes_key", "app_key")
CHANNEL_SECRET = frozenset({"app_secret", "app_key", "secret", "password"})


class Writer:
    """Writes one document. ``faults`` collects what only the database can tell; any fault undoes everything."""

    def __init__(
        self, session: Session, *, secret_fields: Iterable[str] = CHANNEL_SECRET, by: str = "setup"
    ) -> None:
        self.session = session
        self.by = by
        self.secret_fields = frozenset(secret_fields)
        self.faults: list[setup.Fault] = []
        self.counts: dict[str, int] = {}

    def write(self, document: setup.Document) -> tuple[list[setup.Fault], dict[str, int]]:
        """Every table in the order of its references; company channels last, because they point back."""
        for table, rows in document.rows.items():
            for row in rows:
                getattr(self, f"_{table}")(row)
                self.session.flush()
        self._company_channels(document)
        return self.faults, self.counts

    def _company(self, row: setup.CompanyRow) -> None:
        company, is_new = self._row(Company, row.code)
        fields = {
            "name": row.name,
            "taxpayer_no": row.taxpayer_no,
            "address": row.address,
            "phone": row.phone,
            "bank_account": row.bank_account,
        }
        self._assign("company", company, is_new, row, **fields)

    def _company_channels(self, document: setup.Document) -> None:
        for row in document.rows["company"]:
            assert isinstance(row, setup.CompanyRow)  # noqa: S101  the table's own model
            company = self._find(Company, row.code)
            if company is None or not row.channel:
                continue
            channel = self._find(IssuingChannel, row.channel)
            if channel is None:
                self._fault(
                    "company", row.code, "channel", "setup.no_such", table="channel", code_=row.channel
                )
            elif channel.company_id != company.id:
                self._fault("company", row.code, "channel", "setup.not_its_own", code_=row.channel)
            else:
                company.channel_code = row.channel

    def _channel(self, row: setup.ChannelRow) -> None:
        company = self._needed(Company, row.company, "channel", row, "company")
        if company is None:
            return
        channel, is_new = self._row(IssuingChannel, row.code)
        extra = dict(row.model_extra or {})
        hidden = {key: extra.pop(key) for key in sorted(set(extra) & self.secret_fields)}
        sealed = self._sealed("channel", row.code, channel.secrets, hidden)
        self._assign(
            "channel",
            channel,
            is_new,
            row,
            kind=row.kind,
            company_id=company.id,
            settings=extra,
            secrets=sealed,
        )

    def _store(self, row: setup.StoreRow) -> None:
        company = self._needed(Company, row.company, "store", row, "company")
        if company is None:
            return
        store, is_new = self._row(Store, row.code)
        part = codes.store_part(row.code)
        taken = self.session.scalar(
            select(Store.code).where(Store.claim_part == part, Store.code != row.code)
        )
        if taken:
            self._fault("store", row.code, "code", "setup.claim_part_taken", code_=taken)
            return
        line = row.default_line.model_dump() if row.default_line else None
        self._assign(
            "store",
            store,
            is_new,
            row,
            name=row.name,
            claim_part=part,
            cut_off=row.cut_off,
            address=row.address,
            phone=row.phone,
            service_hours=row.service_hours,
            policy=row.policy.model_dump(),
            default_line=line,
        )
        self.session.flush()
        newest = self.session.scalar(
            select(StoreCompany)
            .where(StoreCompany.store_id == store.id)
            .order_by(StoreCompany.since.desc())
            .limit(1)
        )
        if newest is None or newest.company_id != company.id:
            self.session.add(StoreCompany(store_id=store.id, company_id=company.id, since=now()))

    def _merchant_account(self, row: setup.MerchantAccountRow) -> None:
        company = self._needed(Company, row.company, "merchant_account", row, "company")
        if company is None:
            return
        account, is_new = self._row(MerchantAccount, row.code)
        hidden = {key: getattr(row, key) for key in MERCHANT_SECRET if getattr(row, key)}
        self._assign(
            "merchant_account",
            account,
            is_new,
            row,
            company_id=company.id,
            platform=row.platform,
            merchant_no=row.merchant_no,
            app_id=row.app_id,
            carry_days=row.carry_days,
            settings={key: getattr(row, key) for key in MERCHANT_PLAIN if getattr(row, key)},
            secrets=self._sealed("merchant_account", row.code, account.secrets, hidden),
        )

    def _account(self, row: setup.AccountRow) -> None:
        taken = self.session.scalar(
            select(ChatAccount.code).where(ChatAccount.app_id == row.app_id, ChatAccount.code != row.code)
        )
        if taken:
            self._fault("account", row.code, "app_id", "setup.app_id_taken", code_=taken)
            return
        account, is_new = self._row(ChatAccount, row.code)
        hidden = {key: getattr(row, key) for key in ACCOUNT_SECRET if getattr(row, key)}
        self._assign(
            "account",
            account,
            is_new,
            row,
            kind=row.kind,
            app_id=row.app_id,
            name=row.name,
            settings={key: getattr(row, key) for key in ACCOUNT_PLAIN if getattr(row, key)},
            secrets=self._sealed("account", row.code, account.secrets, hidden),
        )

    def _terminal(self, row: setup.TerminalRow) -> None:
        store = self._needed(Store, row.store, "terminal", row, "store")
        if store is None:
            return
        terminal, is_new = self._row(Terminal, row.code)
        self._assign("terminal", terminal, is_new, row, store_id=store.id)
        self.session.flush()
        self._terminal_key(terminal, row)
        for wallet, code in sorted(row.merchant_accounts.items()):
            self._wallet(terminal, store, wallet, code)

    def _terminal_key(self, terminal: Terminal, row: setup.TerminalRow) -> None:
        key = self.session.scalar(select(TerminalKey).where(TerminalKey.key_id == row.key_id))
        if key is not None and key.terminal_id != terminal.id:
            owner = self.session.get_one(Terminal, key.terminal_id)
            self._fault("terminal", row.code, "key_id", "setup.key_taken", code_=owner.code)
            return
        sealed = vault.wrap(row.key, name=f"terminal_key:{row.key_id}")
        if key is None:
            live = [one for one in terminal.keys if one.revoked_at is None]
            for old in live[:-1]:
                old.revoked_at = now()
            self.session.add(
                TerminalKey(terminal_id=terminal.id, key_id=row.key_id, secret=sealed, added_at=now())
            )
            self._count("terminal")
        elif vault.unwrap(key.secret, name=f"terminal_key:{row.key_id}") != row.key:
            key.secret = sealed
            self._count("terminal")

    def _wallet(self, terminal: Terminal, store: Store, wallet: str, code: str) -> None:
        account = self._find(MerchantAccount, code)
        if account is None:
            self._fault(
                "terminal", terminal.code, wallet, "setup.no_such", table="merchant_account", code_=code
            )
            return
        belongs = self.session.scalar(
            select(StoreCompany.company_id)
            .where(StoreCompany.store_id == store.id)
            .order_by(StoreCompany.since.desc())
            .limit(1)
        )
        if account.company_id != belongs:
            self._fault("terminal", terminal.code, wallet, "setup.other_company", code_=code)
        elif wallet not in WALLETS_OF_PLATFORM.get(account.platform, {wallet}):
            self._fault(
                "terminal",
                terminal.code,
                wallet,
                "setup.wrong_wallet",
                code_=code,
                platform=account.platform,
                wallet=wallet,
            )
        else:
            row = self.session.get(TerminalWallet, (terminal.id, wallet))
            if row is None:
                self.session.add(
                    TerminalWallet(terminal_id=terminal.id, wallet=wallet, merchant_account_id=account.id)
                )
                self._count("terminal")
            elif row.merchant_account_id != account.id:
                row.merchant_account_id = account.id
                self._count("terminal")

    def _printer(self, row: setup.PrinterRow) -> None:
        store = self._needed(Store, row.store, "printer", row, "store")
        if store is not None:
            printer, is_new = self._row(Printer, row.code)
            self._assign("printer", printer, is_new, row, store_id=store.id, kind=row.kind, uri=row.uri)

    def _staff(self, row: setup.StaffRow) -> None:
        taken = self.session.scalar(
            select(Staff.code).where(Staff.login == row.login, Staff.code != row.code)
        )
        if taken:
            self._fault("staff", row.code, "login", "setup.login_taken", code_=taken)
            return
        person, is_new = self._row(Staff, row.code)
        if is_new and not row.password:
            self._fault("staff", row.code, "password", "setup.password_needed")
            self.session.expunge(person)
            return
        if row.password and (is_new or not passwords.is_right(person.password_hash, row.password)):
            person.password_hash = passwords.hashed(row.password)
        self._assign("staff", person, is_new, row, name=row.name, login=row.login)
        self.session.flush()
        wanted = {(role.role, role.scope) for role in row.roles}
        if wanted != {(role.role, role.scope) for role in person.roles}:
            for role in list(person.roles):
                if (role.role, role.scope) not in wanted:
                    person.roles.remove(role)
            have = {(role.role, role.scope) for role in person.roles}
            person.roles += [StaffRole(role=role, scope=scope) for role, scope in sorted(wanted - have)]
            if not is_new:
                self._count("staff")
        for asked in row.roles:
            self._check_scope(row, asked.scope)

    def _check_scope(self, row: setup.StaffRow, scope: str) -> None:
        table, _, code = scope.partition(":")
        if table == "*":
            return
        model: type[Base] = Store if table == "store" else Company
        if self._find(model, code) is None:
            self._fault("staff", row.code, "roles", "setup.no_such", table=table, code_=code)

    def _row(self, model: type[Model], code: str) -> tuple[Model, bool]:
        found = self._find(model, code)
        if found is not None:
            return found, False
        made = model(code=code)
        return made, True

    def _find(self, model: type[Model], code: str) -> Model | None:
        found: Model | None = self.session.scalar(select(model).where(getattr(model, "code") == code))  # noqa: B009
        return found

    def _needed(self, model: type[Model], code: str, table: str, row: setup.Row, key: str) -> Model | None:
        found = self._find(model, code)
        if found is None:
            self._fault(table, row.code, key, "setup.no_such", table=key, code_=code)
        return found

    def _assign(self, table: str, target: Any, is_new: bool, row: setup.Row, **fields: Any) -> None:
        fields["is_disabled"] = row.disabled
        changed = [name for name, value in fields.items() if getattr(target, name, None) != value]
        for name in changed:
            setattr(target, name, fields[name])
        if is_new:
            self.session.add(target)
        if not (is_new or changed):
            return
        self.session.flush()
        self._count(table)
        why = None if is_new else "、".join(name for name in changed if name != "secrets") or "secrets"
        audit.note(self.session, table, target.id, "create" if is_new else "change", by=self.by, why=why)

    def _sealed(self, table: str, code: str, old: bytes | None, hidden: dict[str, str]) -> bytes | None:
        """Wrap secrets; the same secrets keep their old wrapping, so that a repeated setup changes nothing."""
        name = f"{table}:{code}"
        if old is not None and json.loads(vault.unwrap(old, name=name)) == hidden:
            return old
        return vault.wrap(json.dumps(hidden), name=name) if hidden else None

    def _count(self, table: str) -> None:
        self.counts[table] = self.counts.get(table, 0) + 1

    def _fault(
        self, table_name: str, code: str, key: str, message: str, *, code_: str = "", **values: str
    ) -> None:
        self.faults.append(setup.Fault(table_name, code, key, say(message, code=code_, **values)))


def write(session: Session, document: setup.Document) -> tuple[list[setup.Fault], dict[str, int]]:
    """Write a document; what ``setup.apply`` calls."""
    return Writer(session).write(document)
