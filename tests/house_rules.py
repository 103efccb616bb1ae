"""The house rules that the import contract cannot say, each a function from a tree to its breaches."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator

from tests.source import Function, Module, Project, blocks_of, calls, takes_session

TRANSACTION = "miniapp.db.transaction"
PORTS = {"gateways", "channels", "drivers", "senders", "logins", "lookups"}
ROOMS = {"chat", "invoices", "reconcile", "payments", "printing", "titles", "customers", "stores"}
FAMILIES = PORTS | {"intents", "layouts"}
WIRES = (
    "requests",
    "httpx",
    "socket",
    "subprocess",
    "urllib.request",
    "smtplib",
    "time.sleep",
    "miniapp.platforms",
)
CLOCK_CALLS = {
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    "time.time",
    "datetime.datetime.today",
}
FAILURES = {
    "Failure",
    "Invalid",
    "Unsigned",
    "Forbidden",
    "Missing",
    "Refused",
    "Again",
    "TooOften",
    "Unavailable",
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}

MAX_MODULE, MAX_FUNCTION = 400, 60
LONG: dict[str, str] = {}  # "path" or "path:function" -> the reason


def steps_never_commit(project: Project) -> Iterator[str]:
    """A function with ``session`` first is a step in the caller's transaction: it opens and ends none."""
    for name, (module, function) in project.functions.items():
        if not takes_session(module, function):
            continue
        for call in calls(function.body):
            meaning = module.meaning(call.func)
            if meaning in (TRANSACTION, "miniapp.db.reading") or _ends_session(call):
                yield f"{name}:{call.lineno} is a step, but ends or opens a transaction"


def verbs_call_no_verb(project: Project) -> Iterator[str]:
    """Inside a transaction nothing is called that opens its own."""
    openers = {
        n for n, (m, f) in project.functions.items() if any(True for _ in blocks_of(m, f, TRANSACTION))
    }
    for name, module, call in _calls_in_transactions(project):
        if module.meaning(call.func) in openers | {TRANSACTION}:
            yield f"{name}:{call.lineno} calls a verb inside a transaction: {ast.unparse(call.func)}"


def nobody_is_called_in_a_transaction(project: Project) -> Iterator[str]:
    """No platform, gateway, channel, printer or chat is called while a transaction is open, not even further down."""
    outside = _functions_that_call_out(project)
    for name, module, call in _calls_in_transactions(project):
        counterparts = _counterparts(project, module, project.functions[name][1])
        if _calls_out(module, call, counterparts) or module.meaning(call.func) in outside:
            yield f"{name}:{call.lineno} calls out while a transaction is open: {ast.unparse(call.func)}"


def relationships_go_down(project: Project) -> Iterator[str]:
    """Between modules a relationship names a class, never a string, and has no way back."""
    for module in project.modules:
        here = {node.name for node in module.tree.body if isinstance(node, ast.ClassDef)}
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.value, ast.Call)
                and _is_relationship(module, node.value)
            ):
                named = re.findall(r"\b[A-Z]\w+", ast.unparse(node.annotation).replace("Mapped", ""))
                texts = [
                    c
                    for c in ast.walk(node.annotation)
                    if isinstance(c, ast.Constant) and isinstance(c.value, str)
                ]
                targets = set(named) | {a.value for a in node.value.args if isinstance(a, ast.Constant)}
                texts += [a for a in node.value.args if isinstance(a, ast.Constant)]
                back = [k.arg for k in node.value.keywords if k.arg in ("back_populates", "backref")]
                if (texts or back) and not targets & here:
                    yield f"{module.name}:{node.lineno} relationship {'by string' if texts else 'with a way back'} across modules"


def packages_are_empty(project: Project) -> Iterator[str]:
    """``__init__.py`` holds code only where it is the port of a family or a door of ``handlers``."""
    for module in project.modules:
        if module.path.name != "__init__.py" or module.name.startswith("miniapp.handlers."):
            continue
        statements = [node for node in module.tree.body if not isinstance(node, ast.Expr)]
        if statements and module.name.rpartition(".")[2] not in FAMILIES:
            yield f"{module.name}: __init__.py is neither port nor door, so it stays empty"


