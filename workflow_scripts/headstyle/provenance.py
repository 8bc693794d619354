"""One digest of the library modules a stage script uses, so that editing one reruns the stage."""

import ast
import hashlib
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
    found: set[Path] = set()
    _collect(Path(script), Path(script).parent, found)
    return sorted(found)


def _collect(source: Path, root: Path, found: set[Path]) -> None:
    for name in _imported_names(source, root):
        for module in _module_files(name, root):
            if module not in found:
                found.add(module)
                _collect(module, root, found)


def _imported_names(source: Path, root: Path) -> set[str]:
    """Dotted names below `headstyle` that the source imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
            if any(alias.name == "pkgutil" for alias in node.names):
                # A package that looks for its own modules may load any of them.
                package = ".".join(source.parent.relative_to(root).parts)
                names.update(f"{package}.{file.stem}" for file in source.parent.glob("*.py"))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = source.parent.relative_to(root).parts
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            names.add(base)
            # `from headstyle.capture import head` may name a module or something in it.
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] == "headstyle"}


def _module_files(name: str, root: Path) -> list[Path]:
    """Files that importing a dotted name runs: the packages on the way, and the module itself."""
    files = []
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        files += [f for f in (place / "__init__.py", place.with_suffix(".py")) if f.is_file()]
    return files
