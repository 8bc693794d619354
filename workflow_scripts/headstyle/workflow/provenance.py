"""One digest of the library modules a stage script uses, so that editing one reruns the stage.

The digest is of what the code says: its syntax tree without comments, docstrings and what only
type checkers read. Where a module lies does not count, so that moving a file redoes no results. An
import of one of our modules stands for that module's own code.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


def library_digest(script: str | Path) -> str:
    """Digest of all modules of our packages that a stage script uses, 16 hex digits."""
    root = Path(script).parent
    modules = [module for module in library_modules(script) if not _is_empty(module, root)]
    digests = sorted(_module_digest(module, root) for module in modules)
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def library_modules(script: str | Path) -> list[Path]:
    """The modules of our packages that a script imports, and all that these import, sorted.

    Our packages are the folders with an `__init__.py` beside the script.
    """
    root = Path(script).parent
    found: set[Path] = set()
    left = [Path(script)]
    while left:
        new = _imported_modules(left.pop(), root) - found
        found |= new
        left += new
    return sorted(found)


@dataclass(frozen=True)
class _Source:
    """What a module says."""

    code: str
    """Its syntax tree without imports of our packages."""
    imports: tuple[tuple[str, tuple[str, ...]], ...]
    """Of our packages: the dotted module, and the names taken from it."""
    looks_for_modules: bool
    """Whether it may load any module beside it."""
    door: tuple[tuple[str, str], ...]
    """For a package that opens its names when they are asked for: each name and its module."""


def _module_digest(module: Path, root: Path) -> str:
    """Digest of a module, with the code of the modules that it imports from in their place."""
    source = _read(module, root)
    digest = hashlib.sha256(source.code.encode())
    meant = sorted(
        f"{part} of {_own_code(file, root)}"
        for name, taken in source.imports
        for part in taken
        for file in [*_module_files(name, root), *_module_files(f"{name}.{part}", root)][-1:]
    )
    digest.update("\n".join(meant).encode())
    return digest.hexdigest()


def _is_empty(module: Path, root: Path) -> bool:
    """Whether a module does nothing, as the `__init__.py` of most folders."""
    source = _read(module, root)
    return source.code == ast.dump(ast.Module([], [])) and not source.imports


def _own_code(module: Path, root: Path) -> str:
    return hashlib.sha256(_read(module, root).code.encode()).hexdigest()


def _imported_modules(module: Path, root: Path) -> set[Path]:
    """Files of our packages that importing a module runs, anywhere in it."""
    source = _read(module, root)
    files: set[Path] = set()
    for name, taken in source.imports:
        files.update(_module_files(name, root))
        for part in taken:
            # `from headstyle.capture import head` may name a module or something in it.
            files.update(_module_files(f"{name}.{part}", root))
            files.update(_behind_the_door(name, part, root))
    if source.looks_for_modules:
        files.update(module.parent.glob("*.py"))
    return files - {module}


def _behind_the_door(package: str, name: str, root: Path) -> list[Path]:
    """The module that a package takes a name from when it is asked for."""
    init = root.joinpath(*package.split("."), "__init__.py")
    if not init.is_file():
        return []
    modules = dict(_read(init, root).door)
    return _module_files(f"{package}.{modules[name]}", root) if name in modules else []


def _read(module: Path, root: Path) -> _Source:
    package = module.parent.relative_to(root).parts
    return _parse(module.read_text(encoding="utf-8"), package, _packages(root))


@cache
def _packages(root: Path) -> frozenset[str]:
    return frozenset(path.parent.name for path in root.glob("*/__init__.py"))


# A run asks for the digests of all its stages, which share most modules.
@cache
def _parse(text: str, package: tuple[str, ...], ours: frozenset[str]) -> _Source:
    stripped = _Stripped(package, ours)
    tree = stripped.visit(ast.parse(text))
    return _Source(
        ast.dump(tree),
        tuple(sorted(stripped.imports)),
        stripped.looks_for_modules,
        tuple(sorted(stripped.door.items())),
    )


class _Stripped(ast.NodeTransformer):
    """Takes out of a module what does not change what it does, and notes what it imports."""

    def __init__(self, package: tuple[str, ...], ours: frozenset[str]) -> None:
        self.package, self.ours = package, ours
        self.imports: set[tuple[str, tuple[str, ...]]] = set()
        self.looks_for_modules = False
        self.door: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        names = [alias.name for alias in node.names]
        self.looks_for_modules |= "pkgutil" in names
        self.imports |= {(name, ()) for name in names if name.split(".")[0] in self.ours}
        node.names = [a for a in node.names if a.name.split(".")[0] not in self.ours]
        return node if node.names else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        name = node.module or ""
        if node.level:
            above = self.package[: len(self.package) - node.level + 1]
            name = ".".join([*above, *filter(None, [name])])
        if name.split(".")[0] not in self.ours:
            return node
        self.imports.add((name, tuple(alias.name for alias in node.names)))
        return None

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST] | None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return [self.visit(statement) for statement in node.orelse] or None
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None  # A docstring, of whatever it stands below.
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node.func) == "Setting":
            # What a setting means is said to people only.
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "meaning"]
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if (
            isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "lazy_loader.attach"
        ):
            for keyword in node.value.keywords:
                for module, names in ast.literal_eval(keyword.value).items():
                    self.door |= dict.fromkeys(names, module)
            return None
        return self.generic_visit(node)


def _module_files(name: str, root: Path) -> list[Path]:
    """Files that importing a dotted name runs: the packages on the way, and the module itself."""
    files = []
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        files += [f for f in (place / "__init__.py", place.with_suffix(".py")) if f.is_file()]
    return files
