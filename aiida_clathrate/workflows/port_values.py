"""Ports that are single values, and what they refuse."""

from __future__ import annotations

import math

from aiida import orm


def define_value(spec, name, node, default, validator, text):
    """Define an input port with a default.

    :param node: its class.
    :param default: its Python value.
    :param text: help.
    """
    spec.input(
        name, valid_type=node, serializer=orm.to_aiida_type, default=lambda: node(default), validator=validator,
        help=text,
    )  # fmt: skip


def check_populations(populations, port):
    """Refuse sizes that are odd or shrink."""
    values = populations.get_list()
    if not values or not all(type(value) is int and value >= 4 and value % 2 == 0 for value in values):
        return f'{port.name}: {values} must be even numbers from 4; configurations come in pairs'
    if sorted(values) != values:
        return f'{port.name}: {values} must not shrink: each population is to be better than the one before'
    return None


def finite(number, port):
    """Refuse what is no number."""
    return None if math.isfinite(number.value) else f'{port.name}: {number.value} is not finite'


def not_negative(number, port):
    """Refuse less than zero."""
    if math.isfinite(number.value) and number.value >= 0:
        return None
    return f'{port.name}: {number.value} is not allowed; give 0 or more'


def positive(number, port):
    """Refuse zero and less."""
    if math.isfinite(number.value) and number.value > 0:
        return None
    return f'{port.name}: {number.value} is not allowed; give more than 0'


def fraction(number, port):
    """Refuse what is no fraction of a whole."""
    return None if 0 <= number.value <= 1 else f'{port.name}: {number.value} is not a fraction; give 0 to 1'


def part(number, port):
    """Refuse what leaves nothing of a whole."""
    return None if 0 <= number.value < 1 else f'{port.name}: {number.value} leaves nothing; give 0 to below 1'


def even(number, port):
    """Refuse numbers of which no pairs can be made."""
    if number.value >= 4 and number.value % 2 == 0:
        return None
    return f'{port.name}: {number.value} is not an even number from 4; configurations come in pairs'
