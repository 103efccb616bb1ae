"""A call or input that a command refuses: exit status 2, nothing changed."""

from typing import Any

from miniapp.core.errors import Failure


class Refusal(Exception):
    """``error`` is the error object of the outside contract."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message", ""))
        self.error = error

    @classmethod
    def of(cls, failure: Failure, *, hint: str = "") -> "Refusal":
        """From a failure of the domain."""
        return cls(
            {"code": failure.code, "message": failure.message, "hint": hint or getattr(failure, "hint", "")}
        )

    def as_text(self) -> str:
        """For people, on standard error."""
        where = "".join(
            f" {name}：{self.error[key]}"
            for name, key in (("文件", "file"), ("行", "line"), ("列", "column"))
            if self.error.get(key) not in (None, "")
        )
        lines = [f"{self.error['message']}{where}"]
        for field in self.error.get("fields", []):
            lines.append(f"  · {field['message']}")
        if self.error.get("hint"):
            lines.append(self.error["hint"])
        return "\n".join(lines)
