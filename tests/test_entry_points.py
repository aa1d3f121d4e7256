"""What the package registers can be loaded, under names of its own."""

from importlib.metadata import distribution

import pytest

ENTRY_POINTS = [entry for entry in distribution('aiida-clathrate').entry_points if entry.group.startswith('aiida.')]


@pytest.mark.parametrize('entry', ENTRY_POINTS, ids=lambda entry: f'{entry.group}:{entry.name}')
def test_entry_point(entry):
    """An entry point leads to a class or command, and its name cannot collide with another plugin's."""
    assert callable(entry.load())
    assert entry.name == 'clathrate' or entry.name.startswith('clathrate.')
