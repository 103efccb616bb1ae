"""A store's choices, typed, with their defaults."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """How a store confirms, when its purchases may be invoiced, and for how long customers serve themselves."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    confirm: Literal["never", "above", "always"] = "always"
    confirm_above_fen: int = Field(0, ge=0)
    invoice_after: Literal["vouched", "matched", "closed"] = "vouched"
    order_query: bool = True
    window_days: int = Field(180, ge=0, le=3650)
    platform_discount: Literal["exclude", "invoice"] = "exclude"

    def asks_cashier(self, amount_fen: int) -> bool:
        """Does a request over this amount wait for a cashier?"""
        return self.confirm == "always" or (self.confirm == "above" and amount_fen > self.confirm_above_fen)


class DefaultLine(BaseModel):
    """What a sale without lines is invoiced as."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=90)
    tax_category_code: str = Field(pattern=r"^\d{19}$")
    tax_rate: str = Field(pattern=r"^0(\.\d{1,4})?$")
    unit: str = Field("", max_length=20)


@dataclass(frozen=True)
class StorePolicy:
    """A store's policy and default line as the verbs use them."""

    policy: Policy
    default_line: DefaultLine | None


def policy_of(stored: dict[str, Any], default_line: dict[str, Any] | None) -> StorePolicy:
    """Typed from what ``setup`` stored."""
    line = DefaultLine.model_validate(default_line) if default_line else None
    return StorePolicy(Policy.model_validate(stored), line)
