"""Many at once want the invoice of one purchase: one live request each time, and the balance holds."""

from functools import partial

from miniapp.core.errors import Refused
from miniapp.invoices import queries, requesting
from tests.people import WECHAT_APP, Retailer
from tests.races.running import ROUNDS, good, together, unexpected

CUSTOMERS = 20


def form(retailer: Retailer, number: str, title: str, key: str, *, amount_fen: int = 8800) -> requesting.Ask:
    return requesting.Ask((retailer.public_id(number),), title, amount_fen, key)


def test_of_twenty_parallel_requests_one_is_live(retailer: Retailer) -> None:
    customer = retailer.customer()
    title = retailer.title(customer)
    for turn in range(ROUNDS):
        number = retailer.sale(8800, at_platform=False)
        forms = [form(retailer, number, title, f"{turn}:{one}") for one in range(CUSTOMERS)]

        results = together([partial(requesting.ask, customer, WECHAT_APP, one) for one in forms])

        assert len(good(results)) == 1, results
        assert not unexpected(results, Refused), results
        assert retailer.live_requests(number) == 1
        assert retailer.balance(number) == (8800, 8800, 0)


def test_the_same_form_sent_many_times_at_once_is_one_request(retailer: Retailer) -> None:
    customer = retailer.customer()
    title = retailer.title(customer)
    for turn in range(ROUNDS):
        number = retailer.sale(8800, at_platform=False)
        one = form(retailer, number, title, f"tap:{turn}")

        results = together([partial(requesting.ask, customer, WECHAT_APP, one)] * 6)

        assert len(good(results)) == 6, results
        assert len(set(results)) == 1, results
        assert retailer.live_requests(number) == 1


def test_two_requests_over_the_same_purchases_in_other_order_never_wait_in_a_ring(retailer: Retailer) -> None:
    customer = retailer.customer()
    title = retailer.title(customer)
    for turn in range(ROUNDS):
        numbers = [retailer.sale(8800, at_platform=False) for _ in range(3)]
        ids = [retailer.public_id(number) for number in numbers]
        orders = [ids, ids[::-1], ids[1:] + ids[:1], ids[:1], ids[2:]]
        asks = [
            requesting.Ask(tuple(order), title, 8800 * len(order), f"ring:{turn}:{at}")
            for at, order in enumerate(orders)
        ]

        results = together([partial(requesting.ask, customer, WECHAT_APP, one) for one in asks])

        assert not unexpected(results, Refused), results
        assert 1 <= len(good(results)) <= 2, results
        assert all(retailer.live_requests(number) <= 1 for number in numbers)


def test_a_refund_beside_the_asking_never_leaves_more_claimed_than_may_be(retailer: Retailer) -> None:
    customer = retailer.customer()
    title = retailer.title(customer)
    for turn in range(ROUNDS):
        number = retailer.sale(8800, at_platform=False)
        one = form(retailer, number, title, f"beside:{turn}")

        results = together(
            [partial(requesting.ask, customer, WECHAT_APP, one), partial(retailer.refund, number, 800)]
        )

        assert not unexpected(results, Refused), results
        limit_fen, claimed_fen, excess_fen = retailer.balance(number)
        assert (limit_fen, excess_fen) == (8000, 0)
        assert claimed_fen in (0, 8000)
        if isinstance(results[0], str):
            assert queries.request(results[0]).row.amount_fen == 8000 == claimed_fen
