"""What a customer has chosen so far, carried by the pages' addresses and forms; nothing here is believed."""

from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from miniapp.core.errors import Refused
from miniapp.invoices.requesting import AT_MOST, WAYS, Ask


@dataclass(frozen=True)
class Choice:
    """Purchases, title and ways of delivery; ``expected_fen`` is the sum that the page showed."""

    purchases: tuple[str, ...]
    title: str
    ways: tuple[str, ...]
    expected_fen: int
    form_key: str

    def ask(self) -> Ask:
        """As the verb takes it. Raises Refused without a title."""
        if not self.title:
            raise Refused("h5.title_needed")
        return Ask(
            purchases=self.purchases,
            title=self.title,
            expected_fen=self.expected_fen,
            form_key=self.form_key,
            ways=self.ways,
        )

    @property
    def query(self) -> dict[str, object]:
        """The choice as parameters of a page's address."""
        return {"p": list(self.purchases), "way": list(self.ways), "title": self.title or None}


def choice_of(values: MultiDict[str, str]) -> Choice:
    """Read ``p`` (repeated), ``title``, ``way`` (repeated), ``expected_fen``, ``form_key``. Raises Refused without a purchase."""
    purchases = tuple(dict.fromkeys(one[:64] for one in values.getlist("p")))
    if not purchases or len(purchases) > AT_MOST:
        raise Refused("invoices.pick_purchases", limit=AT_MOST)
    expected = values.get("expected_fen", "")
    return Choice(
        purchases=purchases,
        title=values.get("title", "")[:64],
        ways=tuple(way for way in WAYS if way in values.getlist("way")) or ("chat", "page"),
        expected_fen=int(expected) if expected.isascii() and expected.isdigit() and len(expected) < 15 else 0,
        form_key=values.get("form_key", "")[:64],
    )
