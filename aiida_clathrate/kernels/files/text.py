"""Lines and numbers of a text file; every complaint names the file, the line and what to do about it."""

from __future__ import annotations

import math
import re
from pathlib import Path

_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?', re.ASCII)
_INTEGER = re.compile(r'[+-]?\d{1,9}', re.ASCII)


class Lines:
    """A position in a text that moves forward line by line.

    :param text: the whole text.
    :param name: name of the file, for messages.
    """

    def __init__(self, text: str, name: str):
        self.name = name
        self._lines = text.splitlines()
        self._ends = text.endswith('\n')
        self._next = 0

    @property
    def done(self) -> bool:
        """Whether only blank lines remain."""
        return not self.peek()

    def error(self, message: str) -> ValueError:
        """Return an error about the line that was read last."""
        return ValueError(f'{self.name}, line {max(self._next, 1)}: {message}')

    def read(self) -> str:
        """Return the next line."""
        if self._next >= len(self._lines):
            raise self.error('the file ends too early: it is incomplete, repeat the run or copy the file again')
        self._next += 1
        return self._lines[self._next - 1]

    def read_filled(self) -> str:
        """Return the next line that is not blank."""
        while not (line := self.read()).strip():
            pass
        return line

    def peek(self) -> str:
        """Return the next line that is not blank and stay before it; empty at the end."""
        following = range(self._next, len(self._lines))
        return next((self._lines[n] for n in following if self._lines[n].strip()), '')

    def numbers(self, count: int | None = None) -> list[float]:
        """Return the numbers of the next line that is not blank, ``count`` of them where it is given."""
        return self.parse(self.read_filled(), count)

    def integers(self, count: int) -> list[int]:
        """Return the ``count`` integers of the next line that is not blank."""
        tokens = self.read_filled().split()
        if len(tokens) != count or not all(_INTEGER.fullmatch(token) for token in tokens):
            raise self.error(f'need {count} integers, not {" ".join(tokens)[:80]!r}')
        return [int(token) for token in tokens]

    def parse(self, text: str, count: int | None = None) -> list[float]:
        """Return the numbers in a part of the line that was read last."""
        values = [self._number(token) for token in text.split()]
        if count is not None and len(values) != count:
            self.check_complete()
            raise self.error(f'need {count} numbers, not {len(values)}: the file is damaged, write or copy it again')
        return values

    def check_complete(self) -> None:
        """Refuse a file that was cut off within the line that was read last."""
        if self._next == len(self._lines) and not self._ends:
            raise self.error('the file ends within this line: it is incomplete, repeat the run or copy the file again')

    def _number(self, token: str) -> float:
        if '*' in token:
            raise self.error('a number that did not fit its columns was printed as stars; it cannot be recovered')
        if not _NUMBER.fullmatch(token):
            raise self.error(f'{token[:40]!r} is not a number; check the run that wrote the file')
        value = float(token.replace('D', 'E').replace('d', 'e'))
        if not math.isfinite(value):
            raise self.error(f'{token[:40]!r} is too large for a number')
        return value


def read_text(path: Path) -> str:
    """Return the content of a text file.

    :raises ValueError: if it does not exist or is not text.
    """
    try:
        return path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not a text file (byte {error.start})') from error
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror}') from error


def read_texts(folder: Path, start: str = '') -> dict[str, str]:
    """Return the texts of the files directly in a folder whose names begin with ``start``, by name."""
    if not folder.is_dir():
        raise ValueError(f'{folder} is not a folder')
    return {path.name: read_text(path) for path in sorted(folder.iterdir()) if _wanted(path, start)}


def _wanted(path: Path, start: str) -> bool:
    return path.is_file() and path.name.startswith(start)
