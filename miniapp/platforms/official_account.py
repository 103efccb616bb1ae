"""WeChat's official account API: wechatpy's client on our way out, with stable tokens and one renewal a call."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from wechatpy import WeChatClient

from miniapp.platforms import tokens
from miniapp.platforms.http import NoAnswer, Reply, Way

TOKEN_CODES = (40001, 40014, 42001)
UPLOAD_SECONDS = 10.0


class AccountError(Exception):
    """An ``errcode`` other than 0: the call was read and refused."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(str(code))
        self.code = code
        self.words = words


class OfficialAccount(WeChatClient):  # type: ignore[misc]
    """One account. Its API objects (``message``, ``menu``, ``media``) are wechatpy's; every call raises NoAnswer
    or AccountError and is made once, once more after a refused token."""

    def __init__(self, app_id: str, secret: str, api_base: str) -> None:
        super().__init__(app_id, secret, timeout=(1.0, 3.0), auto_retry=False)
        self._base = api_base
        self._token_name = f"wechat:{app_id}"

    @property
    def access_token(self) -> str:
        # wechatpy reads every attribute once before __init__; then this must fail as an attribute does.
        return tokens.current(self._token_name, lambda: self._new_token(""))

    def fetch_access_token(self) -> str:
        """The token to use now: this account never asks for more tokens than it needs."""
        return self.access_token

    def oauth(self, code: str) -> dict[str, Any]:
        """Who came back with this code from the web login (``openid`` and more)."""
        query = {
            "appid": self.appid,
            "secret": self.secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        return _result(Way(self._base).call("GET", "/sns/oauth2/access_token", query=query))

    def upload_picture(self, png: bytes) -> str:
        """The media id of a picture, good for three days."""
        answer = self.media.upload("image", ("picture.png", png, "image/png"))
        if not isinstance(answer.get("media_id"), str):
            raise NoAnswer("unreadable")
        return str(answer["media_id"])

    def _request(self, method: str, url_or_endpoint: str, **kwargs: Any) -> Any:
        token = self._token("")
        try:
            return self._once(method, url_or_endpoint, token, kwargs)
        except AccountError as error:
            if error.code not in TOKEN_CODES:
                raise
        return self._once(method, url_or_endpoint, self._token(token), kwargs)

    def _token(self, refused: str) -> str:
        try:
            return tokens.current(self._token_name, lambda: self._new_token(refused), refused=refused)
        except NoAnswer as none:  # of the token's call: the call proper has not been made
            raise NoAnswer(none.reason, sent=False) from None

    def _once(self, method: str, endpoint: str, token: str, asked: Mapping[str, Any]) -> Any:
        files, data = asked.get("files"), asked.get("data")
        body, headers = b"", {}
        if data is not None:  # raw UTF-8: the platform shows \\u escapes literally in menus
            body = json.dumps(data, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json; charset=utf-8"
        way = Way(self._base, read_seconds=UPLOAD_SECONDS) if files else Way(self._base)
        query = {**(asked.get("params") or {}), "access_token": token}
        answer = _result(
            way.call(
                method.upper(), f"/cgi-bin/{endpoint}", body=body, headers=headers, query=query, files=files
            )
        )
        sift = asked.get("result_processor")
        return sift(answer) if sift else answer

    def _new_token(self, refused: str) -> tokens.Token:
        """A stable token: the same one for every process that asks, so nobody turns another's invalid."""
        token = self._stable_token(force=False)
        return self._stable_token(force=True) if token.value == refused else token

    def _stable_token(self, *, force: bool) -> tokens.Token:
        asked: dict[str, Any] = {
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret,
        }
        if force:  # twenty a day
            asked["force_refresh"] = True
        headers = {"Content-Type": "application/json"}
        body = json.dumps(asked).encode()
        answer = _result(Way(self._base).call("POST", "/cgi-bin/stable_token", body=body, headers=headers))
        value, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(value, str) or not isinstance(seconds, int):
            raise NoAnswer("unreadable")
        return tokens.lasting(value, seconds)


@lru_cache(maxsize=64)
def client(app_id: str, secret: str, api_base: str) -> OfficialAccount:
    """The client of an account; making one builds wechatpy's thirty API objects, so it is kept."""
    return OfficialAccount(app_id, secret, api_base)


def _result(reply: Reply) -> dict[str, Any]:
    if reply.status != 200:
        raise NoAnswer(f"http_{reply.status}")
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise NoAnswer("unreadable") from None
    if not isinstance(answer, dict):
        raise NoAnswer("unreadable")
    code = answer.get("errcode", 0)
    if not isinstance(code, int):
        raise NoAnswer("unreadable")
    if code == -1:  # busy: may or may not have been done
        raise NoAnswer("busy")
    if code:
        raise AccountError(code, str(answer.get("errmsg", "")))
    return answer
