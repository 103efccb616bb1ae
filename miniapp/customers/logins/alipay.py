"""Alipay's web login, silent (``auth_base``)."""

from urllib.parse import urlencode

from miniapp.customers import logins as port
from miniapp.customers.logins import Setting
from miniapp.platforms import alipay
from miniapp.platforms.http import NoAnswer


class AlipayLogin:
    """The login of one life account."""

    SETTINGS = (
        Setting("app_key", secret=True),
        Setting("platform_key"),
        Setting("gateway_base"),
        Setting("oauth_base"),
    )
    code_parameter = "auth_code"

    def __init__(self, settings: port.AccountSettings) -> None:
        self._settings = settings
        self._wire = alipay.Alipay(
            settings.app_id, settings.app_key, settings.platform_key, settings.gateway_base
        )

    def authorize_url(self, state: str, return_to: str) -> str:
        asked = {
            "app_id": self._settings.app_id,
            "scope": "auth_base",
            "redirect_uri": return_to,
            "state": state,
        }
        return f"{self._settings.oauth_base}/oauth2/publicAppAuthorize.htm?{urlencode(asked)}"

    def identify(self, code: str) -> port.Answer:
        try:
            node = self._wire.call("alipay.system.oauth.token", grant_type="authorization_code", code=code)
        except NoAnswer as none:
            return port.Unknown(none.reason)
        if node.code and node.code != "10000":  # success carries no code at all
            if node.code == "20000":
                return port.Unknown(node.sub_code)
            used = node.sub_code in ("isv.code-invalid", "isv.auth-code-invalid")
            return port.Refused(node.sub_code or node.code, alarm=not used)
        user_id, open_id = node.text("user_id"), node.text("open_id")
        if not (open_id or user_id):
            return port.Unknown("unreadable")
        return port.Identity(
            self._settings.app_id, open_id or user_id, union_id=node.text("union_id"), user_id=user_id
        )


KIND = AlipayLogin
