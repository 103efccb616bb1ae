"""Puts the doors together; each module offers `blueprint(world)`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from flask import Flask

from miniapp.sandbox.world import World

DOORS = (
    "control",
    "wechat_account",
    "wechat_messages",
    "wechat_oauth",
    "wechat_callbacks",
    "wechat_pay_v2",
    "wechat_pay_v3",
    "alipay",
    "alipay_oauth",
    "alipay_bills",
    "channels.nuonuo",
    "pages",
)


def create_app(world: World) -> Flask:
    """The whole sandbox as one WSGI application."""
    app = Flask("miniapp.sandbox", template_folder="sandbox/templates", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 32 * 1024 * 1024
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions["world"] = world
    for name in DOORS:
        module = f"miniapp.sandbox.{name}"
        if _exists(module):
            app.register_blueprint(import_module(module).blueprint(world))
    return app


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
