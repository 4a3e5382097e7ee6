"""What one section cannot know about another. Each finding is a line that begins with the setting's path."""

import re
from collections.abc import Iterable, Iterator

from tandem_contract import json_schema
from tandem_contract.config import OrchestratorSettings, UpstreamType, task_checks
from tandem_contract.config.oidc import SAFE_ISSUER


def errors(settings: OrchestratorSettings) -> list[str]:
    """Return what makes the settings unusable."""
    return [
        *_names_used_twice(settings),
        *_certificates_without_tls(settings),
        *_adapters_with_colons(settings),
        *_previous_keys_alone(settings),
        *_misplaced_candidates(settings),
        *_settings_of_candidates(settings),
        *_endless_fallbacks(settings),
        *_wrong_schemas(settings),
        *(task_checks.errors(settings.tasks) if settings.tasks else ()),
    ]


def warnings(settings: OrchestratorSettings) -> list[str]:
    """Return what can be meant as it is written, but most often is a mistake."""
    return [
        *_unheard_of_fallbacks(settings),
        *task_checks.unknown_models(settings.tasks, _models(settings)),
        *_waiting_for_no_fallback(settings),
        *_weights_of_no_candidate(settings),
        *_keys(settings),
        *_issuers(settings),
        *_tracing(settings),
        *_redis(settings),
    ]


def _names_used_twice(settings: OrchestratorSettings) -> Iterator[str]:
    upstreams = ((f"upstreams.{n}.name", upstream.name) for n, upstream in enumerate(settings.upstreams))
    models = (
        (f"models.{n}.{path}", name)
        for n, model in enumerate(settings.models)
        for path, name in [("name", model.name), *((f"aliases.{m}", alias) for m, alias in enumerate(model.aliases))]
    )
    tenants = ((f"tenants.{n}.name", tenant.name) for n, tenant in enumerate(settings.tenants))
    yield from _repeated(upstreams, "an engine's name in logs and metrics must be its own")
    yield from _repeated(models, "a request could mean either")
    issuers = ((f"oidc.issuers.{n}.issuer", issuer.issuer) for n, issuer in enumerate(settings.oidc.issuers))
    yield from _repeated(tenants, "a tenant has one weight and one class")
    yield from _repeated(_tools(settings), "a tool's name must be its own")
    yield from _repeated(issuers, "a token could mean either")
    for n, issuer in enumerate(settings.oidc.issuers):
        plans = ((f"oidc.issuers.{n}.plans.{m}.name", plan.name) for m, plan in enumerate(issuer.plans))
        yield from _repeated(plans, "a token could mean either")


def _certificates_without_tls(settings: OrchestratorSettings) -> Iterator[str]:
    for n, upstream in enumerate(settings.upstreams):
        if upstream.tls is not None and not upstream.url.startswith("https://"):
            yield f"upstreams.{n}.tls: has a use with an https:// URL alone; write that, or leave tls out"


def _adapters_with_colons(settings: OrchestratorSettings) -> Iterator[str]:
    for n, upstream in enumerate(settings.upstreams):
        for m, adapter in enumerate(upstream.adapters):
            if upstream.type is UpstreamType.SGLANG and ":" in adapter.name:
                yield (
                    f"upstreams.{n}.adapters.{m}.name: {adapter.name!r} has a colon, behind which SGLang reads another "
                    "adapter's name; leave it out"
                )


def _previous_keys_alone(settings: OrchestratorSettings) -> Iterator[str]:
    for n, upstream in enumerate(settings.upstreams):
        if upstream.previous_api_key_file is not None and upstream.api_key_file is None:
            yield f"upstreams.{n}.previousApiKeyFile: has a use beside apiKeyFile alone; set that, or leave this out"


def _misplaced_candidates(settings: OrchestratorSettings) -> Iterator[str]:
    of = {upstream.name: upstream.candidate_of for upstream in settings.upstreams}
    first: dict[str, str] = {}
    for n, upstream in enumerate(settings.upstreams):
        path, beside = f"upstreams.{n}.candidateOf", upstream.candidate_of
        if beside is None:
            continue
        if beside not in of:
            yield f"{path}: no upstream is called {beside!r}; name the one whose requests it is to take a share of"
        elif of[beside] is not None:
            yield f"{path}: {beside!r} is a candidate itself; name an upstream that is none"
        elif beside in first:
            yield f"{path}: {beside!r} has a candidate at {first[beside]} already; it can have one at a time"
        first.setdefault(beside, path)


