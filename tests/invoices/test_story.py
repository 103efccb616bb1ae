"""From a purchase to its invoice, through the chat, the tax channel and back: the everyday way and every turn of it."""

import re
from dataclasses import replace

import pytest

from miniapp.core.errors import Again, Forbidden, Missing, Refused
from miniapp.invoices import confirming, issuing, queries, requesting
from miniapp.payments.reports import Line
from tests.people import Opened, Retailer


def test_an_asked_invoice_is_vouched_for_issued_and_told(retailer: Retailer) -> None:
    number = retailer.sale(8800)

    request = retailer.ask(number)
    assert retailer.state(request) == "waiting_reconciliation"
    retailer.settle()

    assert retailer.state(request) == "issued"
    (issued,) = retailer.issued_outside()[-1:]
    (invoice,) = retailer.invoices()
    assert (invoice.number, invoice.total_fen) == (issued["invoice_no"], 8800)
    assert re.fullmatch(r"\d{20}", invoice.number)
    view = queries.invoice(invoice.public_id)
    assert {"pdf", "png"} <= set(view.files)
    assert any(invoice.number in str(message) for message in retailer.messages("顾客甲"))


def test_the_same_form_twice_is_one_request(retailer: Retailer) -> None:
    number = retailer.sale()
    first = retailer.ask(number, form_key="tap")
    assert retailer.ask(number, form_key="tap", expected_fen=8800) == first
    assert retailer.live_requests(number) == 1


def test_a_second_request_for_the_same_purchase_is_refused(retailer: Retailer) -> None:
    number = retailer.sale()
    retailer.ask(number)
    with pytest.raises(Refused, match="已申请"):
        retailer.ask(number, expected_fen=8800)
    assert retailer.balance(number) == (8800, 8800, 0)


def test_somebody_elses_purchase_looks_like_none(retailer: Retailer) -> None:
    number = retailer.sale(payer="顾客甲")
    with pytest.raises(Missing):
        retailer.ask(number, customer=retailer.customer("顾客乙"), expected_fen=8800)


def test_a_refund_before_asking_lowers_the_sum(retailer: Retailer) -> None:
    number = retailer.sale(8800, at_platform=False)
    retailer.refund(number, 3000)
    with pytest.raises(Refused, match="金额有变化"):
        retailer.ask(number, expected_fen=8800)
    retailer.ask(number, expected_fen=5800)
    assert retailer.balance(number) == (5800, 5800, 0)


def test_a_full_refund_leaves_nothing_to_ask_for(retailer: Retailer) -> None:
    number = retailer.sale(8800, at_platform=False)
    retailer.refund(number, 8800)
    with pytest.raises(Refused, match="全额退款"):
        retailer.ask(number, expected_fen=0)


def test_a_refund_while_waiting_shrinks_the_request(retailer: Retailer) -> None:
    number = retailer.sale(8800, at_platform=False)
    request = retailer.ask(number)
    retailer.refund(number, 800)
    view = retailer.view(request)
    assert (view.row.amount_fen, view.row.version) == (8000, 2)
    assert retailer.balance(number) == (8000, 8000, 0)
    retailer.refund(number, 8000)
    assert retailer.state(request) == "cancelled"
    assert retailer.balance(number) == (0, 0, 0)


def test_a_refund_after_issuing_raises_one_reversal_task(retailer: Retailer) -> None:
    number = retailer.sale(8800)
    request = retailer.ask(number)
    retailer.settle()
    assert retailer.state(request) == "issued"

    retailer.refund(number, 3000)
    retailer.refund(number, 1000)

    assert retailer.balance(number) == (4800, 8800, 4000)
    (task,) = retailer.tasks("reversal")
    assert task.values["excess"] == "¥40.00"


def test_an_unconfirmed_payment_waits(retailer: Retailer) -> None:
    number = retailer.sale(at_platform=False)
    request = retailer.ask(number)
    retailer.settle(rounds=4)
    assert retailer.state(request) == "waiting_reconciliation"
    assert retailer.view(request).missing_proof == "reconcile.proof.not_confirmed"
    assert not retailer.invoices()


def test_a_customer_cancels_before_approval_and_asks_again(retailer: Retailer) -> None:
    number = retailer.sale(at_platform=False)
    request = retailer.ask(number)
    requesting.cancel(retailer.customer(), request)
    assert retailer.state(request) == "cancelled"
    assert retailer.balance(number) == (8800, 0, 0)
    retailer.ask(number)


def test_two_purchases_of_one_company_make_one_invoice(retailer: Retailer) -> None:
    first, second = retailer.sale(8800), retailer.sale(11500)
    request = retailer.ask(first, second)
    retailer.settle()
    assert retailer.state(request) == "issued"
    (invoice,) = retailer.invoices()
    assert invoice.total_fen == 20300


def test_a_lost_answer_is_asked_about_and_issued_once(retailer: Retailer) -> None:
    """The channel does not deduplicate here: a second order would be a second invoice in its ledger."""
    before = len(retailer.issued_outside())
    number = retailer.sale()
    retailer.fault("nuonuo.requestBillingNew", "commit_then_drop")
    request = retailer.ask(number)
    retailer.settle(rounds=20)
    assert retailer.state(request) == "issued"
    assert len(retailer.issued_outside()) == before + 1


