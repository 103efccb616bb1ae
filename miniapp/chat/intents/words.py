"""Reading what people type: width, case and blanks do not matter."""

import re
import unicodedata

CONFIRM = ("确认", "通过", "同意")
REFUSE = ("拒绝", "驳回")


def folded(text: str) -> str:
    """NFKC, upper case, blanks of all kinds to single spaces."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().upper()


def number(text: str) -> int | None:
    """A bare number of one or two digits: a choice from the last list."""
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else None


def amount_fen(text: str) -> int | None:
    """A typed amount in yuan: 200, 200.5, ¥200.00, 200元."""
    found = re.fullmatch(r"[¥￥]?([0-9]{1,8})(?:\.([0-9]{1,2}))?元?", text)
    if found is None:
        return None
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0") or 0)


def after(text: str, words: tuple[str, ...]) -> str | None:
    """What follows one of these words, or None where the text begins otherwise."""
    for word in words:
        if text.startswith(word):
            return text[len(word) :].strip()
    return None
