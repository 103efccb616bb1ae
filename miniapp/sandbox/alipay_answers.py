"""The platform's answers other than success, as exceptions that the gateway turns into a node."""

from __future__ import annotations

MESSAGES = {
    "10000": "Success",
    "10003": "order success pay inprocess",
    "20000": "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40003": "Insufficient Conditions",
    "40004": "Business Failed",
    "40005": "Call Limited",
    "40006": "Insufficient Permissions",
}
SUB_MESSAGES = {
    "isv.missing-method": "缺少方法名参数",
    "isv.missing-signature": "缺少签名参数",
    "isv.missing-app-id": "缺少appId参数",
    "isv.missing-timestamp": "缺少时间戳参数",
    "isv.missing-version": "缺少版本参数",
    "isv.missing-sign-type": "缺少签名类型参数",
    "isv.missing-signature-key": "缺少签名配置",
    "isv.invalid-signature": "无效签名",
    "isv.invalid-app-id": "无效的appId参数",
    "isv.invalid-timestamp": "非法的时间戳参数",
    "isv.invalid-method": "不存在的方法名",
    "isv.invalid-format": "无效的数据格式",
    "isv.invalid-charset": "字符集错误",
    "isv.invalid-signature-type": "无效的签名类型",
    "isv.invalid-encoding": "参数编码与charset不符",
    "isv.invalid-version": "无效的版本号",
    "isv.code-invalid": "授权码code无效",
    "isv.insufficient-isv-permissions": "ISV权限不足",
    "isv.app-call-limited": "应用调用次数超限",
    "isp.unknow-error": "系统繁忙",
    "aop.invalid-auth-token": "无效的访问令牌",
    "ACQ.SYSTEM_ERROR": "接口返回错误",
    "ACQ.INVALID_PARAMETER": "参数无效",
    "ACQ.PAYMENT_AUTH_CODE_INVALID": "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款",
    "ACQ.TRADE_HAS_SUCCESS": "交易已被支付",
    "ACQ.TRADE_HAS_CLOSE": "交易已经关闭",
    "ACQ.TRADE_NOT_EXIST": "交易不存在",
    "ACQ.TRADE_STATUS_ERROR": "交易状态不合法",
    "ACQ.BUYER_BALANCE_NOT_ENOUGH": "买家余额不足",
    "ACQ.CONTEXT_INCONSISTENT": "交易信息被篡改",
    "ACQ.TOTAL_FEE_EXCEED": "订单总金额不在允许范围内",
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": "退款金额超限",
    "ACQ.DISCORDANT_REPEAT_REQUEST": "不一致的重复请求",
    "ACQ.TRADE_CANCEL_TIME_OUT": "超过撤销时间范围",
    "INVAILID_ARGUMENTS": "入参不合法",
    "BILL_NOT_EXIST": "账单不存在",
}


class Answer(Exception):
    """Ends a call with this code. `on_error_node` puts it under `error_response`."""

    def __init__(
        self, code: str, sub_code: str = "", sub_msg: str = "", *, on_error_node: bool = False, **more: object
    ) -> None:
        super().__init__(f"{code} {sub_code}")
        self.code = code
        self.sub_code = sub_code
        self.sub_msg = sub_msg
        self.more = more
        self.on_error_node = on_error_node

    def node(self) -> dict[str, object]:
        """What stands under the response's name."""
        node: dict[str, object] = {"code": self.code, "msg": MESSAGES.get(self.code, "")}
        if self.sub_code:
            node["sub_code"] = self.sub_code
            node["sub_msg"] = self.sub_msg or SUB_MESSAGES.get(self.sub_code, self.sub_code)
        return {**node, **self.more}


def missing(name: str) -> Answer:
    """40001 of the gateway: the node is `error_response`, mostly unsigned."""
    return Answer("40001", f"isv.missing-{name}", on_error_node=True)


def invalid(name: str) -> Answer:
    """40002 of the gateway."""
    return Answer("40002", f"isv.invalid-{name}", on_error_node=True)


def failed(sub_code: str, sub_msg: str = "") -> Answer:
    """40004: a rule of the business says no."""
    return Answer("40004", sub_code, sub_msg)
