"""Who calls: ``Authorization: MINI-HMAC-SHA256 key="…",ts="…",nonce="…",sig="hex"`` over what was sent, byte for byte."""

import hashlib
import hmac
import re
from dataclasses import dataclass

from miniapp.core.clock import now, real_now
from miniapp.core.errors import Unsigned
from miniapp.payments import door
from miniapp.stores import service as stores
from miniapp.stores.service import TerminalView

SCHEME = "MINI-HMAC-SHA256"
WINDOW_SECONDS = 300
_HEADER = re.compile(rf"{SCHEME} +([\x21-\x7e ]+)", re.ASCII)
_FIELD = re.compile(r'(key|ts|nonce|sig)="([\x21\x23-\x7e]{1,128})"', re.ASCII)
_FORMS = {
    "key": re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII),
    "ts": re.compile(r"[0-9]{1,12}", re.ASCII),
    "nonce": re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII),
    "sig": re.compile(r"[0-9a-f]{64}", re.ASCII),
}


class TimeDiffers(Unsigned):
    """Signed by a known key, but not now: the till must set its clock. Its answer carries the server's time."""


@dataclass(frozen=True)
class Sent:
    """A request as it came over the wire."""

    method: str
    path: str
    query: str
    body: bytes


@dataclass(frozen=True)
class _Claim:
    key: str
    ts: str
    nonce: str
    sig: str


def terminal_of(sent: Sent, authorization: str) -> TerminalView:
    """The terminal that signed this request, just now and for the first time. Raises Unsigned."""
    claim = _read(authorization)
    terminal = stores.terminal_by_key(claim.key)
    expected = signature(terminal.secret if terminal else "", sent, ts=claim.ts, nonce=claim.nonce)
    if not hmac.compare_digest(expected.encode(), claim.sig.encode()) or terminal is None:
        raise Unsigned("terminal.unsigned")
    if not _is_fresh(int(claim.ts)):
        raise TimeDiffers("terminal.time_differs")
    if not door.use_nonce(claim.key, claim.nonce):
        raise Unsigned("terminal.replayed")
    return terminal


def signature(secret: str, sent: Sent, *, ts: str, nonce: str) -> str:
    """Lower hex HMAC-SHA256 over method, path, query, ts, nonce and the body's hash, each followed by a line feed."""
    digest = hashlib.sha256(sent.body).hexdigest()
    signed = "".join(f"{part}\n" for part in (sent.method, sent.path, sent.query, ts, nonce, digest))
    return hmac.new(secret.encode("utf-8"), signed.encode("utf-8"), hashlib.sha256).hexdigest()


def _read(authorization: str) -> _Claim:
    header = _HEADER.fullmatch(authorization)
    if header is None:
        raise Unsigned("terminal.unsigned")
    fields: dict[str, str] = {}
    for part in header[1].split(","):
        field = _FIELD.fullmatch(part.strip(" "))
        if field is None or field[1] in fields or not _FORMS[field[1]].fullmatch(field[2]):
            raise Unsigned("terminal.unsigned")
        fields[field[1]] = field[2]
    if fields.keys() != _FORMS.keys():
        raise Unsigned("terminal.unsigned")
    return _Claim(**fields)


def _is_fresh(ts: int) -> bool:
    """Tills beside a moved clock (demo, tests) sign by the one or the other; in production both are the same."""
    return any(abs(moment.timestamp() - ts) <= WINDOW_SECONDS for moment in (now(), real_now()))
