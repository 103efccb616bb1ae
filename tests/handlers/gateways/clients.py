"""A client that speaks to the program under its own name."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient


class OwnHost(FlaskClient):
    """Requests go to the host that the settings trust."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("base_url", "http://127.0.0.1:8000")
        return super().open(*args, **kwargs)


def client_of(app: Flask) -> FlaskClient:
    """A client of the program under its own name."""
    app.test_client_class = OwnHost
    return app.test_client()
