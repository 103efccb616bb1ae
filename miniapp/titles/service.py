"""The title book: add, change, choose the default, remove. Edits never touch what was already asked for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, codes, vault
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.core.text import mask_number
from miniapp.titles import rules
from miniapp.titles.models import Title

AT_MOST = 50
PLAIN = ("type", "name", "taxpayer_no", "address", "phone", "bank", "email", "mobile", "remark")
FROZEN = ("type", "name", "taxpayer_no", "address", "phone", "bank", "account", "email", "mobile", "remark")
"""What a request copies of a title."""


@dataclass(frozen=True)
class TitleView:
    """A title as its owner sees it; the bank account stays sealed until it is needed."""

    public_id: str
    type: str
    name: str
    taxpayer_no: str
    address: str
    phone: str
    bank: str
    masked_account: str
    email: str
    mobile: str
    remark: str
    is_default: bool

    @property
    def is_company(self) -> bool:
        """Does it carry a taxpayer's number?"""
        return self.type in ("company", "government")


def book(customer_id: int) -> list[TitleView]:
    """All titles of a customer: the default first, then the last used."""
    with db.reading() as session:
        return [_view(row) for row in _rows(session, customer_id)]


def book_in(session: Session, customer_id: int) -> list[TitleView]:
    """The same inside the caller's session."""
    return [_view(row) for row in _rows(session, customer_id)]


def one(customer_id: int, public_id: str) -> dict[str, Any]:
    """A title with all its fields, for the form that changes it. Raises Missing."""
    with db.reading() as session:
        row = _own(session, customer_id, public_id)
        return {**_frozen(row), "is_default": row.is_default, "public_id": row.public_id}


def add(customer_id: int, fields: Mapping[str, Any], *, is_default: bool = False) -> str:
    """Add a title; the same title again is the same row. Answers its public id.

    Raises InvalidTitle, Refused (50 titles at most).
    """
    title = rules.check(dict(fields))
    with db.transaction() as session:
        row = _same(session, customer_id, title)
        if row is None:
            count = session.scalar(
                select(func.count()).where(Title.customer_id == customer_id, Title.deleted_at.is_(None))
            )
            if (count or 0) >= AT_MOST:
                raise Refused("titles.too_many", limit=AT_MOST)
            row = Title(public_id=codes.public_id(), customer_id=customer_id, used_at=now(), changed_at=now())
            is_default = is_default or count == 0
            session.add(row)
        _write(row, title)
        session.flush()
        if is_default:
            _make_default(session, row)
        audit.note(session, "title", row.id, "save", by=f"customer:{customer_id}")
        return row.public_id


def change(customer_id: int, public_id: str, fields: Mapping[str, Any], *, is_default: bool = False) -> None:
    """Change a title. Raises InvalidTitle, Missing, Refused (another title is the same)."""
    title = rules.check(dict(fields))
    with db.transaction() as session:
        row = _own(session, customer_id, public_id)
        same = _same(session, customer_id, title)
        if same is not None and same.id != row.id:
            raise Refused("titles.same_exists", name=same.name)
        _write(row, title)
        session.flush()
        if is_default:
            _make_default(session, row)
        audit.note(session, "title", row.id, "change", by=f"customer:{customer_id}")


def choose_default(customer_id: int, public_id: str) -> None:
    """Make a title the one that is offered first. Raises Missing."""
    with db.transaction() as session:
        _make_default(session, _own(session, customer_id, public_id))


def remove(customer_id: int, public_id: str) -> None:
    """Remove a title from the book; requests and invoices keep their copies. Raises Missing."""
    with db.transaction() as session:
        row = _own(session, customer_id, public_id)
        row.deleted_at, row.is_default = now(), False
        audit.note(session, "title", row.id, "remove", by=f"customer:{customer_id}")


def remove_all(customer_id: int) -> None:
    """Empty the book: a person asked to be forgotten."""
    with db.transaction() as session:
        session.execute(
            update(Title)
            .where(Title.customer_id == customer_id, Title.deleted_at.is_(None))
            .values(deleted_at=now(), is_default=False)
        )
        audit.note(session, "customer", customer_id, "remove_titles", by=f"customer:{customer_id}")


def freeze(session: Session, customer_id: int, public_id: str) -> tuple[int, dict[str, Any]]:
    """A step: the title's id and a copy of its fields for a request, and it becomes the last used. Raises Missing."""
    row = _own(session, customer_id, public_id)
    row.used_at = now()
    return row.id, _frozen(row)


def _rows(session: Session, customer_id: int) -> list[Title]:
    return list(
        session.scalars(
            select(Title)
            .where(Title.customer_id == customer_id, Title.deleted_at.is_(None))
            .order_by(Title.is_default.desc(), Title.used_at.desc(), Title.id.desc())
        )
    )


def _own(session: Session, customer_id: int, public_id: str) -> Title:
    row = session.scalar(
        select(Title).where(
            Title.public_id == public_id, Title.customer_id == customer_id, Title.deleted_at.is_(None)
        )
    )
    if row is None:
        raise Missing("core.not_found")
    return row


def _same(session: Session, customer_id: int, title: Mapping[str, Any]) -> Title | None:
    key = rules.dedup_key(title["type"], name=title["name"], taxpayer_no=title.get("taxpayer_no") or "")
    return session.scalar(
        select(Title).where(
            Title.customer_id == customer_id, Title.dedup_key == key, Title.deleted_at.is_(None)
        )
    )


def _write(row: Title, title: Mapping[str, Any]) -> None:
    for name in PLAIN:
        setattr(row, name, title.get(name) or "")
    account = title.get("account") or ""
    row.sealed_account = vault.wrap(account, name="title_account") if account else None
    row.dedup_key = rules.dedup_key(row.type, name=row.name, taxpayer_no=row.taxpayer_no)
    row.changed_at = now()
    if row.is_default is None:
        row.is_default = False


def _make_default(session: Session, row: Title) -> None:
    session.execute(
        update(Title).where(Title.customer_id == row.customer_id, Title.is_default).values(is_default=False)
    )
    session.flush()
    row.is_default = True
    session.flush()


def _frozen(row: Title) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in PLAIN}
    fields["account"] = _account(row)
    return {name: fields[name] for name in FROZEN}


def _account(row: Title) -> str:
    return vault.unwrap(row.sealed_account, name="title_account") if row.sealed_account else ""


def _view(row: Title) -> TitleView:
    account = _account(row)
    return TitleView(
        public_id=row.public_id,
        masked_account=mask_number(account, head=0, tail=4) if account else "",
        is_default=row.is_default,
        **{name: getattr(row, name) for name in PLAIN},
    )


def as_dict(view: TitleView) -> dict[str, Any]:
    """A view as plain values."""
    return asdict(view)
