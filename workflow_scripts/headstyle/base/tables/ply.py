"""PLY files, binary or text: one table for each of their elements, such as `vertex`.

The format is Greg Turk's of 1994. Tables are NumPy's structured arrays. Elements with a list, such
as a mesh's faces, are passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError, Origin, first_line
from headstyle.base.files import whole_file

Table = NDArray[Any]
"""A structured array with one entry per row. Shape `(N,)`."""

_KINDS = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8"},
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_KINDS |= {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4"}
_KINDS |= {"uint32": "u4", "float32": "f4", "float64": "f8"}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_LONGEST_HEADER = 65536


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[tuple[str, str], ...]
    """Name and NumPy's kind of each; of a list, `count kind,item kind`."""

    @property
    def has_list(self) -> bool:
        return any("," in kind for _, kind in self.properties)

    def dtype(self, order: str) -> np.dtype[Any]:
        return np.dtype([(name, order + kind) for name, kind in self.properties])


def read_ply_tables(path: str | Path, origin: Origin) -> dict[str, Table]:
    """The tables of a PLY by their elements' names, without those that hold lists.

    Args:
        path: The file.
        origin: Whose file it is.

    Raises:
        InputError: the file is missing, is no PLY, is truncated or damaged.
    """
    try:
        with Path(path).open("rb") as file:
            order, elements = _read_header(file)
            left = Path(path).stat().st_size - file.tell()
            for element in elements:
                _check_count(element, order, left, path, origin)
            read = _read_text if order == "=" else _read_binary
            return read(file, elements, order)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {origin.if_missing}") from None
    except InputError:
        raise
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(
            f"{path} cannot be read as a PLY ({first_line(error)}); {origin.if_wrong}"
        ) from None


def write_ply_tables(path: str | Path, tables: Mapping[str, Table]) -> None:
    """Write tables as a binary PLY, whole or not at all.

    Args:
        path: The file.
        tables: By the names of their elements. Columns are whole numbers of up to 32 bits, float32
            or float64.
    """
    header = ["ply", "format binary_little_endian 1.0"]
    for name, table in tables.items():
        header.append(f"element {name} {len(table)}")
        for column in table.dtype.names or ():
            kind = table.dtype[column]
            header.append(f"property {_NAMES[f'{kind.kind}{kind.itemsize}']} {column}")
    with whole_file(path) as partial, partial.open("wb") as file:
        file.write("\n".join([*header, "end_header\n"]).encode())
        for table in tables.values():
            file.write(table.astype(table.dtype.newbyteorder("<"), copy=False).tobytes())


def _read_header(file: IO[bytes]) -> tuple[str, list[_Element]]:
    """The byte order, `=` for text, and the elements; leaves the file where its rows begin."""
    if file.readline(8).strip() != b"ply":
        raise ValueError("it does not begin as a PLY")
    order, elements = "", list[_Element]()
    while True:
        line = file.readline(_LONGEST_HEADER)
        words = line.decode("utf-8", "replace").split()
        if not line.endswith(b"\n") or file.tell() > _LONGEST_HEADER:
            raise ValueError("its header has no end")
        if words == ["end_header"]:
            break
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3:
            order = _BYTE_ORDERS.get(words[1], "")
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal():
            # Python converts no number of thousands of digits; it is too large in any case.
            elements.append(_Element(words[1], int(words[2][:40]), ()))
        elif words[0] == "property" and len(words) in (3, 5) and elements:
            last = elements[-1]
            properties = (*last.properties, _property(words[1:]))
            elements[-1] = _Element(last.name, last.count, properties)
        else:
            raise ValueError(f"its header has the line {' '.join(words)[:60]!r}")
    if not order:
        raise ValueError("its header names no format that is known")
    return order, elements


def _property(words: Sequence[str]) -> tuple[str, str]:
    kinds = words[1:3] if words[0] == "list" and len(words) == 4 else words[:1]
    unknown = [kind for kind in kinds if kind not in _KINDS]
    if unknown or len(words) - len(kinds) != (2 if len(kinds) == 2 else 1):
        raise ValueError(f"its header has a property of the kind {' '.join(words[:-1])[:40]!r}")
    return words[-1], ",".join(_KINDS[kind] for kind in kinds)


def _check_count(
    element: _Element, order: str, left: int, path: str | Path, origin: Origin
) -> None:
    """Raise an InputError where the header promises more rows than the file has bytes for."""
    least = 1 if order == "=" or element.has_list else element.dtype(order).itemsize
    if element.count * least > left:
        raise InputError(
            f"{path} says that it holds {element.count} entries of {element.name!r} but has only"
            f" {left} bytes for them; {origin.if_wrong}"
        )


def _read_binary(file: IO[bytes], elements: Sequence[_Element], order: str) -> dict[str, Table]:
    tables = {}
    while elements:
        element, *elements = elements
        if not element.has_list:
            dtype = element.dtype(order)
            content = file.read(element.count * dtype.itemsize)
            tables[element.name] = np.frombuffer(content, dtype, element.count)
        elif elements:
            _skip_lists(file, element, order)
    return tables


def _skip_lists(file: IO[bytes], element: _Element, order: str) -> None:
    for _ in range(element.count):
        for _, kind in element.properties:
            counts, _, item = kind.rpartition(",")
            number = 1
            if counts:
                size = np.dtype(counts).itemsize
                number = int(np.frombuffer(file.read(size), order + counts, 1)[0])
            file.seek(number * np.dtype(item).itemsize, 1)


def _read_text(file: IO[bytes], elements: Sequence[_Element], order: str) -> dict[str, Table]:
    lines = (line for line in file if line.strip())
    tables = {}
    for element in elements:
        rows = list(islice(lines, element.count))
        if len(rows) < element.count:
            raise ValueError(f"it has {len(rows)} of {element.count} entries of {element.name!r}")
        if not element.has_list:
            dtype = element.dtype(order)
            tables[element.name] = np.loadtxt(rows, dtype, ndmin=1) if rows else np.empty(0, dtype)
    return tables
