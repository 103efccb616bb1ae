"""C0 my titles, C5 one title: add, change, remove, choose the default; works without scripts."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from miniapp.core import drafts
from miniapp.core.errors import Missing, Refused
from miniapp.handlers.guards import customer_only, visitor
from miniapp.handlers.h5.title_form import TitleForm, of_title, read
from miniapp.titles import service as titles
from miniapp.titles.rules import InvalidTitle

NEW = "title"
door = Blueprint("titles", __name__, url_prefix="/titles")


@door.get("")
@customer_only
def index() -> str:
    """C0 我的抬头."""
    return render_template("h5/titles/index.html", titles=titles.book(visitor().customer.id))


@door.get("/new")
@customer_only
def new() -> str:
    """C5 添加抬头, with what was typed and not sent."""
    return _page(TitleForm(drafts.find(_owner(), NEW)))


@door.post("/new")
@customer_only
def add() -> Response | tuple[str, int]:
    """Save a new title; on the way to a request, go on with it."""
    form = read(request.form).beside(drafts.find(_owner(), NEW))
    if form.wants_reading:
        return _page(form.with_pasted()), 200
    try:
        public_id = titles.add(visitor().customer.id, form.fields, is_default=form.is_default)
    except (InvalidTitle, Refused) as failure:
        drafts.keep(_owner(), NEW, form.values)
        return _page(form, failure=failure), failure.status
    drafts.drop(_owner(), NEW)
    return redirect(_onward(public_id), 303)


@door.post("/draft")
@customer_only
def keep() -> tuple[str, int]:
    """The script keeps what is typed, so that a closed page loses nothing."""
    drafts.keep(_owner(), NEW, read(request.form).beside(drafts.find(_owner(), NEW)).values)
    return "", 204


@door.get("/<public_id>")
@customer_only
def edit(public_id: str) -> str:
    """C5 修改抬头."""
    return _page(of_title(titles.one(visitor().customer.id, public_id)), public_id=public_id)


@door.post("/<public_id>")
@customer_only
def change(public_id: str) -> Response | tuple[str, int]:
    """Save a changed title; requests that are under way keep the one they were asked with."""
    form = read(request.form)
    mine = visitor().customer.id
    if form.wants_reading:
        return _page(form.with_pasted(), public_id=public_id), 200
    try:
        titles.change(mine, public_id, _with_kept_account(form, mine, public_id), is_default=form.is_default)
    except (InvalidTitle, Refused) as failure:
        return _page(form, public_id=public_id, failure=failure), failure.status
    return redirect(_onward(public_id), 303)


@door.post("/<public_id>/default")
@customer_only
def choose_default(public_id: str) -> Response:
    """设为默认."""
    titles.choose_default(visitor().customer.id, public_id)
    return redirect(url_for(".index"), 303)


@door.post("/<public_id>/delete")
@customer_only
def remove(public_id: str) -> Response:
    """删除: the page has asked once; issued invoices do not change."""
    titles.remove(visitor().customer.id, public_id)
    return redirect(url_for(".index"), 303)


def _page(form: TitleForm, *, public_id: str = "", failure: InvalidTitle | Refused | None = None) -> str:
    picked = request.values.getlist("p")[:50]
    return render_template(
        "h5/titles/form.html", form=form, public_id=public_id, failure=failure, picked=picked
    )


def _onward(public_id: str) -> str:
    """Back to the request that wanted a title, else to the book."""
    picked = request.form.getlist("p")[:50]
    if picked:
        ways = request.form.getlist("way")
        return url_for("h5.requests.new", p=picked, way=ways, title=public_id)
    return url_for(".index")


def _with_kept_account(form: TitleForm, mine: int, public_id: str) -> dict[str, object]:
    """The bank account is never sent to the browser: an untouched field means the one that we have."""
    fields = form.fields
    if form.keeps_account and "account" in fields and not fields["account"]:
        return {**fields, "account": titles.one(mine, public_id)["account"]}
    return fields


def _owner() -> str:
    if visitor().is_snapshot and request.method != "GET":
        raise Missing("core.not_found")
    return f"customer:{visitor().customer.id}"