def test_an_order_that_never_arrived_is_sent_again_with_its_serial(retailer: Retailer) -> None:
    before = len(retailer.issued_outside())
    number = retailer.sale()
    retailer.fault("nuonuo.requestBillingNew", "drop")
    request = retailer.ask(number)
    retailer.settle(rounds=3)
    assert retailer.state(request) in ("issuing", "unknown")
    retailer.settle(rounds=20, step=60)
    assert retailer.state(request) == "issued"
    assert len(retailer.issued_outside()) == before + 1


def test_a_refusal_of_the_channel_ends_the_request_and_frees_the_purchase(retailer: Retailer) -> None:
    number = retailer.sale()
    retailer.fault("nuonuo.requestBillingNew", "fails:抬头有误")
    request = retailer.ask(number)
    retailer.settle(rounds=20)
    assert retailer.state(request) == "failed"
    assert retailer.balance(number) == (8800, 0, 0)
    assert any("失败" in str(message) for message in retailer.messages("顾客甲"))


def test_another_buyers_answer_is_never_delivered(retailer: Retailer) -> None:
    number = retailer.sale()
    retailer.fault("nuonuo.queryInvoiceResult", "foreign_answer", times=None)
    request = retailer.ask(number)
    retailer.settle(rounds=20)
    assert retailer.state(request) == "unknown"
    assert not retailer.invoices()
    retailer.settle(rounds=10, step=600)
    assert [task.kind for task in retailer.tasks()] == ["unknown_invoice"]
    assert not retailer.invoices()


def test_two_numbers_for_one_order_keep_the_first_and_raise_an_incident(retailer: Retailer) -> None:
    number = retailer.sale()
    retailer.fault("nuonuo.requestBillingNew", "two_numbers")
    request = retailer.ask(number)
    retailer.settle(rounds=20)
    assert retailer.state(request) == "issued"
    assert len(retailer.invoices()) == 1
    issuing.hint(retailer.ledger()["issues"][-1]["serial"])
    retailer.settle(rounds=2)
    assert len(retailer.invoices()) == 1
    assert [task.values["what"] for task in retailer.tasks("incident")] == ["two_numbers"]


def test_a_company_without_a_channel_gets_a_specimen(open_retailer: Opened) -> None:
    retailer = open_retailer(channel="yp")
    number = retailer.sale()
    request = retailer.ask(number)
    retailer.settle(rounds=4)
    assert retailer.state(request) == "issued"
    (invoice,) = retailer.invoices()
    assert invoice.is_specimen and not re.fullmatch(r"\d{20}", invoice.number)


def test_lines_that_do_not_add_up_are_not_invoiced(retailer: Retailer) -> None:
    good = Line("矿泉水", 8800, tax_category_code="1030307040000000000", tax_rate="0.13")
    number = retailer.sale(8800, lines=[replace(good, amount_fen=8000)])
    with pytest.raises(Refused, match="不符"):
        retailer.ask(number, expected_fen=8800)
    (row,) = queries.purchases(retailer.customer())
    assert row.obstacle == "invoices.obstacle.lines_differ"
    retailer.ask(retailer.sale(8800, lines=[good]))


