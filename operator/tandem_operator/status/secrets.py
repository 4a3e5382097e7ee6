"""Whether the Secrets are there that the orchestrator's pods mount; without one of them a pod waits for ever."""

from collections.abc import Collection, Mapping

from tandem_operator.status.finding import Finding


def missing(named: Mapping[str, Collection[str]], there: Mapping[str, Collection[str]]) -> Finding | None:
    """Return which Secret or key is missing; `named` and `there` are keys by Secret."""
    for name, keys in named.items():
        if name not in there:
            message = f"the Secret {name}, which spec.orchestrator.config names, does not exist; create it"
            return Finding("SecretMissing", message, terminal=True)
        for key in sorted(set(keys) - set(there[name])):
            message = (
                f"the Secret {name} has no key {key}, which spec.orchestrator.config names; add it or correct that"
            )
            return Finding("SecretMissing", message, terminal=True)
    return None
