"""The customer's pages under ``/c/``, and the cashier's page that the chat's notice opens."""

from flask import Blueprint

from miniapp.handlers.h5 import duty, invoices, login, privacy, purchases, requests, slips, titles


def blueprints() -> list[Blueprint]:
    """One blueprint ``h5`` with a nested one a page: ``h5.purchases.index``, ``h5.titles.edit`` …"""
    pages = Blueprint("h5", __name__, url_prefix="/c")
    for page in (login, purchases, slips, requests, invoices, titles, privacy, duty):
        pages.register_blueprint(page.door)
    return [pages]
