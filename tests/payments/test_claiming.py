"""Who may take a purchase: one owner, guesses that tell nothing, limits that hold over refusals."""

import threading

import pytest

from miniapp import db
from miniapp.core import codes
from miniapp.core.errors import Again, Missing, Refused, TooOften
from miniapp.payments import claiming, composition, slips
from miniapp.payments.models import PurchaseClaim, TerminalTransaction
from tests.payments.shop import ALIPAY_APP, WECHAT_APP, Shop

ADDRESS = "203.0.113.9"


def token_of(sale_id: int) -> str:
    return slips.sheet(sale_id).url.rsplit("/", 1)[1]


def owner(sale_id: int) -> int | None:
    with db.reading() as session:
        return claiming.owner_of(session, session.get_one(TerminalTransaction, sale_id))


def test_the_holder_of_code_and_amount_binds_it_once(shop: Shop) -> None:
    sale_id, first, second = shop.sale("A1", 8800), shop.customer("oA"), shop.customer("oB")
    code = shop.claim_code(sale_id)

    claiming.by_code(first, code.lower(), 8800, ADDRESS)
    claiming.by_code(first, f"{code[:3]} {code[3:]}", 8800, ADDRESS)
    with pytest.raises(Again):
        claiming.by_code(second, code, 8800, ADDRESS)

    assert owner(sale_id) == first


def test_unknown_code_and_wrong_amount_get_one_answer(shop: Shop) -> None:
    sale_id, person, other = shop.sale("A1", 8800), shop.customer("oA"), shop.customer("oB")
    code = shop.claim_code(sale_id)
    claiming.by_code(other, code, 8800, ADDRESS)
    answers = set()
    for wrong, amount in ((code, 8801), (codes.claim_code("s1"), 8800), (code[:-1] + "?", 8800), ("", 0)):
        with pytest.raises(Missing) as told:
            claiming.by_code(person, wrong, amount, ADDRESS)
        answers.add((told.value.key, told.value.message))
    assert len(answers) == 1


def test_codes_live_thirty_days(shop: Shop, clock) -> None:
    sale_id, person = shop.sale("A1", 8800), shop.customer("oA")
    token, code = token_of(sale_id), shop.claim_code(sale_id)
    clock.forward(days=30)
    with pytest.raises(Missing):
        claiming.by_code(person, code, 8800, ADDRESS)
    with pytest.raises(Refused, match="有效期"):
        claiming.by_slip(person, token)
    assert owner(sale_id) is None


def test_the_slip_binds_for_whoever_holds_it(shop: Shop) -> None:
    sale_id = shop.sale("A1", payer_app_id=WECHAT_APP, payer_open_id="oPayer")
    holder, late = shop.customer("oB"), shop.customer("oC")

    claiming.by_slip(holder, token_of(sale_id))
    claiming.by_slip(holder, token_of(sale_id))
    with pytest.raises(Again):
        claiming.by_slip(late, token_of(sale_id))

    assert owner(sale_id) == holder


def test_an_altered_slip_is_nobodys(shop: Shop) -> None:
    person, first, second = shop.customer("oA"), shop.sale("A1"), shop.sale("A2")
    token = token_of(first)
    parts, others = token.split("."), token_of(second).split(".")
    altered = [
        token[:-1],
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        token + "=",
        token + "é",
        ".".join([*parts[:3], others[3], parts[4]]),
        ".".join([parts[0], "2", *parts[2:]]),
        ".".join([*parts[:2], str(int(parts[2]) + 1), *parts[3:]]),
        "2" + token[1:],
        "x" * 3000,
        "",
    ]
    for wrong in altered:
        with pytest.raises(Missing):
            claiming.by_slip(person, wrong)
    assert owner(first) is None


def test_a_payer_known_under_the_claimers_app_is_the_only_one_without_slip(shop: Shop) -> None:
    sale_id = shop.sale("A1", payer_app_id=WECHAT_APP, payer_open_id="oPayer")
    code = shop.claim_code(sale_id)
    stranger, payer = shop.customer("oStranger"), shop.customer("oPayer")
    with pytest.raises(Refused, match="二维码"):
        claiming.by_code(stranger, code, 8800, ADDRESS)
    claiming.by_code(payer, code, 8800, ADDRESS)
    assert owner(sale_id) == payer


def test_a_payer_of_another_app_stands_in_nobodys_way(shop: Shop) -> None:
    sale_id = shop.sale("A1", payer_app_id=ALIPAY_APP, payer_open_id="2088")
    person = shop.customer("oA")
    claiming.by_code(person, shop.claim_code(sale_id), 8800, ADDRESS)
    assert owner(sale_id) == person


@pytest.mark.parametrize(("customers", "addresses", "allowed"), [(1, 1, 5), (11, 1, 50)])
def test_guesses_are_limited_also_when_each_was_refused(
    shop: Shop, clock, customers: int, addresses: int, allowed: int
) -> None:
    people = [shop.customer(f"o{n}") for n in range(customers)]
    tried = 0
    with pytest.raises(TooOften) as told:
        for turn in range(allowed + 5):
            with pytest.raises(Missing):
                claiming.by_code(people[turn % customers], codes.claim_code("s1"), 8800, ADDRESS)
            tried += 1
    assert tried == allowed and 0 < told.value.retry_after <= 3600
    clock.forward(hours=1, seconds=1)
    with pytest.raises(Missing):
        claiming.by_code(people[0], codes.claim_code("s1"), 8800, ADDRESS)


def test_right_codes_use_up_no_guesses(shop: Shop) -> None:
    person = shop.customer("oA")
    for number in range(8):
        claiming.by_code(person, shop.claim_code(shop.sale(f"B{number}")), 8800, ADDRESS)


def test_twenty_guesses_at_once_are_twenty(shop: Shop) -> None:
    person, answers = shop.customer("oA"), []

    def guess() -> None:
        try:
            claiming.by_code(person, codes.claim_code("s1"), 1, ADDRESS)
        except (Missing, TooOften) as told:
            answers.append(type(told))

    _together(guess)
    assert answers.count(Missing) == 5 and answers.count(TooOften) == 15


def test_twenty_people_at_once_give_one_owner(shop: Shop) -> None:
    sale_id = shop.sale("A1")
    token, people, winners = token_of(sale_id), [shop.customer(f"o{n}") for n in range(20)], []

    def take() -> None:
        person = people.pop()
        try:
            claiming.by_slip(person, token)
            winners.append(person)
        except Again:
            pass

    _together(take)
    assert winners == [owner(sale_id)]
    with db.reading() as session:
        assert session.query(PurchaseClaim).count() == 1


def test_the_slip_says_where_it_leads_and_how_to_claim(shop: Shop) -> None:
    composition.use(composition.Composition(public_base="https://pay.example.com"))
    try:
        sale_id = shop.sale("A1", 8800)
        slip = slips.slip_of(sale_id)
    finally:
        composition.use(composition.Composition())
    assert slip["url"].startswith("https://pay.example.com/c/slip/1.")
    assert slip["claim_code"] == shop.claim_code(sale_id)
    assert {len(row) for row in slip["qr_matrix"]} == {len(slip["qr_matrix"])}
    assert any("88.00" in line for line in slip["lines"])


def _together(act) -> None:
    threads = [threading.Thread(target=act) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
