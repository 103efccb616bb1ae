"""What makes an invoice title right. Sources: the tax bureau's title types, GB 32100-2015, the channels' limits."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from miniapp.core.errors import Invalid
from miniapp.core.text import say
from miniapp.titles import cleaning, numbers
from miniapp.titles.pasting import split_block

__all__ = ["FIELDS", "TYPES", "Finding", "InvalidTitle", "check", "dedup_key", "split_block"]

TYPES = ("company", "personal", "natural_person", "government", "other")
FIELDS = ("type", "name", "taxpayer_no", "address", "phone", "bank", "account", "email", "mobile", "remark")
ANONYMOUS = "个人"
"""The name of a personal title that names nobody; the bureau's own word."""

_ORGANISATIONS = ("company", "government")
_LIMITS = {
    "name": 100,
    "taxpayer_no": 20,
    "address": 80,
    "phone": 50,
    "bank": 100,
    "account": 50,
    "email": 50,
    "mobile": 20,
    "remark": 200,
}
_TOGETHER = (("address", "phone", 100), ("bank", "account", 100))
_NORMALISE: dict[str, Callable[[str], str]] = {
    "taxpayer_no": cleaning.number,
    "phone": cleaning.narrow,
    "account": cleaning.narrow,
    "email": cleaning.narrow,
    "mobile": cleaning.mobile,
}
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_FORMS = {
    "phone": re.compile(r"(?=(?:[^0-9]*[0-9]){5})[0-9+()\-#*/,;. 转]+"),
    "account": re.compile(r"[0-9A-Za-z \-]+"),
    "email": re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+"),
    "mobile": re.compile(r"1[3-9][0-9]{9}|\+[1-9][0-9]{5,14}"),
}


@dataclass(frozen=True)
class Finding:
    """One thing about one field: a fault or a warning. ``confirmable``: right if the person insists."""

    field: str
    code: str
    message: str
    confirmable: bool = False

    def as_json(self) -> dict[str, Any]:
        """The entry as the command and the pages' scripts read it."""
        entry: dict[str, Any] = {"field": self.field, "code": self.code, "message": self.message}
        return {**entry, "confirmable": True} if self.confirmable else entry


class InvalidTitle(Invalid):
    """A title with every field at fault: ``faults`` in the order of the form, ``fields`` as for any Invalid."""

    def __init__(self, faults: list[Finding]) -> None:
        fields: dict[str, list[tuple[str, str]]] = {}
        for fault in faults:
            fields.setdefault(fault.field, []).append((fault.code, fault.message))
        super().__init__("titles.invalid_title", fields, count=len(fields))
        self.faults = faults

    @property
    def hint(self) -> str:
        """What to do next."""
        confirmable = all(fault.confirmable for fault in self.faults)
        return say("titles.hint_confirm" if confirmable else "titles.hint_correct")

    def as_json(self) -> dict[str, Any]:
        """The error object of the outside contract."""
        entries = [fault.as_json() for fault in self.faults]
        return {"code": self.code, "message": self.message, "hint": self.hint, "fields": entries}


def check(data: object, *, verify_numbers: bool = True) -> dict[str, Any]:
    """One title, normalised: the keys that were given (and ``name``), plus ``warnings``.

    ``data`` is anything from outside; values are texts or None, ``confirmed`` is a boolean and lets a number pass
    that fails only its check character. ``verify_numbers=False`` is for test environments, whose sellers have
    numbers that fail every check. The answer may be given back in and comes out the same.
    Raises InvalidTitle with every field at fault.
    """
    findings = _Findings()
    texts = _texts(data, findings)
    title_type = _type(texts, findings)
    title = {name: _normalised(name, text, title_type) for name, text in texts.items()}
    if title_type == "personal" and not title.get("name"):
        title["name"] = ANONYMOUS
    confirmed = isinstance(data, Mapping) and data.get("confirmed") is True
    for name in FIELDS[1:]:
        _check_text(name, title, title_type, findings)
    _check_together(title, findings)
    _check_number(title, title_type, findings, verify=verify_numbers, confirmed=confirmed)
    if findings.faults:
        raise InvalidTitle(sorted(findings.faults, key=_form_order))
    answer: dict[str, Any] = {**title, **({"confirmed": True} if confirmed else {})}
    return {**answer, "warnings": [warning.as_json() for warning in findings.warnings]}


def dedup_key(title_type: str, *, name: str, taxpayer_no: str) -> str:
    """Equal for titles that a person would call the same, whatever brackets, width and case they were typed in."""
    return "|".join((title_type, cleaning.number(taxpayer_no), cleaning.comparable(name)))


