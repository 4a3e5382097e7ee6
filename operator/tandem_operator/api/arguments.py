"""`engine.extraArgs`: what of vLLM's command line is the operator's, in every spelling that vLLM's parser takes.

An option's name ends at `=`, or at a dot that leads into a JSON document; `_` counts as `-`; the beginning of a name is
enough where no other option begins so; a short option may have its value right behind it. What begins as an option is
one, wherever it stands.
"""

import re
from typing import Final

from tandem_operator.rules import Rule

_OPTIONS: Final = (
    "--model",
    "--served-model-name",
    "--host",
    "--port",
    "--uds",
    "--root-path",
    "--api-key",
    "--hf-token",
    "--tensor-parallel-size",
    "--pipeline-parallel-size",
    "--prefill-context-parallel-size",
    "--nnodes",
    "--node-rank",
    "--headless",
    "--shutdown-timeout",
    "--config",
)
"""Set from fields, or at odds with the pod: its accelerators, its port and probes. A --config may hold them all."""
_FAMILIES: Final = ("--ssl-", "--grpc", "--data-parallel-", "-tp", "-pp", "-pcp", "-dp", "-n", "-r")
"""Whatever begins with one of these is the operator's, too."""
_NAME: Final = "^-[-_A-Za-z0-9]+"
_HIDDEN: Final = "^((-[^.=]*|-O=)?[$][(]|-O=?-)"
"""Kubernetes fills in variables before vLLM reads the arguments, and vLLM takes what follows -O for another one."""


def _is_owned(argument: str) -> bool:
    found = re.match(_NAME, argument)
    name = found[0].replace("_", "-") if found else ""
    return bool(name) and (any(o.startswith(name) for o in (*_OPTIONS, *_FAMILIES)) or name.startswith(_FAMILIES))


RULES: Final = (
    Rule(
        cel=f"!self.extraArgs.map(a, a.find('{_NAME}').replace('_', '-')).exists(n, n != '' && ("
        f"{[*_OPTIONS, *_FAMILIES]}.exists(o, o.startsWith(n)) || {list(_FAMILIES)}.exists(f, n.startsWith(f))))",
        holds=lambda engine: not any(map(_is_owned, engine.extra_args)),
        message="engine.extraArgs must not set what the operator sets, in full, shortened or by --config: model, "
        "served name, address, API key, Hugging Face token, TLS, parallelism and shutdown have fields of their own",
        field="extraArgs",
    ),
    Rule(
        cel=f"!self.extraArgs.exists(a, a.matches('{_HIDDEN}'))",
        holds=lambda engine: not any(re.match(_HIDDEN, argument) for argument in engine.extra_args),
        message="engine.extraArgs must not take an option from a variable, nor have one behind -O; a value may be a "
        "variable, as in --option=$(NAME)",
        field="extraArgs",
    ),
)
