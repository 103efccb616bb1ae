"""Alipay's life account: its calls out, and the signatures of its gateway (GBK) both ways."""

from collections.abc import Sequence
from typing import Any

from miniapp.platforms import rsa
from miniapp.platforms.alipay import Alipay, Node


class Rejected(Exception):
    """A signed or unsigned refusal with its codes."""

    def __init__(self, code: str, sub_code: str, words: str) -> None:
        super().__init__(sub_code or code)
        self.code = code
        self.sub_code = sub_code
        self.words = words


def call(wire: Alipay, method: str, content: dict[str, Any]) -> Node:
    """One call that must come back 10000. Raises NoAnswer and Rejected."""
    node = wire.call(method, content)
    if node.code != "10000":
        raise Rejected(node.code, node.sub_code, node.text("sub_msg") or node.text("msg"))
    return node


def recipient(person: str) -> dict[str, str]:
    """The field that names a person: the older numbers are user ids, all others open ids."""
    if len(person) == 16 and person.isdigit() and person.startswith("2088"):
        return {"to_user_id": person}
    return {"open_id": person}


def signed_by_alipay(fields: Sequence[tuple[str, str]], platform_key: str, *, charset: str = "gbk") -> bool:
    """Whether Alipay signed a gateway post: all fields but ``sign``, ``sign_type`` included, in its charset.

    A field that comes twice is refused: libraries disagree on which one counts.
    """
    values = dict(fields)
    if len(values) != len(fields) or values.get("sign_type") != "RSA2":
        return False
    text = "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "sign")
    try:
        signed = text.encode(charset)
    except UnicodeEncodeError:
        return False
    return rsa.verify(signed, values.get("sign", ""), rsa.pem(platform_key, "PUBLIC"))


def sealed(inner: str, app_key: str) -> bytes:
    """The gateway's answer around ``inner``, GBK; the signed text is exactly what stands inside ``response``."""
    seal = rsa.sign(inner.encode("gbk"), rsa.pem(app_key, "PRIVATE"))
    head = '<?xml version="1.0" encoding="GBK"?><alipay>'
    tail = f"<sign>{seal}</sign><sign_type>RSA2</sign_type></alipay>"
    return f"{head}<response>{inner}</response>{tail}".encode("gbk")


def verified_gateway(app_public_key: str, *, right: bool) -> str:
    """What answers ``verifygw``: the app's own public key, bare; for a wrong signature the failure form."""
    bare = "".join(line for line in app_public_key.splitlines() if "-----" not in line).replace(" ", "")
    if right:
        return f"<success>true</success><biz_content>{bare}</biz_content>"
    return f"<success>false</success><error_code>VERIFY_FAILED</error_code><biz_content>{bare}</biz_content>"
