"""The store's printer: its switches, and the paper that has come out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from miniapp.sandbox.printers import papers
from miniapp.sandbox.screens import hosts
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import BEIJING, World, unstamp

SWITCHES = {"media-empty": "缺纸", "media-jam": "卡纸", "drop": "离线"}
WORDS = {"processing": "正在打印", "completed": "已打出", "canceled": "已取消", "aborted": "已中止"}


def blueprint(world: World) -> Blueprint:
    """`/printer`, `/printer/api`, `/printer/paper/<job>/<page>`."""
    bp = Blueprint("printer", __name__)

    @bp.get("/printer")
    def page() -> str:
        return render_template(
            "sandbox_printer.html",
            printers=world.entries("printers"),
            switches=SWITCHES,
            **hosts.frame(world, "printer"),
        )

    @bp.get("/printer/api/state")
    def state() -> Response:
        return jsonify(_state(world, request.args.get("printer", "")))

    @bp.post("/printer/api/switch")
    def switch() -> Response:
        given = request.get_json()
        code, word = str(given.get("printer", "")), str(given.get("switch", ""))
        if word not in SWITCHES:
            abort(400, "unknown switch")
        _turn(world, code, word, is_on=given.get("on") is True)
        return jsonify(_state(world, code))

    @bp.get("/printer/paper/<int:number>/<int:sheet>.png")
    def picture(number: int, sheet: int) -> Response:
        drawn = papers.picture(world, _job(world, number), sheet) or abort(404)
        return Response(drawn, content_type="image/png")

    @bp.get("/printer/paper/<int:number>.pdf")
    def document(number: int) -> Response:
        return send_file(papers.document_of(world, _job(world, number)), mimetype="application/pdf")

    return bp


def _state(world: World, code: str) -> dict[str, Any]:
    on = {word: _is_on(world, code, word) for word in SWITCHES}
    jobs = papers.jobs(world, code)
    busy = any(job["state"] == "processing" for job in jobs)
    words = next((SWITCHES[word] for word in ("drop", "media-jam", "media-empty") if on[word]), "")
    shown = [
        {
            "id": job["id"],
            "name": job["detail"]["name"],
            "time": f"{unstamp(job['at']).astimezone(BEIJING):%m-%d %H:%M:%S}",
            "state": job["state"],
            "words": words if words and job["state"] == "processing" else WORDS.get(job["state"], ""),
            "pages": job["detail"]["pages"] if job["state"] == "completed" else 0,
        }
        for job in jobs[:20]
    ]
    return {
        "switches": on,
        "words": words or ("正在打印" if busy else "就绪"),
        "ok": not words,
        "jobs": shown,
    }


def _turn(world: World, code: str, word: str, *, is_on: bool) -> None:
    """Set or take out one lasting switch; the printer's others stay."""
    door = _door(code, word)
    others = [fault.word for fault in world.faults.lasting(door) if fault.word != word]
    world.faults.clear(door)
    for kept in [*others, *([word] if is_on else [])]:
        world.faults.add({"door": door, "kind": kept, "times": None})


def _is_on(world: World, code: str, word: str) -> bool:
    return world.faults.on(_door(code, word), word) is not None


def _door(code: str, word: str) -> str:
    return f"printer.{code}" if word == "drop" else f"printer.{code}.paper"


def _job(world: World, number: int) -> Row:
    found = world.store.row("SELECT * FROM prints WHERE id = ?", number)
    return found or abort(404)