def nothing_is_too_long(project: Project) -> Iterator[str]:
    """Modules over 400 lines and functions over 60 stand in LONG with a reason."""
    for folder in ("miniapp", "tests", "benchmarks"):
        for module in project.read(folder):
            if "versions" in module.path.parts:
                continue
            shown, lines = project.shown(module.path), module.text.count("\n")
            if lines > MAX_MODULE and shown not in LONG:
                yield f"{shown} has {lines} lines"
            for name, function in module.functions.items():
                length = (function.end_lineno or 0) - function.lineno + 1
                if length > MAX_FUNCTION and f"{shown}:{name}" not in LONG:
                    yield f"{shown}:{name} has {length} lines"


def templates_are_used_and_there(project: Project) -> Iterator[str]:
    """Each template named anywhere exists, and each one that exists is named."""
    folder = project.root / "templates"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".html", ".txt")}
    named = {
        text
        for module in project.modules
        for text in _texts(module.tree)
        if re.fullmatch(r"[\w./-]+\.(html|txt)", text)
    }
    for path in there:
        named |= set(
            re.findall(
                r"""(?:extends|include|import|from)\s+["']([^"']+)["']""", (folder / path).read_text("utf-8")
            )
        )
    patterns = {pattern for module in project.modules for pattern in _joined_templates(module.tree)}
    named |= {name for name in there if any(re.fullmatch(pattern, name) for pattern in patterns)}
    yield from (f"templates/{name} is named but missing" for name in sorted(named - there) if "/" in name)
    yield from (f"templates/{name} is named nowhere" for name in sorted(there - named))


def words_are_said_and_there(project: Project) -> Iterator[str]:
    """Each key of a text that code or a page names is in a catalogue, and each one in a catalogue is named."""
    keys = _catalogue(project)
    used, prefixes = set(), set()
    for module in project.modules:
        used |= _texts(module.tree)
        prefixes |= _prefixes(module.tree)
        for node in ast.walk(module.tree):
            key = _said_key(module, node)
            if key is not None and key not in keys:
                yield f"{module.name}:{node.lineno} says {key!r}, which no catalogue has"  # type: ignore[attr-defined]
    for path in (project.root / "templates").rglob("*.html"):
        text = path.read_text("utf-8")
        used |= set(re.findall(r"""["']([\w.]+)["']""", text))
        prefixes |= set(re.findall(r"""["']([\w.]+[._])["']\s*~""", text))
        for key in re.findall(r"""\bsay\(\s*["']([\w.]+)["']""", text):
            if key not in keys and not key.endswith((".", "_")):
                yield f"{project.shown(path)} says {key!r}, which no catalogue has"
    for key in sorted(keys - used):
        if not any(key.startswith(prefix) for prefix in prefixes):
            yield f"catalogue key {key!r} is said nowhere"


def there_is_one_clock(project: Project) -> Iterator[str]:
    """Only ``core/clock.py`` asks the machine what time it is."""
    for module in project.modules:
        if module.name == "miniapp.core.clock":
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and module.meaning(node.func) in CLOCK_CALLS:
                yield f"{module.name}:{node.lineno} asks another clock: {ast.unparse(node.func)}"


def names_say_something(project: Project) -> Iterator[str]:
    """No folder or file is called utils, helpers, common or misc."""
    for module in project.read("miniapp"):
        if set(module.name.split(".")) & VAGUE:
            yield f"{module.name}: a name that says nothing"


def any_does_not_cross_a_door(project: Project) -> Iterator[str]:
    """A room's public function says what it takes and gives; ``Any`` may stand inside a JSON object only."""
    for name, (module, function) in project.functions.items():
        if name.split(".")[1] not in ROOMS or name.rpartition(".")[2].startswith("_"):
            continue
        arguments = [*function.args.args, *function.args.kwonlyargs]
        annotations = [*(argument.annotation for argument in arguments), function.returns]
        for annotation in annotations:
            if annotation is not None and module.meaning(annotation) == "typing.Any":
                yield f"{name}:{function.lineno} takes or gives Any"
                break


