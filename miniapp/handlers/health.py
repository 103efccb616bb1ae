"""Alive, ready, counted: for the machines that watch us."""

from datetime import timedelta

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from miniapp.handlers.guards import public
from miniapp.outbox import watching

BEAT_AGE = timedelta(seconds=60)


def blueprints() -> list[Blueprint]:
    """``/healthz``, ``/readyz`` and ``/metrics``."""
    door = Blueprint("health", __name__)

    @door.get("/healthz")
    @public
    def alive() -> Response:
        return jsonify({"status": "ok"})

    @door.get("/readyz")
    @public
    def ready() -> tuple[Response, int]:
        found = watching.readiness(beat_age=BEAT_AGE)
        return jsonify(found), 200 if all(found.values()) else 503

    @door.get("/metrics")
    @public
    def metrics() -> Response:
        watching.refresh_metrics()
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    return [door]
