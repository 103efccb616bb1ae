"""WeChat's web login, silent (``snsapi_base``)."""

from urllib.parse import quote

from miniapp.customers import logins as port
from miniapp.customers.logins import Setting
from miniapp.platforms import official_account
from miniapp.platforms.http import NoAnswer
from miniapp.platforms.official_account import AccountError

# Code invalid, used, expired: the person begins again. Any other refusal is about our settings.
_CODE_GONE = (40029, 40163, 42003, 41008)


class WechatLogin:
    """The login of one official account."""

    SETTINGS = (Setting("secret", secret=True), Setting("api_base"), Setting("oauth_base"))
    code_parameter = "code"

    def __init__(self, settings: port.AccountSettings) -> None:
        self._settings = settings

    def authorize_url(self, state: str, return_to: str) -> str:
        # The order of parameters and the fragment matter to some clients.
        return (
            f"{self._settings.oauth_base}/connect/oauth2/authorize?appid={self._settings.app_id}"
            f"&redirect_uri={quote(return_to, safe='')}&response_type=code&scope=snsapi_base"
            f"&state={quote(state, safe='')}#wechat_redirect"
        )

    def identify(self, code: str) -> port.Answer:
        mine = self._settings
        account = official_account.client(mine.app_id, mine.secret, mine.api_base)
        try:
            answer = account.oauth(code)
        except NoAnswer as none:
            return port.Unknown(none.reason)
        except AccountError as error:
            return port.Refused(str(error.code), alarm=error.code not in _CODE_GONE)
        open_id = answer.get("openid")
        if not isinstance(open_id, str) or not open_id:
            return port.Unknown("unreadable")
        snapshot = str(answer.get("is_snapshotuser", 0)) == "1"
        union_id = str(answer.get("unionid") or "")
        return port.Identity(mine.app_id, open_id, union_id=union_id, snapshot=snapshot)


KIND = WechatLogin
