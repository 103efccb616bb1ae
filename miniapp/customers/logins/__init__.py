"""Port to a platform's web login: the address to send a browser to, and who came back with a code.

One file here is one platform. ``AccountSettings`` is a chat account as the setup file describes it; senders and the
gateways' doors use the same one.
"""

from dataclasses import dataclass, field
from typing import Protocol

from miniapp.core import kinds
from miniapp.core.kinds import Setting as Setting
from miniapp.stores.service import AccountView


@dataclass(frozen=True)
class AccountSettings:
    """One official account (``wechat``) or life account (``alipay``), secrets decrypted and out of repr."""

    code: str
    kind: str
    app_id: str
    name: str
    original_id: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    aes_key: str = field(default="", repr=False)
    api_base: str = ""
    oauth_base: str = ""
    js_base: str = ""
    template_confirm: str = ""
    template_result: str = ""
    app_key: str = field(default="", repr=False)
    platform_key: str = field(default="", repr=False)
    gateway_base: str = ""


@dataclass(frozen=True)
class Identity:
    """Who came. ``snapshot``: a virtual open id of the page preview, who may look and not write.

    ``user_id`` is Alipay's older 2088… number where it gives one; never a key.
    """

    app_id: str
    open_id: str
    union_id: str = ""
    user_id: str = ""
    snapshot: bool = False


@dataclass(frozen=True)
class Refused:
    """The code is used, expired or foreign: begin the login again. ``alarm``: our settings are wrong."""

    code: str
    alarm: bool = False


@dataclass(frozen=True)
class Unknown:
    """No answer, or none to believe: the code may be spent; begin the login again."""

    reason: str


Answer = Identity | Refused | Unknown


class Login(Protocol):
    """The web login of one chat account."""

    SETTINGS: tuple[Setting, ...]
    code_parameter: str  # the name under which the code comes back: code | auth_code

    def __init__(self, settings: AccountSettings) -> None: ...

    def authorize_url(self, state: str, return_to: str) -> str:
        """Where the browser goes for a silent login (base scope); ``state`` is letters and digits."""

    def identify(self, code: str) -> Answer: ...


def settings_of(view: AccountView) -> AccountSettings:
    """A chat account as logins and senders want it, from what ``setup`` stored."""
    names = AccountSettings.__dataclass_fields__.keys() - {"code", "kind", "app_id", "name"}
    values = {**view.settings, **view.secrets}
    return AccountSettings(
        view.code,
        view.kind,
        view.app_id,
        view.name,
        **{name: values[name] for name in names if name in values},
    )


def of(settings: AccountSettings) -> Login:
    """The login of an account. Raises LookupError for a kind without a file here."""
    login: Login = kinds.one(__name__, settings.kind)(settings)
    return login
