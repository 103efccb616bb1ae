"""``miniapp setup``: everything or nothing, every fault at once, safe to repeat."""

import json

import pytest
from sqlalchemy import select, text

from miniapp import db
from miniapp.commands.organising import kind_fields
from miniapp.core import vault
from miniapp.stores import registering, service, setup
from miniapp.stores.models import Company, MerchantAccount, Staff, StoreCompany, TerminalKey
from tests.clocks import Clock
from tests.databases import Database
from tests.people import World, document


@pytest.fixture(autouse=True)
def installation(database: Database, clock: Clock) -> None:
    vault.use_master(bytes.fromhex("5a" * 32))


def write(content: str) -> dict[str, int]:
    return setup.apply(setup.read(content, kinds=kind_fields()), registering.write)


def faults(content: str) -> set[tuple[str, str, str]]:
    with pytest.raises(setup.SetupRefused) as refused:
        write(content)
    return {(one.table, one.code, one.key) for one in refused.value.faults}


def test_a_whole_document_is_written_and_repeating_it_changes_nothing(world: World) -> None:
    counts = write(document(world))
    assert counts["company"] == 1 and counts["staff"] == 7
    assert write(document(world)) == {}


def test_a_row_left_out_stays_and_a_disabled_one_goes(world: World) -> None:
    write(document(world))
    write('[[company]]\ncode = "c2"\nname = "另一家公司"\ntaxpayer_no = "91310000MA1K35J80Q"\n')
    assert service.terminal_by_key("k1") is not None
    write(
        '[[terminal]]\ncode = "T01"\nstore = "s1"\nkey_id = "k1"\nkey = "0123456789abcdef0123456789abcdef"\ndisabled = true\n'
    )
    assert service.terminal_by_key("k1") is None


def test_every_fault_is_named_and_nothing_is_written(world: World) -> None:
    content = (
        document(world)
        + """
[[store]]
code = "s9"
name = ""
company = "nowhere"
policy = { confirm = "perhaps" }
[[staff]]
code = "x"
name = "某"
login = "x"
password = "short"
roles = [{ role = "king", scope = "*" }]
[[printer]]
code = "p"
store = "s1"
kind = "stone"
[[kiosk]]
code = "k"
"""
    )
    found = faults(content)
    assert {("store", "s9", "name"), ("store", "s9", "policy.confirm"), ("kiosk", "", "")} <= found
    assert {("staff", "x", "password"), ("staff", "x", "roles.0.role"), ("printer", "p", "kind")} <= found
    with db.reading() as session:
        assert session.scalar(select(Company.id)) is None


def test_what_only_the_database_knows_is_refused_whole(world: World) -> None:
    write(document(world))
    found = faults(
        '[[company]]\ncode = "c2"\nname = "乙公司"\ntaxpayer_no = "91310000MA1K35J80Q"\nchannel = "nn"\n'
        '[[store]]\ncode = "s3"\nname = "三店"\ncompany = "c2"\n'
        '[[terminal]]\ncode = "T9"\nstore = "s3"\nkey_id = "k1"\nkey = "0123456789abcdef0123456789abcdef"\n'
        'merchant_accounts = { wechat = "wx", alipay = "none" }\n'
        '[[staff]]\ncode = "new"\nname = "新人"\nlogin = "admin"\n'
    )
    assert found == {
        ("company", "c2", "channel"),
        ("terminal", "T9", "key_id"),
        ("terminal", "T9", "wechat"),
        ("terminal", "T9", "alipay"),
        ("staff", "new", "login"),
    }
    with db.reading() as session:
        assert session.scalar(select(Company.id).where(Company.code == "c2")) is None


def test_secrets_are_wrapped_and_passwords_hashed(world: World) -> None:
    write(document(world))
    with db.reading() as session:
        account = session.scalars(select(MerchantAccount).where(MerchantAccount.code == "wx")).one()
        everything = str(session.execute(text("SELECT * FROM merchant_account")).all())
        everything += str(session.execute(text("SELECT * FROM terminal_key")).all())
        everything += str(session.execute(text("SELECT * FROM staff")).all())
        assert session.scalars(select(Staff.password_hash)).first().startswith("$argon2id$")  # type: ignore[union-attr]
    assert "192006250b4c09247ec02edce69f6a2d" not in everything
    assert "0123456789abcdef" not in everything and "BEGIN RSA PRIVATE" not in everything
    assert service.merchant_account(account.id).secrets["api_v2_key"] == "192006250b4c09247ec02edce69f6a2d"


def test_a_new_key_lets_the_old_one_live_until_the_next(world: World) -> None:
    write(document(world))
    for key in ("k1b", "k1c"):
        write(f'[[terminal]]\ncode = "T01"\nstore = "s1"\nkey_id = "{key}"\nkey = "{key}{"x" * 20}"\n')
    with db.reading() as session:
        live = session.scalars(select(TerminalKey.key_id).where(TerminalKey.revoked_at.is_(None))).all()
    assert set(live) == {"k2", "k1b", "k1c"}
    assert service.terminal_by_key("k1") is None


def test_a_store_changes_its_company_by_a_dated_row(world: World, clock: Clock) -> None:
    write(document(world))
    clock.forward(days=1)
    write(
        '[[company]]\ncode = "c2"\nname = "乙公司"\ntaxpayer_no = "91310000MA1K35J80Q"\n'
        '[[store]]\ncode = "s2"\nname = "徐家汇店"\ncompany = "c2"\n'
    )
    with db.reading() as session:
        assert len(session.scalars(select(StoreCompany)).all()) == 3
        store = session.execute(text("SELECT id FROM store WHERE code = 's2'")).scalar_one()
        assert service.company_of(session, store).code == "c2"


def test_a_secret_comes_from_a_file_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    row = (
        '[[company]]\ncode = "c"\nname = "甲"\ntaxpayer_no = "91310000MA1K35J80Q"\n'
        '[[merchant_account]]\ncode = "m"\ncompany = "c"\nplatform = "wechat"\nmerchant_no = "1"\n'
    )
    assert faults(row + 'api_v2_key = { env = "NO_SUCH_KEY" }\n') == {("merchant_account", "m", "api_v2_key")}
    monkeypatch.setenv("A_KEY", "from-the-environment")
    write(row + 'api_v2_key = { env = "A_KEY" }\n')
    with db.reading() as session:
        account_id = session.scalars(select(MerchantAccount.id)).one()
    assert service.merchant_account(account_id).secrets == {"api_v2_key": "from-the-environment"}
    assert "from-the-environment" not in json.dumps(repr(service.merchant_account(account_id)))
