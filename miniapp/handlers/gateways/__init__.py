"""WeChat's and Alipay's messages in: verify, bound, parse, store, acknowledge within a second."""

from flask import Blueprint

from miniapp.handlers.gateways import alipay, wechat


def blueprints() -> list[Blueprint]:
    """``/wechat/<account>/callback`` and ``/alipay/<account>/gateway``."""
    return [wechat.blueprint(), alipay.blueprint()]
