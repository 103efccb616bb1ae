"""`/control`: the hands that set this world up, move it and read its ledger. JSON in and out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from miniapp.sandbox import codes, payments
from miniapp.sandbox.world import BEIJING, World, stamp

MESSAGE_FILTERS = ("platform", "person", "account", "direction", "kind", "via")


def blueprint(world: World) -> Blueprint:
    """Configuration, clock, faults, ledger, payment codes."""
    bp = Blueprint("control", __name__, url_prefix="/control")

    @bp.before_request
    def only_json() -> tuple[Response, int] | None:
        # A page of another origin can post forms here, not JSON.
        if request.method != "GET" and request.content_length and not request.is_json:
            return jsonify(error="POST JSON"), 415
        return None

    @bp.errorhandler(ValueError)
    @bp.errorhandler(KeyError)
    @bp.errorhandler(TypeError)
    def unusable(problem: Exception) -> tuple[Response, int]:
        return jsonify(error=f"{type(problem).__name__}: {problem}"), 400

    _set_up(bp, world)
    _move(bp, world)
    _read(bp, world)
    return bp


def _set_up(bp: Blueprint, world: World) -> None:
    @bp.post("/config")
    def configure() -> Response:
        world.configure(request.get_json(), replace=request.args.get("replace") == "1")
        return jsonify(ok=True)

    @bp.post("/faults")
    def add_faults() -> Response:
        given = request.get_json()
        for document in given if isinstance(given, list) else [given]:
            world.faults.add(document)
        return jsonify(world.faults.list())

    @bp.get("/faults")
    def faults() -> Response:
        return jsonify(world.faults.list())

    @bp.delete("/faults")
    def clear_faults() -> Response:
        world.faults.clear(request.args.get("door"))
        return jsonify(world.faults.list())


def _move(bp: Blueprint, world: World) -> None:
    @bp.get("/clock")
    def clock() -> Response:
        return jsonify(_clock(world))

    @bp.post("/clock")
    def move_clock() -> Response:
        world.set_clock_offset(_new_offset(world, request.get_json()))
        return jsonify(_clock(world))

    @bp.get("/payment_code")
    def payment_code() -> Response:
        plan = {k: v for k, v in request.args.items() if k not in ("person", "platform")}
        return jsonify(_code(world, request.args["person"], request.args.get("platform", "wechat"), plan))

    @bp.post("/payment_code")
    def planned_payment_code() -> Response:
        given = request.get_json()
        return jsonify(
            _code(world, given["person"], given.get("platform", "wechat"), given.get("plan") or {})
        )

    @bp.post("/payments/answer")
    def answer_payment() -> Response:
        given = request.get_json()
        waiting = [given["payment"]] if given.get("payment") else []
        if not waiting:
            waiting = [row["id"] for row in payments.waiting_for(world, given["person"])[:1]]
        accept = bool(given.get("accept", True))
        return jsonify(done=[n for n in waiting if payments.answer(world, int(n), accept=accept)])

    @bp.post("/refunds/finish")
    def finish_refund() -> Response:
        given = request.get_json()
        return jsonify(payments.finish_refund(world, int(given["refund"]), state=given["state"]))

    @bp.post("/messages")
    def record_message() -> Response:
        given = request.get_json()
        return jsonify(id=world.record_message(**given))


def _read(bp: Blueprint, world: World) -> None:
    @bp.get("/ledger")
    def ledger() -> Response:
        return jsonify(world.ledger())

    @bp.get("/messages")
    def messages() -> Response:
        filters = {name: request.args[name] for name in MESSAGE_FILTERS if name in request.args}
        return jsonify(world.messages(after=int(request.args.get("after", 0)), **filters))

    @bp.get("/requests")
    def requests_log() -> Response:
        door = request.args.get("door", "%")
        return jsonify(
            world.store.rows("SELECT * FROM requests_log WHERE door LIKE ? ORDER BY id DESC LIMIT 1000", door)
        )

    @bp.get("/people")
    def people() -> Response:
        return jsonify(world.entries("people"))

    @bp.get("/ready")
    def ready() -> Response:
        return jsonify(ok=True)


def _clock(world: World) -> dict[str, Any]:
    return {
        "offset": world.clock_offset(),
        "now": stamp(world.now()),
        "beijing": f"{world.beijing():%Y-%m-%d %H:%M:%S}",
    }


def _new_offset(world: World, given: dict[str, Any]) -> float:
    """From {offset: seconds}, {advance: seconds}, {to: ISO time} or {tomorrow: "HH:MM"} (Beijing)."""
    if "offset" in given:
        return float(given["offset"])
    if "advance" in given:
        return world.clock_offset() + float(given["advance"])
    if "to" in given:
        target = datetime.fromisoformat(given["to"])
        if target.tzinfo is None:
            target = target.replace(tzinfo=BEIJING)
    else:
        hour, minute = (int(part) for part in given["tomorrow"].split(":"))
        target = (world.beijing() + timedelta(days=1)).replace(
            hour=hour, minute=minute, second=0, microsecond=0
        )
    return world.clock_offset() + (target - world.now()).total_seconds()


def _code(world: World, person: str, platform: str, plan: dict[str, Any]) -> dict[str, Any]:
    if world.entry("people", person) is None:
        raise KeyError(f"no such person: {person}")
    return {"code": codes.issue(world, person=person, platform=platform, plan=plan), "seconds": 60}
