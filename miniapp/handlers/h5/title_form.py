"""The form of C5 as values: both kinds' fields live side by side, only the chosen kind is sent to the verb."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from werkzeug.datastructures import MultiDict

from miniapp.core.text import mask_number
from miniapp.titles.rules import split_block

COMPANY = ("name", "taxpayer_no", "address", "phone", "bank", "account", "email")
PERSONAL = ("name", "email")
LONGEST = 300
PASTE = "pasted"


@dataclass(frozen=True)
class TitleForm:
    """``values`` are as typed: ``type``, ``company.name``, ``personal.name`` … ``masked_account``: one is kept."""

    values: dict[str, str] = field(default_factory=dict)
    masked_account: str = ""
    read_fields: int | None = None

    @property
    def type(self) -> str:
        """company | personal, or another kind that the title already has."""
        return self.values.get("type") or "company"

    @property
    def is_default(self) -> bool:
        """Is it to become the default?"""
        return self.values.get("is_default") == "1"

    @property
    def wants_reading(self) -> bool:
        """Was the button pressed that reads a pasted text?"""
        return self.values.get("act") == "read"

    @property
    def keeps_account(self) -> bool:
        """Did the page show an account that we keep?"""
        return self.values.get("keeps_account") == "1" and self.values.get("drop_account") != "1"

    @property
    def fields(self) -> dict[str, object]:
        """What the verb gets: the chosen kind alone."""
        group, names = ("personal", PERSONAL) if self.type == "personal" else ("company", COMPANY)
        fields: dict[str, object] = {name: self.values.get(f"{group}.{name}", "") for name in names}
        fields["type"] = self.type
        if self.values.get("confirmed") == "1":
            fields["confirmed"] = True
        return fields

    def beside(self, draft: Mapping[str, str]) -> "TitleForm":
        """The same with the other kind's fields, which a browser does not send, from what was kept of them."""
        other = "company." if self.type == "personal" else "personal."
        kept = {name: value for name, value in draft.items() if name.startswith(other)}
        return replace(self, values={**kept, **self.values})

    def with_pasted(self) -> "TitleForm":
        """The same with what a pasted text says put into the company's fields."""
        found = split_block(self.values.get(PASTE, ""))
        read = {f"company.{name}": found[name] for name in COMPANY if name in found}
        values = {**self.values, **read, "type": "company"} if read else dict(self.values)
        return TitleForm(values, self.masked_account, read_fields=len(read))


def read(form: MultiDict[str, str]) -> TitleForm:
    """What a browser sent, cut to what a form can hold."""
    known = {f"company.{name}" for name in COMPANY} | {f"personal.{name}" for name in PERSONAL}
    known |= {"type", "is_default", "confirmed", "act", "keeps_account", "drop_account"}
    values = {name: form[name][:LONGEST] for name in known if name in form}
    values[PASTE] = form.get(PASTE, "")[:2000]
    return TitleForm(values, form.get("masked_account", "")[:24])


def of_title(title: Mapping[str, object]) -> TitleForm:
    """A stored title as the form shows it; the account only by its last four digits."""
    group = "personal" if title["type"] == "personal" else "company"
    values = {f"{group}.{name}": str(title.get(name) or "") for name in COMPANY if name != "account"}
    values["type"] = str(title["type"])
    values["is_default"] = "1" if title["is_default"] else ""
    account = str(title.get("account") or "")
    return TitleForm(values, mask_number(account, head=0, tail=4) if account else "")
