"""A bill or ledger file that is refused whole: which code, where, and what to do about it."""

from typing import Any

from miniapp.core.errors import Invalid
from miniapp.core.text import say

CODES = (
    "WRONG_FILE",
    "UNKNOWN_FILE",
    "BAD_VALUE",
    "BAD_ROW",
    "TRAILER_MISMATCH",
    "TRUNCATED",
    "BAD_ARCHIVE",
    "TOO_LARGE",
    "BAD_ENCODING",
    "MIXED_ACCOUNTS",
    "WRONG_DATE",
)


class BillRefused(Invalid):
    """Nothing of the file was taken. ``line`` counts from 1 in the decoded text, ``column`` is a header name.

    ``reason`` and ``hint`` are the last parts of the keys ``reconcile.file.<reason>`` and ``reconcile.hint.<hint>``.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        line: int | None = None,
        column: str | None = None,
        file: str | None = None,
        hint: str = "download_again",
        **values: Any,
    ) -> None:
        super().__init__(f"reconcile.file.{reason}", **values)
        self.refusal = code
        self.file = file
        self.line = line
        self.column = column
        self.member: str | None = None
        self._hint = hint

    @property
    def code(self) -> str:
        """One of ``CODES``."""
        return self.refusal

    @property
    def message(self) -> str:
        """What is wrong, with the place in the file where there is one."""
        sentence = say(self.key, **self.values)
        if self.member is not None:
            sentence = say("reconcile.file.in_member", member=self.member, what=sentence)
        if self.line is not None and self.column is not None:
            return say("reconcile.file.at_column", line=self.line, column=self.column, what=sentence)
        if self.line is not None:
            return say("reconcile.file.at_line", line=self.line, what=sentence)
        return sentence

    @property
    def hint(self) -> str:
        """What to do next, in the reader's language."""
        return say(f"reconcile.hint.{self._hint}")

    def named(self, file: str) -> "BillRefused":
        """The same refusal, naming its file if none was named yet."""
        self.file = self.file or file
        return self

    def named_member(self, member: str | None) -> "BillRefused":
        """The same refusal, naming the entry of an archive that it speaks of."""
        self.member = member
        return self

    def as_json(self) -> dict[str, Any]:
        """The contract's error object (without the outer ``error`` key)."""
        found: dict[str, Any] = {"code": self.refusal, "message": self.message}
        for name in ("file", "line", "column"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        return {**found, "hint": self.hint}

    def as_wire(self) -> dict[str, Any]:
        """Everything that another process needs to raise the same refusal."""
        return {
            "code": self.refusal,
            "reason": self.key.removeprefix("reconcile.file."),
            "place": {"line": self.line, "column": self.column, "file": self.file, "hint": self._hint},
            "member": self.member,
            "values": self.values,
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> "BillRefused":
        """The refusal that another process wrote with ``as_wire``."""
        refused = cls(wire["code"], wire["reason"], **wire["place"], **wire["values"])
        return refused.named_member(wire["member"])
