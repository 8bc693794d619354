"""The files of a job as Snakemake hands them to a script."""

from typing import Any


class Files(list):
    """All paths in their order. Each name is an attribute, and a key, for one path or several."""

    def __init__(self, **named: Any) -> None:
        super().__init__()
        self._named = named
        for value in named.values():
            self.extend(value if isinstance(value, list | tuple) else [value])

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_named"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key: Any) -> Any:
        return self._named[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, name: str, default: Any = None) -> Any:
        """One path or several by their name."""
        return self._named.get(name, default)

    def items(self) -> Any:
        """Names and paths."""
        return self._named.items()
