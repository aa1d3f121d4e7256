"""JSON from strangers: plain finite values of a limited size, or a message that says what is wrong with it."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

#: A megabyte is ten thousand times what describes a calculation [bytes].
LARGEST = 2**20
#: Whole numbers up to here fit into the integers of NumPy and of data bases.
LARGEST_INTEGER = 2**63 - 1


def parse(data: bytes, name: str) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Python's reader alone accepts NaN, infinities, numbers of any length, and the last of two equal names.

    :param name: of the file, for messages.
    :raises ValueError: for a text above ``LARGEST``, or one that is not JSON of finite values with unique names.
    """
    if len(data) > LARGEST:
        raise ValueError(f'{name}: more than {LARGEST} bytes of JSON are not read')
    try:
        content = json.loads(
            data.decode('utf-8'),
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except RecursionError as error:
        raise ValueError(f'{name}: nested too deeply') from error
    except ValueError as error:
        raise ValueError(f'{name}: is not plain JSON in UTF-8: {error}') from error
    if not isinstance(content, dict):
        raise ValueError(f'{name}: must hold a JSON object, not a {type(content).__name__}')
    return content


def _refuse(text: str) -> None:
    raise ValueError(f'{text} is not a number')


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f'{text[:20]} is too large')
    return value


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > LARGEST_INTEGER:
        raise ValueError(f'{text[:20]}… is too large')
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f'{twice[:40]!r} is there twice')
    return content
