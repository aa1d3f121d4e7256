"""Files of real runs, see ``tests/fixtures/README.md``."""

import zipfile
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / 'fixtures'


def unpack(name):
    """Return the texts of an archive by name."""
    with zipfile.ZipFile(FIXTURES / f'{name}.zip') as archive:
        return {member: archive.read(member).decode() for member in archive.namelist()}


@pytest.fixture(scope='session')
def hydrogen():
    """Return the files of hydrogen."""
    return unpack('hydrogen')


@pytest.fixture(scope='session')
def aluminium():
    """Return the files of aluminium."""
    return unpack('aluminium')


@pytest.fixture(scope='session')
def shifted():
    """Return the files of aluminium on a shifted mesh."""
    return unpack('aluminium-shifted')


@pytest.fixture(scope='session')
def interpolated():
    """Return the files of aluminium with what matdyn.x and lambda.x made of them."""
    return unpack('aluminium-interpolated')