RULES: list[Callable[[Project], Iterator[str]]] = [
    steps_never_commit,
    verbs_call_no_verb,
    nobody_is_called_in_a_transaction,
    relationships_go_down,
    packages_are_empty,
    nothing_is_too_long,
    templates_are_used_and_there,
    words_are_said_and_there,
    there_is_one_clock,
    names_say_something,
    any_does_not_cross_a_door,
]


def _ends_session(call: ast.Call) -> bool:
    method = call.func
    return (
        isinstance(method, ast.Attribute)
        and method.attr in ("commit", "rollback", "close", "begin")
        and isinstance(method.value, ast.Name)
        and method.value.id == "session"
    )


def _calls_in_transactions(project: Project) -> Iterator[tuple[str, Module, ast.Call]]:
    for name, (module, function) in project.functions.items():
        if takes_session(module, function):
            yield from ((name, module, call) for call in calls(function.body))
        for block in blocks_of(module, function, TRANSACTION):
            yield from ((name, module, call) for call in calls(block.body))


def _functions_that_call_out(project: Project) -> set[str]:
    """Functions that call somebody outside, themselves or through what they call."""
    used: dict[str, set[str]] = {}
    out: set[str] = set()
    for name, (module, function) in project.functions.items():
        if module.name == "miniapp.core.failpoints":  # it sleeps where a test wants it
            continue
        made = list(calls(function.body))
        used[name] = {module.meaning(call.func) or "" for call in made}
        counterparts = _counterparts(project, module, function)
        if any(_calls_out(module, call, counterparts) for call in made):
            out.add(name)
    while more := {name for name, names in used.items() if name not in out and names & out}:
        out |= more
    return out


def _calls_out(module: Module, call: ast.Call, counterparts: set[str]) -> bool:
    meaning = module.meaning(call.func) or ""
    if any(meaning == wire or meaning.startswith(f"{wire}.") for wire in WIRES):
        return True
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in counterparts


def _counterparts(project: Project, module: Module, function: Function) -> set[str]:
    """Names that hold one kind of a family: ``channel = channels.of(order.channel)``, or ``channel: Channel``."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            meaning = module.meaning(node.value.func) or ""
            if meaning.rpartition(".")[0].rpartition(".")[2] in PORTS:
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif (
            isinstance(node, ast.arg)
            and node.annotation
            and _names_a_protocol(project, module, node.annotation)
        ):
            names.add(node.arg)
    return names


def _names_a_protocol(project: Project, module: Module, annotation: ast.expr) -> bool:
    return module.meaning(annotation) in project.protocols


def _is_relationship(module: Module, call: ast.Call) -> bool:
    return (module.meaning(call.func) or "").endswith(".relationship")


def _texts(tree: ast.AST) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _joined_templates(tree: ast.AST) -> set[str]:
    """Names of templates that are put together, as patterns: ``f"errors/{door}.html"``."""
    patterns = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and ast.unparse(node).rstrip("'\"").endswith(".html"):
            parts = [
                re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+"
                for part in node.values
            ]
            patterns.add("".join(str(part) for part in parts))
    return patterns


def _prefixes(tree: ast.AST) -> set[str]:
    """Beginnings of keys that are put together: ``f"charge.{state}"`` or ``"charge." + state``."""
    joined = [node.values[0] for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) and node.values]
    joined += [
        node.left for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
    ]
    texts = [node.value for node in joined if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {text for text in texts if re.fullmatch(r"\w+\.[\w.]*", text)}


def _said_key(module: Module, node: ast.AST) -> str | None:
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return None
    origin, _, name = (module.meaning(node.func) or "").rpartition(".")
    says = (origin == "miniapp.core.errors" and name in FAILURES) or (origin, name) == (
        "miniapp.core.text",
        "say",
    )
    key = node.args[0].value
    return key if says and isinstance(key, str) else None


def _catalogue(project: Project) -> set[str]:
    keys: set[str] = set()
    for file in (project.root / "miniapp" / "core" / "texts").glob("*.toml"):
        keys |= set(_flat(tomllib.loads(file.read_text("utf-8")), ""))
    return keys


def _flat(table: dict[str, object], prefix: str) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key
