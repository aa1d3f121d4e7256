"""Configuration of Sphinx."""

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from aiida import load_profile
from aiida.manage.configuration import get_config
from aiida.storage.sqlite_temp import SqliteTempBackend

here = Path(__file__).parent
sys.path.insert(0, str(here / '_ext'))
# Processes are documented with a profile loaded: one in memory, not that of whoever builds the documentation.
os.environ['AIIDA_PATH'] = str(here / '_build' / 'aiida')
(here / '_build' / 'aiida').mkdir(parents=True, exist_ok=True)
os.environ.setdefault('MPLBACKEND', 'Agg')
get_config(create=True)
load_profile(SqliteTempBackend.create_profile('documentation'))

project = 'aiida-clathrate'
author = 'aiida-clathrate developers'
copyright = f'2026, {author}'
version = release = installed_version('aiida-clathrate')

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.viewcode',
    'sphinx_click',
    'aiida.sphinxext',
    'generated_reference',
]
myst_enable_extensions = ['amsmath', 'colon_fence', 'deflist', 'dollarmath']
myst_heading_anchors = 3
exclude_patterns = ['_build', '_ext', 'snippets']

html_theme = 'furo'
html_title = f'aiida-clathrate {release}'

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_default_options = {'members': True, 'show-inheritance': True}
# Aliases of arrays would fill half a signature.
autodoc_type_aliases = {'NDArray': 'NDArray'}
