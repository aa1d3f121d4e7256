"""Write the reference pages that follow the code: one for each entry point group, one for each module of the kernels.

A new module or entry point needs no edit under ``docs/``.
"""

import re
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from pkgutil import walk_packages

from aiida.engine import Process

import aiida_clathrate.kernels

GROUPS = {
    'aiida.data': 'Data',
    'aiida.calculations': 'Calculations',
    'aiida.parsers': 'Parsers',
    'aiida.workflows': 'Work chains',
}
INLINE_CODE = re.compile(r'(``.*?``)', re.DOTALL)


def setup(app):
    """Register the generator and the treatment of docstrings."""
    app.connect('builder-inited', write_pages)
    app.connect('autodoc-process-docstring', escape_formulas)
    for part in ('description', 'epilog', 'options'):
        app.connect(f'sphinx-click-process-{part}', escape_help)
    return {'parallel_read_safe': True}


def write_pages(app):
    """Write ``reference/api``, which git ignores."""
    folder = Path(app.srcdir) / 'reference' / 'api'
    folder.mkdir(parents=True, exist_ok=True)
    pages = {'entry_points': entry_points_page()}
    package = aiida_clathrate.kernels
    for module in sorted(walk_packages(package.__path__, f'{package.__name__}.'), key=lambda module: module.name):
        if not module.name.endswith('__main__'):
            pages[module.name] = page(module.name, f'.. automodule:: {module.name}\n')
    for path in folder.glob('*.rst'):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f'{name}.rst'
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def page(title, *blocks, underline='='):
    """Return a titled part of a page."""
    return '\n'.join([title, underline * len(title), '', *blocks])


def entry_points_page():
    """Return one section for each group of entry points."""
    sections = []
    for group, title in GROUPS.items():
        found = sorted(distribution('aiida-clathrate').entry_points.select(group=group), key=lambda entry: entry.name)
        if found:
            sections.append(page(title, *map(entry_point_section, found), underline='-'))
    return page('Entry points', *sections)


def entry_point_section(entry):
    """Return ports and exit codes of a process, or the documentation of another class."""
    resource = getattr(import_module(entry.module), entry.attr)
    if not (isinstance(resource, type) and issubclass(resource, Process)):
        directive = 'autoclass' if isinstance(resource, type) else 'autofunction'
        return page(f'``{entry.name}``', f'.. {directive}:: {entry.module}.{entry.attr}', '', underline='~')
    kind = 'workchain' if entry.group == 'aiida.workflows' else 'calcjob'
    lines = [
        f'.. aiida-{kind}:: {entry.attr}',
        f'   :module: {entry.module}',
        '   :hide-nondb-inputs:',
        '',
        'Exit codes:',
        '',
    ]
    codes = sorted(resource.spec().exit_codes.items(), key=lambda item: item[1].status)
    lines += [f'- **{code.status}** ``{label}``: {escape_plain(code.message)}' for label, code in codes]
    return page(f'``{entry.name}``', *lines, '', underline='~')


def escape_formulas(app, what, name, obj, options, lines):
    """Keep |e|², a* and x_ν in docstrings from being read as markup."""
    lines[:] = escape('\n'.join(lines)).split('\n')


def escape_help(app, context, lines):
    """Keep names like dyn_pop3_ and formulas in the help of commands from being read as markup."""
    lines[:] = escape('\n'.join(lines)).split('\n')


def escape_plain(text):
    """Escape a text that has no markup at all."""
    return escape(text.replace('`', r'\`'))


def escape(text):
    """Escape the characters of reStructuredText that formulas use, outside of inline code."""
    parts = INLINE_CODE.split(text)
    parts[::2] = [re.sub(r'(?<!\\)([|*]|_(?!\w))', r'\\\1', part) for part in parts[::2]]
    return ''.join(parts)
