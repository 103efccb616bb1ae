"""The database says which installation it belongs to; a copy that came elsewhere must not call out."""

from sqlalchemy import select

from miniapp import db
from miniapp.core.clock import real_now
from miniapp.core.errors import Refused
from miniapp.core.models import Stamp


def check(environment: str, instance: str) -> None:
    """Write the stamp the first time; afterwards raise Refused where it differs from the settings."""
    with db.transaction() as session:
        stamp = session.scalar(select(Stamp).limit(1))
        if stamp is None:
            session.add(Stamp(id=1, environment=environment, instance=instance, created_at=real_now()))
            return
        found, expected = f"{stamp.environment}/{stamp.instance}", f"{environment}/{instance}"
    if found != expected:
        raise Refused("core.stamp_differs", found=found, expected=expected)
