"""``/notify/<family>/<kind>/<token>``: any platform's notice. It is a hint: the same question follows as without it."""

import hmac

from flask import Blueprint, Response, request

from miniapp.core.errors import Missing
from miniapp.handlers.guards import public
from miniapp.invoices import notices


def blueprints() -> list[Blueprint]:
    """The one generic door; a notice that nobody can read, or of a serial that is not ours, changes nothing."""
    door = Blueprint("notifications", __name__)

    @door.post("/notify/<family>/<kind>/<token>")
    @public
    def receive(family: str, kind: str, token: str) -> Response:
        if family != "channel":
            raise Missing("core.not_found")
        channel_id = next(
            (one for one in notices.channel_ids(kind) if _same(notices.token(one), token)), None
        )
        if channel_id is None:
            raise Missing("core.not_found")
        media_type, body = notices.receive(channel_id, request.get_data())
        return Response(body, content_type=media_type)

    return [door]


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "replace"))
