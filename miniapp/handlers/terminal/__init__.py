"""``/terminal/v1``: the door for tills. Signed requests in, JSON out; the store and terminal come from the key."""

from flask import Blueprint, Response, g, request

from miniapp.core.errors import Failure
from miniapp.handlers.terminal import answering, openapi, signing, views

BODY_BYTES = 64 * 1024
UNSIGNED = "openapi"


def blueprints() -> list[Blueprint]:
    """The blueprints of this door."""
    return [create_blueprint()]


def create_blueprint() -> Blueprint:
    """The door as a Flask blueprint."""
    blueprint = Blueprint("terminal", __name__, url_prefix="/terminal/v1")
    blueprint.before_request(_check)
    blueprint.register_error_handler(Failure, answering.error)
    blueprint.add_url_rule("/charges", view_func=views.charge, methods=["POST"])
    blueprint.add_url_rule("/charges/<out_trade_no>", view_func=views.charge_state)
    blueprint.add_url_rule("/transactions", view_func=views.report, methods=["POST"])
    blueprint.add_url_rule("/transactions", view_func=views.transactions, methods=["GET"])
    blueprint.add_url_rule("/refunds", view_func=views.refund, methods=["POST"])
    blueprint.add_url_rule("/slips/<out_trade_no>", view_func=views.slip)
    blueprint.add_url_rule("/heartbeat", view_func=views.heartbeat, methods=["POST"])
    blueprint.add_url_rule("/openapi.json", UNSIGNED, view_func=_openapi)
    return blueprint


def _check() -> None:
    """Bound, then verify, before anything is parsed."""
    request.max_content_length = BODY_BYTES
    if request.endpoint == f"terminal.{UNSIGNED}":
        return
    g.terminal = signing.terminal_of(_sent(), request.headers.get("Authorization", ""))
    if request.method == "POST":
        _check_is_json()


def _check_is_json() -> None:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    is_plain = not request.headers.get("Content-Encoding")
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8") or not is_plain:
        raise NotJson("terminal.not_json")


class NotJson(Failure):
    """Another content type, charset or a compressed body."""

    status = 415


def _sent() -> signing.Sent:
    """Method, path and query exactly as they stood in the request line."""
    raw: str = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.full_path
    if raw.startswith(("http://", "https://")):
        raw = "/" + raw.split("://", 1)[1].partition("/")[2]
    path, _, query = raw.partition("?")
    return signing.Sent(request.method, path, query, request.get_data())


def _openapi() -> Response:
    return answering.plain(answering.Answer(openapi.document()))
