"""What a person has typed and not yet sent: kept a day, sealed, because titles hold bank accounts."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete, select

from miniapp import db
from miniapp.core import vault
from miniapp.core.clock import now
from miniapp.core.models import Draft

KEPT = timedelta(days=1)
LONGEST = 20_000
"""Characters of one draft; a longer one is no form of ours and is not kept."""


def keep(owner: str, form: str, values: Mapping[str, str]) -> None:
    """Keep the values of a form for its owner (``customer:<id>``), in the place of older ones."""
    text = json.dumps(dict(values), ensure_ascii=False)
    if len(text) > LONGEST:
        return
    sealed = {"sealed": b64encode(vault.wrap(text, name=f"draft:{owner}:{form}")).decode("ascii")}
    with db.transaction() as session:
        row = session.scalar(select(Draft).where(Draft.owner == owner, Draft.form == form).with_for_update())
        if row is None:
            session.add(Draft(owner=owner, form=form, values=sealed, saved_at=now()))
        else:
            row.values, row.saved_at = sealed, now()
        session.execute(delete(Draft).where(Draft.saved_at < now() - KEPT))


def find(owner: str, form: str) -> dict[str, str]:
    """The values kept of a form; empty where there are none, or they are older than a day."""
    with db.reading() as session:
        row = session.scalar(
            select(Draft).where(Draft.owner == owner, Draft.form == form, Draft.saved_at >= now() - KEPT)
        )
        if row is None:
            return {}
        sealed = b64decode(row.values["sealed"])
    values: dict[str, str] = json.loads(vault.unwrap(sealed, name=f"draft:{owner}:{form}"))
    return values


def drop(owner: str, form: str) -> None:
    """The form was sent: forget its values."""
    with db.transaction() as session:
        session.execute(delete(Draft).where(Draft.owner == owner, Draft.form == form))


def drop_all(owner: str) -> None:
    """The person asked to be forgotten."""
    with db.transaction() as session:
        session.execute(delete(Draft).where(Draft.owner == owner))
