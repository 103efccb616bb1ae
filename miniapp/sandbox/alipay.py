"""Alipay's open platform: the gateway with all its methods, and the life account that writes to us."""

from __future__ import annotations

from flask import Blueprint, Response

from miniapp.sandbox import alipay_bills, alipay_life, alipay_oauth, alipay_refunds, alipay_trade
from miniapp.sandbox.alipay_gateway import answer
from miniapp.sandbox.world import World


def blueprint(world: World) -> Blueprint:
    """`/alipay/gateway.do` and `/control/alipay/…`."""
    bp = Blueprint("alipay", __name__)
    methods = {
        **alipay_trade.METHODS,
        **alipay_refunds.METHODS,
        **alipay_bills.METHODS,
        **alipay_oauth.METHODS,
        **alipay_life.METHODS,
    }
    for module in (alipay_trade, alipay_oauth, alipay_bills, alipay_life):
        world.store.create(module.SCHEMA)

    @bp.route("/alipay/gateway.do", methods=["GET", "POST"])
    def gateway() -> Response:
        return answer(world, methods)

    alipay_life.add_control(bp, world)
    return bp
