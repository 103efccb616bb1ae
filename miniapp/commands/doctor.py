"""``miniapp doctor``: looks at each setting, key, font, printer and platform, and says how to mend what fails."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import requests

from miniapp import db, wiring
from miniapp.commands import opening
from miniapp.commands.output import show
from miniapp.commands.refusing import Refusal
from miniapp.config import Config
from miniapp.core.text import say
from miniapp.invoices import channels
from miniapp.invoices.channels import ChannelSettings
from miniapp.migrations import running as migrations
from miniapp.printing import drivers, fonts
from miniapp.printing.drivers import PrinterSettings
from miniapp.stores import listing
from miniapp.stores import service as stores

SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``mend`` says what to do where it is not ``ok``."""

    what: str
    ok: bool
    detail: str = ""
    mend: str = ""


def doctor(arguments: Namespace) -> int:
    """Look at everything; exit 1 where something fails."""
    findings = list(_look())
    if arguments.json:
        show({"findings": [asdict(one) for one in findings], "ok": all(one.ok for one in findings)})
    else:
        for one in findings:
            print(f"{'✓' if one.ok else '✗'} {one.what} {one.detail}".rstrip())
            if not one.ok and one.mend:
                print(f"    {one.mend}")
    return 0 if all(one.ok for one in findings) else 1


def _look() -> Iterator[Finding]:
    try:
        config = opening.load()
    except Refusal as refusal:
        yield Finding(say("doctor.settings"), False, str(refusal), say("doctor.settings_mend"))
        return
    yield Finding(say("doctor.settings"), True)
    yield _folder(config.data_dir)
    yield from _fonts()
    database = _database(config)
    yield database
    if not database.ok:
        return
    wiring.connect(config)
    yield from _accounts()
    yield from _channels()
    yield from _printers()
    yield _try(
        say("doctor.public_base", base=config.public_base),
        lambda: _reach(config.public_base),
        "doctor.public_base_mend",
    )


def _folder(folder: Path) -> Finding:
    what = say("doctor.folder", folder=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding(what, False, str(error), say("doctor.folder_mend"))
    return Finding(what, True)


def _fonts() -> Iterator[Finding]:
    missing = fonts.missing()
    if not missing:
        yield Finding(say("doctor.fonts"), True)
    for font in missing:
        yield Finding(
            say("doctor.fonts"), False, str(font.path), say("doctor.fonts_mend", package=font.package)
        )


def _database(config: Config) -> Finding:
    what = say("doctor.database")
    try:
        db.configure(config.database_url)
        is_current = migrations.is_current(db.engine())
    except Exception as error:
        return Finding(what, False, type(error).__name__, say("doctor.database_mend"))
    return Finding(what, is_current, "", "" if is_current else say("commands.not_upgraded"))


def _accounts() -> Iterator[Finding]:
    for account in listing.outside_bases():
        yield _try(
            say("doctor.platform", name=account.name, base=account.base),
            partial(_reach, account.base),
            "doctor.platform_mend",
        )


def _channels() -> Iterator[Finding]:
    for channel_id in listing.channel_ids():
        view = stores.channel(channel_id)
        ready = channels.of(ChannelSettings(view.code, view.kind, {**view.settings, **view.secrets})).ready()
        mend = "" if ready.ready else say(ready.reason)
        yield Finding(say("doctor.channel", code=view.code), ready.ready, "", mend)


def _printers() -> Iterator[Finding]:
    for printer in listing.printers():
        state = drivers.of(PrinterSettings(printer.code, printer.kind, printer.uri)).check()
        mend = "" if state.ready else say(state.obstacle)
        yield Finding(say("doctor.printer", code=printer.code), state.ready, ", ".join(state.reasons), mend)


def _try(what: str, reach: Callable[[], str], mend: str) -> Finding:
    try:
        return Finding(what, True, reach())
    except requests.RequestException as error:
        return Finding(what, False, type(error).__name__, say(mend))


def _reach(base: str) -> str:
    """Does anybody answer there at all? Any status will do."""
    parts = urlsplit(base)
    answer = requests.get(f"{parts.scheme}://{parts.netloc}/", timeout=SECONDS, allow_redirects=False)
    return f"HTTP {answer.status_code}"
