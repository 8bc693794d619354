"""One digest of the library modules a stage script uses, so that editing one reruns the stage.

The digest is of what the code says: its syntax tree without comments, docstrings and what only
type checkers read. Where a module lies does not count, so that moving a file redoes no results. An
import of one of our modules stands for that module's own code.

What a module says is kept in the user's cache folder by the bytes of its file, as reading all of
them anew would take half of Snakemake's start.
"""

import ast
import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from headstyle.base.files import whole_file


def library_digest(script: str | Path) -> str:
    """Digest of all modules of our packages that a stage script uses, 16 hex digits."""
    return Library(Path(script).parent).digest(Path(script))


def library_modules(script: str | Path) -> list[Path]:
    """The modules of our packages that a script imports, and all that these import, sorted.

    Our packages are the folders with an `__init__.py` beside the script.
    """
    return Library(Path(script).parent).modules(Path(script))


@dataclass(frozen=True)
class _Source:
    """What a module says."""

    code: str
    """Digest of its syntax tree without imports of our packages."""
    imports: tuple[tuple[str, tuple[str, ...]], ...]
    """Of our packages: the dotted module, and the names taken from it."""
    looks_for_modules: bool
    """Whether it may load any module beside it."""
    door: tuple[tuple[str, str], ...]
    """For a package that opens its names when they are asked for: each name and its module."""


class Library:
    """Our packages and the scripts beside them, each file read once: as they are at that time."""

    def __init__(self, root: Path) -> None:
        """Take the packages in a folder, which are its folders with an `__init__.py`."""
        self._root = root
        self._ours = frozenset(path.parent.name for path in root.glob("*/__init__.py"))
        # A run asks for the digests of all its stages, which share most modules.
        self._kept = _Kept()
        self._read = cache(self._read_module)
        self._files = cache(self._files_of)
        self._imported = cache(self._imported_by)
        self._digest = cache(self._digest_of_module)

    def digest(self, script: Path) -> str:
        """Digest of all modules of our packages that a stage script uses, 16 hex digits."""
        modules = [module for module in self.modules(script) if not self._is_empty(module)]
        digests = sorted(map(self._digest, modules))
        self._kept.write()
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]

    def modules(self, script: Path) -> list[Path]:
        """The modules of our packages that a script imports, and all that these import, sorted."""
        found: set[Path] = set()
        left = [script]
        while left:
            new = self._imported(left.pop()) - found
            found |= new
            left += new
        return sorted(found)

    def _digest_of_module(self, module: Path) -> str:
        """Digest of a module, with the code of the modules that it imports from in their place."""
        source = self._read(module)
        digest = hashlib.sha256(source.code.encode())
        meant = sorted(
            f"{part} of {self._read(file).code}"
            for name, taken in source.imports
            for part in taken
            for file in [*self._files(name), *self._files(f"{name}.{part}")][-1:]
        )
        digest.update("\n".join(meant).encode())
        return digest.hexdigest()

    def _is_empty(self, module: Path) -> bool:
        """Whether a module does nothing, as the `__init__.py` of most folders."""
        source = self._read(module)
        return source.code == _EMPTY and not source.imports

    def _imported_by(self, module: Path) -> frozenset[Path]:
        """Files of our packages that importing a module runs, anywhere in it."""
        source = self._read(module)
        files: set[Path] = set()
        for name, taken in source.imports:
            files.update(self._files(name))
            for part in taken:
                # `from headstyle.capture import head` may name a module or something in it.
                files.update(self._files(f"{name}.{part}"))
                files.update(self._behind_the_door(name, part))
        if source.looks_for_modules:
            files.update(module.parent.glob("*.py"))
        return frozenset(files - {module})

    def _behind_the_door(self, package: str, name: str) -> tuple[Path, ...]:
        """The module that a package takes a name from when it is asked for."""
        init = self._root.joinpath(*package.split("."), "__init__.py")
        if init not in self._files(package):
            return ()
        modules = dict(self._read(init).door)
        return self._files(f"{package}.{modules[name]}") if name in modules else ()

    def _read_module(self, module: Path) -> _Source:
        package = module.parent.relative_to(self._root).parts
        text = module.read_bytes()
        place = "\0".join((*package, "", *sorted(self._ours), ""))
        key = hashlib.sha256(place.encode() + text).hexdigest()
        if (kept := self._kept.source(key)) is not None:
            return kept
        stripped = _Stripped(package, self._ours)
        tree = stripped.visit(ast.parse(text))
        source = _Source(
            _digest_of_tree(tree),
            tuple(sorted(stripped.imports)),
            stripped.looks_for_modules,
            tuple(sorted(stripped.door.items())),
        )
        self._kept.add(key, source)
        return source

    def _files_of(self, name: str) -> tuple[Path, ...]:
        """Files that importing a dotted name runs: the packages on the way, and the module."""
        above, _, _ = name.rpartition(".")
        place = self._root.joinpath(*name.split("."))
        own = (place / "__init__.py", place.with_suffix(".py"))
        return (*(self._files(above) if above else ()), *filter(Path.is_file, own))


def _digest_of_tree(tree: ast.AST) -> str:
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


_EMPTY = _digest_of_tree(ast.Module([], []))


class _Kept:
    """What modules said when they were read before, in a file of the user's cache folder.

    Its name depends on this module and on Python, and its keys on the modules' bytes: nothing in it
    is ever out of date. Where the folder cannot be used, every module is read anew.
    """

    MOST = 5000
    """Modules kept; beyond that, only those of the present library."""

    def __init__(self) -> None:
        own = Path(__file__).read_bytes() + sys.version.encode()
        name = f"sources-{hashlib.sha256(own).hexdigest()[:16]}.json"
        self._path: Path | None = None
        self._before: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        self._is_new = False
        # Without a home or with a damaged file nothing is kept.
        with suppress(OSError, RuntimeError, ValueError):
            folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstyle"
            self._path = folder / name
            before = json.loads(self._path.read_bytes())
            self._before = before if isinstance(before, dict) else {}

    def source(self, key: str) -> _Source | None:
        """What is kept under a key, or None."""
        try:
            code, imports, looks, door = kept = self._before[key]
            source = _Source(
                str(code),
                tuple((str(name), tuple(taken)) for name, taken in imports),
                bool(looks),
                tuple((str(name), str(module)) for name, module in door),
            )
        except (KeyError, TypeError, ValueError):
            return None
        self._asked[key] = kept
        return source

    def add(self, key: str, source: _Source) -> None:
        """Keep what a module says, from the next `write` on."""
        self._asked[key] = (source.code, source.imports, source.looks_for_modules, source.door)
        self._is_new = True

    def write(self) -> None:
        """Write the file if there is anything new to keep."""
        if not self._is_new or self._path is None:
            return
        self._is_new = False
        kept = {**self._before, **self._asked}
        # A full disk, a folder of others, or another process that writes: then next time.
        with suppress(OSError), whole_file(self._path) as partial:
            partial.write_text(json.dumps(self._asked if len(kept) > self.MOST else kept))


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
