"""Builds the Flask application from lists; no rule, query or text here."""

from datetime import timedelta
from pathlib import Path

from flask import Flask, Response, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from miniapp import db, wiring
from miniapp.config import Config
from miniapp.core import clock, money, stamp, text, vault
from miniapp.handlers import console, errors, gateways, h5, health, notifications, terminal

FORM_BYTES = 1024 * 1024
DOOR_BYTES = 64 * 1024
UPLOAD_BYTES = 512 * 1024 * 1024
DOORS = ("/terminal/", "/wechat/", "/alipay/", "/notify/")
UPLOADS = ("/console/bills/",)


def create_app(config: Config) -> Flask:
    """The application over an opened database whose stamp agrees with the settings."""
    db.configure(config.database_url, busy_ms=800, pool_size=config.threads)
    wiring.connect(config)
    stamp.check(config.env, config.instance)
    templates, static = _folders()
    app = Flask(
        "miniapp", root_path=str(Path(__file__).parent), template_folder=templates, static_folder=static
    )
    app.config.update(
        MINIAPP=config,
        SECRET_KEY=vault.sign("cookie", "flask"),
        SESSION_COOKIE_NAME="__Host-form" if config.is_secure else "form",
        SESSION_COOKIE_SECURE=config.is_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=1),
        MAX_CONTENT_LENGTH=FORM_BYTES,
        MAX_FORM_MEMORY_SIZE=FORM_BYTES,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # it wants a Referer, which our pages do not send; the token is the guard
        TRUSTED_HOSTS=config.hosts or None,
    )
    app.before_request(_bound)
    app.after_request(_headers)
    csrf = CSRFProtect(app)
    for door in (gateways, terminal, notifications, health):
        for blueprint in door.blueprints():
            csrf.exempt(blueprint)
            app.register_blueprint(blueprint)
    for door in (h5, console):
        for blueprint in door.blueprints():
            app.register_blueprint(blueprint)
    errors.register(app)
    app.jinja_env.filters.update(yuan=money.show, when=clock.show_time, one_line=text.one_line)
    app.jinja_env.globals.update(say=text.say, mask_name=text.mask_name, mask_number=text.mask_number)
    if config.proxy_count:
        count = config.proxy_count
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    return app


def _folders() -> tuple[str, str]:
    """Templates and static files: beside the package in a checkout, inside it once installed."""
    package = Path(__file__).parent
    if (package.parent / "templates").is_dir():
        return str(package.parent / "templates"), str(package.parent / "static")
    return str(package / "_templates"), str(package / "_static")


def _bound() -> None:
    """The most that this door takes; a longer body is refused before it is read."""
    if request.path.startswith(DOORS):
        request.max_content_length = DOOR_BYTES
    elif request.path.startswith(UPLOADS):
        request.max_content_length = UPLOAD_BYTES


def _headers(response: Response) -> Response:
    """Nothing inline, nothing foreign but WeChat's script, nothing framed, nothing sniffed."""
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self' https://res.wx.qq.com https://res2.wx.qq.com; style-src 'self';"
        " img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cache-Control", "private, no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