def _settings_of_candidates(settings: OrchestratorSettings) -> Iterator[str]:
    """Refuse what is said of a model that clients cannot ask for, such as a fallback."""
    own = {upstream.model: upstream.candidate_of for upstream in settings.upstreams if upstream.candidate_of}
    served = {upstream.model for upstream in settings.upstreams if upstream.candidate_of is None}
    for n, model in enumerate(settings.models):
        if model.name in own and model.name not in served:
            yield (
                f"models.{n}.name: {model.name!r} is served by a candidate alone, which clients ask for by the models "
                f"of {own[model.name]!r}; say this of one of those"
            )


def _tools(settings: OrchestratorSettings) -> Iterator[tuple[str, str]]:
    tools = settings.tools
    yield from ((f"tools.enabled.{n}", name.value) for n, name in enumerate(tools.enabled))
    if tools.query_database is not None:
        yield "tools.queryDatabase", "query_database"
    if tools.web_search is not None:
        yield "tools.webSearch", "web_search"
    yield from ((f"tools.http.{n}.name", tool.name) for n, tool in enumerate(tools.http))


def _repeated(names: Iterable[tuple[str, str]], why: str) -> Iterator[str]:
    first: dict[str, str] = {}
    for path, name in names:
        if name in first:
            yield f"{path}: {name!r} stands at {first[name]} already; {why}"
        first.setdefault(name, path)


def _endless_fallbacks(settings: OrchestratorSettings) -> Iterator[str]:
    named = {name: model for model in settings.models for name in (model.name, *model.aliases)}
    for n, model in enumerate(settings.models):
        way = [model.name]
        fallback = model.fallback
        while fallback in named and named[fallback].name not in way:
            way.append(named[fallback].name)
            fallback = named[fallback].fallback
        if fallback in named and named[fallback] is model:
            yield f"models.{n}.fallback: {' -> '.join([*way, model.name])} leads back to where it began"


def _wrong_schemas(settings: OrchestratorSettings) -> Iterator[str]:
    for n, tool in enumerate(settings.tools.http):
        try:
            json_schema.check({"type": "object", **tool.parameters})
        except json_schema.InvalidSchema as error:
            path = f"parameters.{error.path}".removesuffix(".")
            yield f"tools.http.{n}.{path}: no JSON schema: {error.message}"


def _unheard_of_fallbacks(settings: OrchestratorSettings) -> Iterator[str]:
    known = _models(settings)
    for n, model in enumerate(settings.models):
        if model.fallback is not None and model.fallback not in known:
            yield (
                f"models.{n}.fallback: no upstream names the model {model.fallback!r}; "
                "unless an engine lists it itself, there is nothing to fall back on"
            )


def _models(settings: OrchestratorSettings) -> frozenset[str]:
    """Return the names that upstreams and models are given, as clients know them."""
    offered = [upstream for upstream in settings.upstreams if upstream.candidate_of is None]
    adapters = {adapter.name for upstream in offered for adapter in upstream.adapters}
    served = {upstream.model for upstream in offered if upstream.model is not None}
    return frozenset(served | adapters | {name for model in settings.models for name in (model.name, *model.aliases)})


def _waiting_for_no_fallback(settings: OrchestratorSettings) -> Iterator[str]:
    for n, model in enumerate(settings.models):
        if model.fallback is None and model.fallback_seconds is not None:
            yield f"models.{n}.fallbackSeconds: has no use without fallback"


def _weights_of_no_candidate(settings: OrchestratorSettings) -> Iterator[str]:
    for n, upstream in enumerate(settings.upstreams):
        if upstream.candidate_of is None and upstream.weight:
            yield f"upstreams.{n}.weight: has no use without candidateOf"


def _keys(settings: OrchestratorSettings) -> Iterator[str]:
    keys = settings.keys
    if keys.values or keys.files or keys.admin or settings.oidc.issuers:
        if keys.required is False:
            yield "keys.required: false lets everybody ask, with a key or without"
    elif keys.required:
        yield "keys.required: every request will be refused until there is a key; name some under keys.files"
    else:
        yield "keys: no API key is configured, so that everybody who reaches the port may ask"


def _issuers(settings: OrchestratorSettings) -> Iterator[str]:
    for n, issuer in enumerate(settings.oidc.issuers):
        if issuer.jwks_url is not None and not re.match(SAFE_ISSUER, issuer.jwks_url):
            yield f"oidc.issuers.{n}.jwksUrl: over http whoever is in between could swap the keys that make tokens good"


def _tracing(settings: OrchestratorSettings) -> Iterator[str]:
    if settings.tracing.headers and settings.tracing.endpoint is None:
        yield "tracing.headers: nothing is traced without tracing.endpoint"


def _redis(settings: OrchestratorSettings) -> Iterator[str]:
    redis = settings.redis
    if redis.answers_seconds is not None and redis.url is None and redis.url_from is None:
        yield "redis.answersSeconds: no answer is kept without redis.url or redis.urlFrom"
