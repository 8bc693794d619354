"""One digest of the library modules a stage script uses, so that editing one reruns the stage."""

import ast
import hashlib
from functools import cache
from pathlib import Path


def library_digest(script: str | Path) -> str:
    """Digest of all `headstyle` modules that a stage script uses, 16 hex digits."""
    root = Path(script).parent
    digest = hashlib.sha256()
    for module in library_modules(script):
        digest.update(module.relative_to(root).as_posix().encode())
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]


def library_modules(script: str | Path) -> list[Path]:
    """The script's `headstyle` modules and all that they import, sorted.

    They are looked for in the folder `headstyle` beside the script.
    """
    root = Path(script).parent
    found: set[Path] = set()
    known: set[str] = set()
    left = [Path(script)]
    while left:
        names = _imported_names(left.pop(), root) - known
        known |= names
        new = {module for name in names for module in _module_files(name, root)} - found
        found |= new
        left += new
    return sorted(found)


def _imported_names(source: Path, root: Path) -> set[str]:
    """Dotted names below `headstyle` that the source imports, anywhere in it."""
    package = source.parent.relative_to(root).parts
    names, looks_for_modules = _imports(source.read_text(encoding="utf-8"), package)
    if looks_for_modules:
        names |= {".".join([*package, file.stem]) for file in source.parent.glob("*.py")}
    return {name for name in names if name.split(".")[0] == "headstyle"}


# A run asks for the digests of all its stages, which share most modules.
@cache
def _imports(text: str, package: tuple[str, ...]) -> tuple[frozenset[str], bool]:
    """Dotted names that a source imports, and whether it may load any module beside it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            names.add(base)
            # `from headstyle.capture import head` may name a module or something in it.
            names.update(f"{base}.{alias.name}" for alias in node.names)
    # A package that looks for its own modules may load any of them.
    return frozenset(names), "pkgutil" in names


def _module_files(name: str, root: Path) -> list[Path]:
    """Files that importing a dotted name runs: the packages on the way, and the module itself."""
    files = []
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        files += [f for f in (place / "__init__.py", place.with_suffix(".py")) if f.is_file()]
    return files
