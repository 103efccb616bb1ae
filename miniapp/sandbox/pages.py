"""Everything to click: the index, phones, till and printer, under one host name a role. See screens/ and printers/."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request

from miniapp.sandbox.printers import ipp_printer
from miniapp.sandbox.screens import hosts, phone, printer, till, wallet
from miniapp.sandbox.world import World


def blueprint(world: World) -> Blueprint:
    """All pages with their scripts and pictures."""
    bp = Blueprint(
        "pages",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/sandbox-static",
    )

    @bp.before_request
    def only_json() -> tuple[Response, int] | None:
        # A page of another origin can post forms here, not JSON; a printer takes its own type.
        is_ours = request.is_json or request.mimetype == ipp_printer.CONTENT_TYPE
        return None if request.method == "GET" or is_ours else (jsonify(error="POST JSON"), 415)

    @bp.before_app_request
    def on_the_phone_that_asked() -> Any:
        return hosts.to_own_login(world)

    @bp.get("/")
    def index() -> Any:
        own = hosts.page_of_host(world)
        return redirect(own) if own else render_template("sandbox_index.html", **hosts.frame(world, "index"))

    for part in (phone, wallet, till, printer, ipp_printer):
        bp.register_blueprint(part.blueprint(world))
    return bp
