"""The tables of the documentation say what the code says."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from aiida_clathrate.kernels.mlp.architecture import PRESETS, Architecture
from aiida_clathrate.kernels.mlp.evaluation_settings import EvaluationSettings
from aiida_clathrate.kernels.mlp.training_settings import TrainingSettings

PAGE = Path(__file__).parent.parent / 'docs' / 'topics' / 'potential.md'
#: What the tables are of, in the order of the page.
DESCRIBED = (Architecture, TrainingSettings, EvaluationSettings)


def tables():
    """Return the tables of parameters: for each the cells of its rows, by the names of the columns."""
    found = []
    for block in PAGE.read_text().split('\n\n'):
        rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in block.splitlines() if line[:1] == '|']
        if rows and rows[0][0] == 'parameter':
            found.append([dict(zip(rows[0], row, strict=True)) for row in rows[2:]])
    return found


def written(value):
    """Return a value as the tables have it."""
    return value if isinstance(value, str) else json.dumps(list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize('number', range(len(DESCRIBED)), ids=lambda number: DESCRIBED[number].__name__)
def test_parameters(number):
    """Every parameter is there, in its order, with its default."""
    assert len(tables()) == len(DESCRIBED)
    defaults = {field.name: field.default for field in fields(DESCRIBED[number])}
    described = {row['parameter'].strip('`'): row['default'] for row in tables()[number]}
    assert list(described) == list(defaults)
    assert described == {name: written(value) for name, value in defaults.items()}


@pytest.mark.parametrize(('preset', 'column'), [('fast', 'default'), ('paper', '`paper`')])
def test_presets(preset, column):
    """The columns of the presets are what these make; there are no others."""
    assert sorted(PRESETS) == ['fast', 'paper']
    made = Architecture.from_scalars({'preset': preset}).scalars()
    assert {row['parameter'].strip('`'): row[column] for row in tables()[0]} == {
        name: written(value) for name, value in made.items()
    }