@dataclass
class _Findings:
    faults: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def fault(self, name: str, key: str, *, confirmable: bool = False, **values: Any) -> None:
        self.faults.append(_finding(name, key, confirmable=confirmable, **values))

    def warn(self, name: str, key: str, **values: Any) -> None:
        self.warnings.append(_finding(name, key, **values))

    def has(self, name: str) -> bool:
        return any(fault.field == name for fault in self.faults)


def _finding(name: str, key: str, *, confirmable: bool = False, **values: Any) -> Finding:
    label = say(f"titles.label.{name}") if name in FIELDS else name
    return Finding(name, key.upper(), say(f"titles.{key}", label=label, **values), confirmable)


def _form_order(fault: Finding) -> int:
    return FIELDS.index(fault.field) if fault.field in FIELDS else len(FIELDS)


def _texts(data: object, findings: _Findings) -> dict[str, str]:
    """The fields that are texts; everything else is a fault. ``warnings`` of an earlier answer are let through."""
    if not isinstance(data, Mapping):
        findings.fault("type", "not_an_object")
        return {}
    texts = {}
    for key, value in data.items():
        if key in FIELDS and (value is None or isinstance(value, str)):
            texts[key] = value or ""
        elif key in FIELDS:
            findings.fault(key, "not_a_text")
        elif key == "confirmed" and not isinstance(value, bool):
            findings.fault(key, "not_a_boolean")
        elif key not in ("confirmed", "warnings"):
            findings.fault(_printable(key), "unknown_field")
    return texts


def _printable(key: object) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(key)[:40])


def _type(texts: Mapping[str, str], findings: _Findings) -> str | None:
    title_type = texts.get("type", "")
    if title_type in TYPES:
        return title_type
    if not findings.has("type"):
        findings.fault("type", "unknown_type" if title_type else "required")
    return None


def _normalised(name: str, text: str, title_type: str | None) -> str:
    if name == "type":
        return text
    if name == "name" and title_type in _ORGANISATIONS:
        return cleaning.organisation_name(text)
    return _NORMALISE.get(name, cleaning.clean)(text)


def _check_text(name: str, title: Mapping[str, str], title_type: str | None, findings: _Findings) -> None:
    """The first fault of one field's text, and the warnings on a sound one."""
    text = title.get(name, "")
    if findings.has(name):
        return
    if not text:
        if title_type and _is_required(name, title_type):
            findings.fault(name, "required")
    elif character := cleaning.refused_character(text):
        findings.fault(name, "bad_character", character=character)
    elif name != "taxpayer_no" and len(text) > _LIMITS[name]:
        findings.fault(name, "too_long", limit=_LIMITS[name], length=len(text))
    elif name in _FORMS and not _FORMS[name].fullmatch(text):
        findings.fault(name, f"bad_{name}")
    elif name == "name" and (rare := cleaning.rare_characters(text)):
        findings.warn(name, "rare_character", characters=rare)


def _is_required(name: str, title_type: str) -> bool:
    return name == "name" or (name == "taxpayer_no" and title_type in ("company", "natural_person"))


def _check_together(title: Mapping[str, str], findings: _Findings) -> None:
    """Two fields that the channels print, and limit, as one."""
    for first, second, limit in _TOGETHER:
        length = len(title.get(first, "")) + len(title.get(second, ""))
        if length > limit and not (findings.has(first) or findings.has(second)):
            findings.fault(
                first, "too_long_together", other=say(f"titles.label.{second}"), limit=limit, length=length
            )


def _check_number(
    title: Mapping[str, str], title_type: str | None, findings: _Findings, *, verify: bool, confirmed: bool
) -> None:
    number = title.get("taxpayer_no", "")
    if not number or findings.has("taxpayer_no"):
        return
    if title_type == "personal":
        findings.fault("taxpayer_no", "number_not_allowed")
        return
    fault = _number_fault(number, title_type, verify=verify)
    if fault == "check_character" and confirmed:
        findings.warn("taxpayer_no", fault, meant="")
    elif fault is not None:
        findings.fault("taxpayer_no", fault, confirmable=fault == "check_character", meant=_meant(number))
    elif verify and numbers.has_doubtful_organisation_code(number):
        findings.warn("taxpayer_no", "organisation_digit")


def _number_fault(number: str, title_type: str | None, *, verify: bool) -> str | None:
    if title_type != "natural_person":
        return numbers.fault(number) if verify else numbers.written_fault(number)
    fault = numbers.identity_fault(number) if verify else numbers.written_fault(number)
    return "identity_form" if fault not in (None, "check_character") or len(number) != 18 else fault


def _meant(number: str) -> str:
    """The end of the sentence that offers what was probably meant, or nothing."""
    meant = numbers.suggestion(number)
    return say("titles.meant", number=meant) if meant else ""
