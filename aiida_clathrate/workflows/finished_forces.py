"""What earlier work chains have finished of a population."""

from __future__ import annotations

import re

from aiida import orm
from aiida.common.hashing import make_hash
from aiida.common.links import LinkType

from aiida_clathrate.calculations.configurations import problem_of

PROCESS_TYPE = 'aiida.workflows:clathrate.forces'
#: Parameters of pw.x that change nothing but the way to the numbers.
NO_PHYSICS = {'disk_io', 'max_seconds', 'tprnfor', 'tstress', 'verbosity', 'wf_collect'}
#: Settings of the plugin that do not either.
TECHNICAL_SETTINGS = {'cmdline', 'no_bands', 'parser_options'}


def difference(earlier, inputs):
    """Return why the results of an earlier work chain are not those of these inputs, ``None`` if they are.

    :param earlier: node that was named.
    :param inputs: of the new work chain; without ``population``, all but that is compared.
    """
    if earlier.process_type != PROCESS_TYPE:
        return f'{earlier.uuid} is no ForcesWorkChain'
    if not earlier.is_terminated:
        return f'the work chain {earlier.uuid} is still running; wait for it or kill it'
    before = input_nodes(earlier)
    if 'population' in inputs and content(before['population']) != content(inputs['population']):
        return f'the work chain {earlier.uuid} had another population'
    if inputs['stress'].value and not before['stress'].value:
        return f'the work chain {earlier.uuid} had no stresses'
    one, other = physics(before), physics(flattened(inputs))
    if changed := sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)):
        return f'the work chain {earlier.uuid} had other inputs: {", ".join(changed)}'
    return None


def taken_over(inputs):
    """Take ``restart_from`` out of the inputs of a ``ForcesWorkChain`` whose results it does not have.

    :return: why nothing is taken over, ``None`` if there is nothing to say.
    """
    if 'restart_from' not in inputs:
        return None
    other = difference(orm.load_node(inputs.restart_from.value), inputs)
    if other:
        inputs.pop('restart_from')
    return other


def input_nodes(process):
    """Return the inputs of a process by their labels, with ``__`` between namespaces."""
    links = process.base.links.get_incoming(link_type=(LinkType.INPUT_WORK, LinkType.INPUT_CALC))
    return {link.link_label: link.node for link in links.all()}


def flattened(inputs, prefix=''):
    """Return nodes in nested namespaces by their labels, with ``__`` between namespaces."""
    nodes = {}
    for name, value in inputs.items():
        if isinstance(value, orm.Node):
            nodes[prefix + name] = value
        elif hasattr(value, 'items') and name != 'metadata':
            nodes |= flattened(value, f'{prefix}{name}__')
    return nodes


def physics(nodes):
    """Return those inputs that results of pw.x depend on, as what can be compared.

    A calculator is not among them: the parts of an evaluation know themselves what they belong to.
    """
    found = {}
    for label, node in nodes.items():
        if label == 'pw__pw__parameters':
            found[label] = without(node.get_dict(), NO_PHYSICS, inside='CONTROL')
        elif label == 'pw__pw__settings':
            settings = without(node.get_dict(), TECHNICAL_SETTINGS)
            found |= {label: settings} if settings else {}
        elif label in ('structure', 'pw__kpoints') or re.match('pw__pw__(pseudos__|hubbard_file|vdw_table)', label):
            found[label] = content(node)
    return found


def content(node):
    """Return the hash of what a node holds; it need not be stored."""
    return make_hash(node.base.caching.get_objects_to_hash())


def without(dictionary, names, inside=None):
    """Return a dictionary without some names, whatever their case; of one of its dictionaries if asked for."""
    if inside is not None:
        return {key: without(value, names) if key.upper() == inside else value for key, value in dictionary.items()}
    return {key: value for key, value in dictionary.items() if key.lower() not in names}


def reason_of(node, stress):
    """Return why a ``PwBaseWorkChain`` gives no forces that can be used, ``None`` if it does."""
    if not node.is_finished_ok:
        calculations = [child for child in node.called if isinstance(child, orm.CalcJobNode)]
        last = max(calculations, key=lambda child: child.pk, default=node)
        return last.exit_message or node.exit_message or node.exception or f'ended as {node.process_state.value}'
    if 'output_trajectory' not in node.outputs:
        return 'no trajectory in the output'
    return problem_of(node.outputs.output_parameters.get_dict(), node.outputs.output_trajectory, stress)


def finished_configurations(earlier, stress):
    """Return the runs of pw.x that an earlier work chain, or those before it, finished, by configuration."""
    found = {}
    while earlier is not None:
        for link in earlier.base.links.get_outgoing(link_type=LinkType.CALL_WORK).all():
            match = re.fullmatch(r'configuration_(\d+)_attempt\d+', link.link_label)
            if match and int(match[1]) not in found and reason_of(link.node, stress) is None:
                found[int(match[1])] = link.node
        earlier = before(earlier)
    return found


def last_evaluation_folder(earlier):
    """Return the folder of the last evaluation of an earlier work chain, or of those before it."""
    while earlier is not None:
        links = earlier.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all()
        calculations = sorted((link.node for link in links if 'remote_folder' in link.node.outputs), key=lambda n: n.pk)
        if calculations:
            return calculations[-1].outputs.remote_folder
        earlier = before(earlier)
    return None


def before(work_chain):
    """Return the work chain that this one was restarted from."""
    node = input_nodes(work_chain).get('restart_from')
    return None if node is None else orm.load_node(node.value)
