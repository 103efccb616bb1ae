"""Amounts in capital figures (大写), as the invoice face carries them."""

_FIGURES = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿")


def capital(fen: int) -> str:
    """An amount in capital figures: 40200 → 肆佰零贰圆整, 1070 → 壹拾圆零柒角整. At most 12 digits of yuan.

    Zeros between two figures are one 零, whatever they stand between; a negative amount begins with （负数）.
    """
    yuan, cents = divmod(abs(fen), 100)
    if yuan >= 10**12:
        raise ValueError("more than 12 digits")
    spoken, zero_waits = _spoken_yuan(yuan)
    for figure, unit in ((cents // 10, "角"), (cents % 10, "分")):
        if figure:
            spoken += ("零" if zero_waits and yuan else "") + _FIGURES[figure] + unit
        zero_waits = not figure
    if not spoken:
        spoken = "零圆"
    return ("（负数）" if fen < 0 else "") + spoken + ("" if cents % 10 else "整")


def _spoken_yuan(yuan: int) -> tuple[str, bool]:
    """The yuan with 圆 behind, empty for 0; and whether its last figure is a zero not yet spoken."""
    if not yuan:
        return "", False
    spoken, zero_waits = "", False
    digits = str(yuan)
    for place, figure in zip(range(len(digits) - 1, -1, -1), map(int, digits), strict=True):
        if figure:
            spoken += ("零" if zero_waits else "") + _FIGURES[figure] + _PLACES[place % 4]
        zero_waits = not figure
        if place % 4 == 0 and yuan // 10**place % 10**4:
            spoken += _GROUPS[place // 4]
    return spoken + "圆", zero_waits
