"""The staff's pages. One file in this folder is one page; the frame finds it, the menu shows it.

To add a page, nothing else is edited: put ``<name>.py`` here with

    PAGE = Page(title="差异", menu="对账", order=31)

    @PAGE.get("/")
    @may("see_days")                       # from miniapp.handlers.guards; inside, below the route
    def index() -> str:
        return render_template("console/<name>/index.html", rows=…)

    @PAGE.post("/<public_id>/approve")     # answers redirect(url_for(".index"), 303)
    @may("resolve_differences")
    def approve(public_id: str) -> Response: …

and its templates in ``templates/console/<name>/``, which begin with ``{% extends "console/_frame.html" %}`` and fill
the blocks ``actions``, ``content`` and ``aside``; macros (form token, tags, pager, empty state) are in
``console/_parts.html``. The page's address is ``/console/<name>/``, its endpoints are ``console.<name>.<function>``.
A route without ``may``/``public`` stops the start. ``menu=""`` makes a line of its own in the menu, ``menu=None`` none
at all. The menu asks the ability of ``index``; ``is_central=True`` shows it only to people whose role holds
everywhere. Who is asking: ``guards.person()``; where they may: ``person().scopes("see_days")``, which goes into the
WHERE of every query. What is not theirs is ``Missing``. Told once on the next page: ``flask.flash(say(key))``.
"""

from flask import Blueprint

from miniapp.handlers.console import frame


def blueprints() -> list[Blueprint]:
    """``console`` with one nested blueprint a page: ``console.login.form``, ``console.today.index``, …"""
    return [frame.blueprint()]
