"""The OpenAPI 3.1 document, made from the same models that check what comes in."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from miniapp.core.text import say
from miniapp.handlers.terminal.bodies import (
    ChargeBody,
    HeartbeatBody,
    RefundBody,
    TransactionBody,
    TransactionsBody,
)

_TEXT = {"type": "string"}
_FEN = {"type": "integer", "minimum": 0}
_SLIP = {
    "type": ["object", "null"],
    "properties": {
        "claim_code": _TEXT,
        "url": _TEXT,
        "qr_png_base64": _TEXT,
        "qr_matrix": {"type": "array", "items": _TEXT},
        "lines": {"type": "array", "items": _TEXT},
    },
}
_CHARGE = {
    "type": "object",
    "properties": {
        "out_trade_no": _TEXT,
        "state": {"enum": ["paid", "paying", "failed", "cancelled", "unknown"]},
        "platform": _TEXT,
        "platform_trade_no": _TEXT,
        "amount_fen": _FEN,
        "paid_fen": _FEN,
        "message": _TEXT,
        "slip": {"$ref": "#/components/schemas/Slip"},
    },
}
_REFUND = {
    "type": "object",
    "properties": {
        "out_trade_no": _TEXT,
        "out_refund_no": _TEXT,
        "state": {"enum": ["refunded", "refunding", "failed", "unknown"]},
        "refund_fen": _FEN,
        "message": _TEXT,
    },
}
_RESULTS = {
    "type": "object",
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "out_trade_no": _TEXT,
                    "result": {"enum": ["recorded", "known", "conflict", "refused"]},
                    "message": _TEXT,
                    "slip": {"$ref": "#/components/schemas/Slip"},
                },
            },
        }
    },
}
_PAGE = {
    "type": "object",
    "properties": {"transactions": {"type": "array", "items": {"type": "object"}}, "next": _TEXT},
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint"],
            "properties": {
                "code": _TEXT,
                "message": _TEXT,
                "hint": _TEXT,
                "server_time": {"type": "integer"},
            },
        }
    },
}
_BODIES: tuple[type[BaseModel], ...] = (
    ChargeBody,
    RefundBody,
    TransactionBody,
    TransactionsBody,
    HeartbeatBody,
)


@cache
def document() -> dict[str, Any]:
    """The whole document as JSON values."""
    _, definitions = models_json_schema(
        [(body, "validation") for body in _BODIES], ref_template="#/components/schemas/{model}"
    )
    schemas = dict(definitions["$defs"])
    rows = schemas["TransactionsBody"]["properties"]["transactions"]
    rows["items"] = {"$ref": "#/components/schemas/TransactionBody"}
    schemas |= {
        "Slip": _SLIP,
        "Charge": _CHARGE,
        "Refund": _REFUND,
        "Results": _RESULTS,
        "Page": _PAGE,
        "Error": _ERROR,
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Terminal API", "version": "1", "description": say("terminal.about")},
        "servers": [{"url": "/terminal/v1"}],
        "security": [{"signature": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": say("terminal.about_signature"),
                }
            },
        },
    }


def _paths() -> dict[str, Any]:
    number = {"name": "out_trade_no", "in": "path", "required": True, "schema": _TEXT}
    since = {"name": "since", "in": "query", "required": False, "schema": _TEXT}
    return {
        "/charges": {"post": _post("ChargeBody", "Charge", open_status="202")},
        "/charges/{out_trade_no}": {"get": _get("Charge", number)},
        "/transactions": {"post": _post("TransactionsBody", "Results"), "get": _get("Page", since)},
        "/refunds": {"post": _post("RefundBody", "Refund", open_status="202")},
        "/slips/{out_trade_no}": {"get": _get("Slip", number)},
        "/heartbeat": {"post": _post("HeartbeatBody", "Beat", is_idempotent=False)},
    }


def _post(body: str, answer: str, *, open_status: str = "", is_idempotent: bool = True) -> dict[str, Any]:
    key = {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {**_TEXT, "maxLength": 80}}
    operation: dict[str, Any] = {
        "requestBody": {"required": True, "content": _json(body)},
        "responses": _responses(answer, open_status),
    }
    if is_idempotent:
        operation["parameters"] = [key]
    return operation


def _get(answer: str, parameter: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": [parameter], "responses": _responses(answer, "")}


def _responses(answer: str, open_status: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}} if answer == "Beat" else _json(answer)
    responses = {"200": {"description": "OK", "content": content}}
    if open_status:
        responses[open_status] = {"description": "Open, see Retry-After", "content": content}
    responses["default"] = {"description": "Error", "content": _json("Error")}
    return responses


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
