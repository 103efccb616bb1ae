"""Our own source as the architecture tests see it: modules, functions, and which call means which function."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True)
class Module:
    """One Python file; ``name`` is dotted (``miniapp.invoices.issuing``)."""

    path: Path
    name: str
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, str(self.path))

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Functions and methods by qualified name (``approve``, ``Worker.run``); inner functions are left out."""
        found: dict[str, Function] = {}
        for node in self.tree.body:
            if isinstance(node, Function):
                found[node.name] = node
            elif isinstance(node, ast.ClassDef):
                found |= {
                    f"{node.name}.{inner.name}": inner for inner in node.body if isinstance(inner, Function)
                }
        return found

    @cached_property
    def imports(self) -> dict[str, str]:
        """What a name in this file stands for: ``{"transaction": "miniapp.db.transaction", "db": "miniapp.db"}``."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                names |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}
        return names

    def meaning(self, expression: ast.expr) -> str | None:
        """The dotted name that an expression stands for, as far as imports tell: ``db.transaction`` → miniapp.db.transaction."""
        if isinstance(expression, ast.Name):
            if expression.id in self.imports:
                return self.imports[expression.id]
            return f"{self.name}.{expression.id}" if expression.id in self.functions else None
        if isinstance(expression, ast.Attribute):
            owner = self.meaning(expression.value)
            return f"{owner}.{expression.attr}" if owner else None
        return None

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        parts = package.split(".")[: len(package.split(".")) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])])


@dataclass(frozen=True)
class Project:
    """A tree like ours: ``root/miniapp``, ``root/templates``, ``root/tests``."""

    root: Path
    _read: dict[str, list[Module]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def modules(self) -> list[Module]:
        """Every module of the program but the sandbox, which is somebody else, and generated migrations."""
        return [
            m
            for m in self.read("miniapp")
            if not m.name.startswith(("miniapp.sandbox", "miniapp.migrations"))
        ]

    def read(self, folder: str) -> list[Module]:
        """Every module below a folder; each file is read once."""
        if folder not in self._read:
            self._read[folder] = [self._module(path) for path in sorted((self.root / folder).rglob("*.py"))]
        return self._read[folder]

    @cached_property
    def functions(self) -> dict[str, tuple[Module, Function]]:
        """Every function of the program by its dotted name."""
        return {
            f"{module.name}.{name}": (module, node)
            for module in self.modules
            for name, node in module.functions.items()
        }

    @cached_property
    def protocols(self) -> set[str]:
        """Protocol classes by dotted name: what is behind them is somebody else."""
        return {
            f"{module.name}.{node.name}"
            for module in self.modules
            for node in module.tree.body
            if isinstance(node, ast.ClassDef)
            and any(module.meaning(base) == "typing.Protocol" for base in node.bases)
        }

    def shown(self, path: Path) -> str:
        """A path as people write it, from the root."""
        return str(path.relative_to(self.root))

    def _module(self, path: Path) -> Module:
        parts = path.relative_to(self.root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return Module(path, name, path.read_text("utf-8"))


def calls(nodes: list[ast.stmt] | list[ast.expr]) -> Iterator[ast.Call]:
    """Calls made when these statements run; bodies of functions and classes defined inside run another time."""
    waiting: list[ast.AST] = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, _DEFINITIONS):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def blocks_of(module: Module, function: Function, opener: str) -> Iterator[ast.With]:
    """``with transaction():`` blocks of a function (``opener``: the dotted name of what is opened)."""
    for node in ast.walk(function):
        if isinstance(node, ast.With) and any(
            _opens(module, item.context_expr, opener) for item in node.items
        ):
            yield node


def takes_session(module: Module, function: Function) -> bool:
    """True for a step: its first argument is the session of the caller's transaction."""
    arguments = [a for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in ("self", "cls")]
    if not arguments or arguments[0].arg != "session":
        return False
    kind = arguments[0].annotation
    return kind is None or (module.meaning(kind) or "").startswith("sqlalchemy.")


def _opens(module: Module, expression: ast.expr, opener: str) -> bool:
    return isinstance(expression, ast.Call) and module.meaning(expression.func) == opener