class TestCashier:
    """Confirming by chat: one answer counts; every other changes nothing and says why."""

    def awaiting(self, retailer: Retailer, amount_fen: int = 8800) -> tuple[str, str]:
        number = retailer.sale(amount_fen)
        request = retailer.ask(number)
        retailer.work(seconds=3)
        view = retailer.view(request)
        assert view.row.state == "awaiting_confirmation", view
        assert view.row.confirm_code is not None
        return request, view.row.confirm_code

    def test_a_cashier_confirms_and_it_is_issued(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        retailer.on_duty("收银员甲")
        request, code = self.awaiting(retailer)
        assert any(code in str(message) for message in retailer.messages("收银员甲"))

        assert "已确认" in retailer.says("收银员甲", f"确认 {code.lower()}")
        retailer.settle()

        assert retailer.state(request) == "issued"

    def test_the_second_cashier_is_told_that_the_first_was_faster(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        for name in ("收银员甲", "收银员乙"):
            retailer.on_duty(name)
        before = len(retailer.issued_outside())
        _, code = self.awaiting(retailer)
        retailer.says("收银员甲", f"确认 {code}")
        reply = retailer.says("收银员乙", f"确认 {code}")
        assert "已由收银员甲" in reply and "未重复" in reply
        retailer.settle()
        assert "已由收银员甲" in retailer.says("收银员乙", f"拒绝 {code} 金额不符")
        assert len(retailer.issued_outside()) == before + 1

    def test_a_rejection_carries_its_reason_to_the_customer(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        retailer.on_duty("收银员甲")
        request, code = self.awaiting(retailer)
        assert "原因" in retailer.says("收银员甲", f"拒绝 {code}")
        retailer.says("收银员甲", f"拒绝 {code} 金额不符")
        retailer.work(seconds=3)
        assert retailer.state(request) == "rejected"
        assert any(
            "金额不符" in str(message) or "驳回" in str(message) for message in retailer.messages("顾客甲")
        )

    def test_off_duty_and_strangers_change_nothing(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        retailer.on_duty("收银员甲")
        request, code = self.awaiting(retailer)
        retailer.says("收银员甲", "下班")
        assert "不是南京路店当班店员" in retailer.says("收银员甲", f"确认 {code}")
        assert "没有绑定店员" in retailer.says("顾客乙", f"确认 {code}")
        assert retailer.state(request) == "awaiting_confirmation"

    def test_an_edit_meanwhile_needs_the_new_code(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        retailer.on_duty("收银员甲")
        number = retailer.sale(8800)
        request = retailer.ask(number)
        retailer.work(seconds=3)
        old = retailer.view(request).row.confirm_code
        retailer.refund(number, 800)
        new = retailer.view(request).row.confirm_code
        assert old != new
        assert "新的确认码" in retailer.says("收银员甲", f"确认 {old}")
        assert "¥80.00" in retailer.says("收银员甲", f"确认 {new}")

    def test_nobody_confirms_an_own_request(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        retailer.on_duty("收银员甲")
        customer = retailer.customer("收银员甲")
        number = retailer.sale(8800, payer="收银员甲")
        request = retailer.ask(number, customer=customer)
        retailer.work(seconds=3)
        code = retailer.view(request).row.confirm_code
        assert "自己的申请" in retailer.says("收银员甲", f"确认 {code}")
        assert retailer.state(request) == "awaiting_confirmation"

    def test_late_answers_say_what_became_of_it(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        retailer.on_duty("收银员甲")
        request, code = self.awaiting(retailer)
        requesting.cancel(retailer.customer(), request)
        assert "已取消" in retailer.says("收银员甲", f"确认 {code}")
        assert "没有这个确认码" in retailer.says("收银员甲", "确认 ZZZ")

    def test_the_verb_checks_place_and_version_itself(self, asking_retailer: Retailer) -> None:
        retailer = asking_retailer
        request, _ = self.awaiting(retailer)
        request_id = confirming.by_public_id(request)
        with pytest.raises(Forbidden):
            confirming.approve(request_id, version=1, by=retailer.staff["收银员丙"])
        retailer.on_duty("收银员甲")
        with pytest.raises(Refused):
            confirming.approve(request_id, version=2, by=retailer.staff["收银员甲"])
        confirming.approve(request_id, version=1, by=retailer.staff["收银员甲"])
        with pytest.raises(Again):
            confirming.approve(request_id, version=1, by=retailer.staff["收银员甲"])

    def test_nobody_answers_so_the_next_person_and_the_manager_are_told(
        self, asking_retailer: Retailer
    ) -> None:
        retailer = asking_retailer
        for name in ("收银员甲", "收银员乙", "店长甲"):
            retailer.on_duty(name)
        retailer.says("店长甲", "下班")
        _, code = self.awaiting(retailer)
        assert not any(code in str(message) for message in retailer.messages("收银员乙"))
        retailer.work(seconds=130)
        assert any(code in str(message) for message in retailer.messages("收银员乙"))
        retailer.work(seconds=130)
        assert any(code in str(message) for message in retailer.messages("店长甲"))


class TestWords:
    """The whole way by words alone."""

    def test_a_request_in_three_replies(self, retailer: Retailer) -> None:
        retailer.sale(20000)
        retailer.title(retailer.customer())
        assert "可开票 1 笔" in retailer.says("顾客甲", "发票")
        assert "¥200.00" in retailer.says("顾客甲", "1")
        assert "已提交" in retailer.says("顾客甲", "确认")
        retailer.settle()
        assert "已开具" in retailer.says("顾客甲", "进度")

    def test_the_same_message_three_times_is_one_act(self, retailer: Retailer) -> None:
        number = retailer.sale(20000)
        retailer.title(retailer.customer())
        retailer.says("顾客甲", "发票")
        retailer.says("顾客甲", "1")
        replies = {retailer.says("顾客甲", "确认", key="one-message") for _ in range(3)}
        assert len(replies) == 1
        assert retailer.live_requests(number) == 1

    def test_a_pasted_title_is_split_checked_and_used(self, retailer: Retailer) -> None:
        retailer.sale(20000)
        retailer.says("顾客甲", "发票")
        assert "还没有抬头" in retailer.says("顾客甲", "1")
        reply = retailer.says("顾客甲", "名称：北京示例科技有限公司\n税号：9144030071526726XG")
        assert "校验通过" in reply
        assert "北京示例科技有限公司" in retailer.says("顾客甲", "使用")
        assert "已提交" in retailer.says("顾客甲", "确认")

    def test_anything_else_gets_help(self, retailer: Retailer) -> None:
        for text in ("？？", "<a href=x>", "9", "确认 QQ", ""):
            assert "发票" in retailer.says("顾客甲", text)
