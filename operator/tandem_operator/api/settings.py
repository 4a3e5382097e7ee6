"""What an LLMService may not say in the orchestrator's settings, beyond what these refuse themselves.

The settings are the contract's models, which know nothing of Kubernetes: here is what differs in a pod. Secrets are
Secrets, never paths or plain text, tasks outside the settings are in ConfigMaps, and no file outlives a pod but those
on volumes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tandem_contract.config import (
    S3,
    Chunking,
    Database,
    Embedding,
    Guardrail,
    Issuer,
    Keys,
    Redis,
    SecretFile,
    Section,
    Task,
    TaskFile,
    Upstream,
)
from tandem_contract.config.oidc import SAFE_ISSUER
from tandem_contract.config.tools import QueryDatabase

from tandem_operator.rules import Rule

Named = Mapping[str, frozenset[str]]
"""Keys of Secrets or ConfigMaps by their names; no key means all."""

_PASSWORD: Final = r"://[^/@]*:[^@]*@|[?&]password="  # noqa: S105 # finds one

_POSTGRES: Final = "^postgres(ql)?://"


def _no_password(section: Database | Redis | QueryDatabase) -> bool:
    return section.url is None or not re.search(_PASSWORD, section.url.get_secret_value())


_NO_PASSWORD: Final = Rule(
    cel=f"!has(self.url) || !self.url.matches('{_PASSWORD}')",
    holds=_no_password,
    message="url must not hold a password, as an LLMService is no place for secrets; put the URL into a Secret and "
    "name that in urlFrom",
    field="url",
)


def _is_postgres(database: Database) -> bool:
    return bool(re.match(_POSTGRES, database.url.get_secret_value()))


NO_TLS_OVER_HTTP: Final = Rule(
    cel="!has(self.tls) || self.url.startsWith('https://')",
    holds=lambda upstream: upstream.tls is None or upstream.url.startswith("https://"),
    message="tls has a use with an https:// URL alone; write that, or leave tls out",
    field="tls",
)
_USUAL: Final = Chunking()


def _refused_by_itself(cel: str, message: str) -> Rule:
    """Return a rule that the section has already, for the API server."""
    return Rule(cel=cel, holds=lambda _: True, message=message)


RULES: Final[dict[type[Section], tuple[Rule, ...]]] = {
    SecretFile: (
        Rule(
            cel="has(self.secretName) && !has(self.file)",
            holds=lambda secret: secret.secret_name is not None and secret.file is None,
            message="in an LLMService a secret is named by secretName, never by file",
        ),
    ),
    Guardrail: (
        _refused_by_itself(
            "[has(self.secrets), has(self.personalData), has(self.injections), has(self.maxCharacters),"
            " has(self.words) && self.words.size() > 0 || has(self.patterns) && self.patterns.size() > 0,"
            " has(self.topics) && self.topics.size() > 0, has(self.moderation), has(self.model)].exists_one(set, set)",
            "set one thing to look for: secrets, personalData, injections, words and patterns, topics, maxCharacters, "
            "moderation or model",
        ),
        _refused_by_itself(
            "!has(self.action) || self.action != 'mask' || has(self.secrets) || has(self.personalData)"
            " || has(self.injections) || has(self.words) || has(self.patterns)",
            "only secrets, personalData, injections, words and patterns can be masked; block or flag the others",
        ),
    ),
    Task: (_refused_by_itself("has(self.output) != has(self.outputClass)", "set either output or outputClass"),),
    TaskFile: (
        Rule(
            cel="has(self.configMapName) && !has(self.file)",
            holds=lambda tasks: tasks.config_map_name is not None and tasks.file is None,
            message="in an LLMService tasks outside of it are in a ConfigMap that configMapName names, never in a file",
        ),
    ),
    Upstream: (
        Rule(
            cel="!has(self.apiKeyFile) && !has(self.apiKeyValue) && !has(self.previousApiKeyFile)",
            holds=lambda upstream: (
                (upstream.api_key_file, upstream.api_key_value, upstream.previous_api_key_file) == (None,) * 3
            ),
            message="in an LLMService an upstream's key is in a Secret that apiKey.secretName names, "
            "never in apiKeyFile or apiKeyValue",
            field="apiKey",
        ),
        NO_TLS_OVER_HTTP,
    ),
    Keys: (
        Rule(
            cel="!has(self.values)",
            holds=lambda keys: not keys.values,
            message="values must not be set, as an LLMService is no place for secrets; "
            "put the keys into a Secret and name that in keys.files",
            field="values",
        ),
    ),
    Issuer: (
        _refused_by_itself(
            f"has(self.jwksUrl) || self.issuer.matches(r'{SAFE_ISSUER}')",
            "issuer must be https://, as whoever is in between could swap its keys; or set jwksUrl",
        ),
        _refused_by_itself(
            "!has(self.jwksToken) || has(self.jwksUrl)", "jwksToken goes to jwksUrl and nowhere else; set that"
        ),
        _refused_by_itself(
            "has(self.tenant) || has(self.claims) && has(self.claims.tenant)",
            "set claims.tenant or tenant, so that each caller has a tenant",
        ),
        _refused_by_itself(
            "(has(self.plans) && self.plans.size() > 0) == (has(self.claims) && has(self.claims.plan))",
            "claims.plan and plans go together; set both or neither",
        ),
    ),
    Database: (
        _NO_PASSWORD,
        Rule(
            cel=f"!has(self.url) || self.url.matches('{_POSTGRES}')",
            holds=lambda database: "url" not in database.model_fields_set or _is_postgres(database),
            message="in an LLMService the database's url must begin with postgresql://: "
            "a SQLite file would go with its pod, and each pod would have one of its own; "
            "orchestrator.state.sqlite keeps one on a volume",
            field="url",
        ),
    ),
    Redis: (_NO_PASSWORD,),
    QueryDatabase: (_NO_PASSWORD,),
    S3: (
        _refused_by_itself(
            "has(self.accessKeyId) == has(self.secretAccessKey)", "set accessKeyId and secretAccessKey, or neither"
        ),
    ),
    Embedding: (_refused_by_itself("!has(self.model) || !has(self.path)", "set model or path, not both"),),
    Chunking: (
        _refused_by_itself(
            f"2 * (has(self.overlapTokens) ? self.overlapTokens : {_USUAL.overlap_tokens})"
            f" <= (has(self.maxTokens) ? self.maxTokens : {_USUAL.max_tokens})",
            "overlapTokens must be at most half of maxTokens",
        ),
    ),
}


def sections(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Section]]:
    """Yield every section within `value`, itself included, with its path as in YAML."""
    if isinstance(value, Section):
        yield path, value
        for name, field in type(value).model_fields.items():
            yield from sections(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, list | dict):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from sections(item, (*path, str(key)))


def rules_of(section: type) -> Iterator[Rule]:
    """Yield the rules above for a section of this type."""
    for kind, rules in RULES.items():
        if issubclass(section, kind):
            yield from rules


def broken_rules(settings: Section) -> list[str]:
    """Return one line for each rule that does not hold, with the path of its section."""
    return [
        f"{'.'.join(where)}: {rule.message}" if where else rule.message
        for where, section in sections(settings)
        for rule in rules_of(type(section))
        if not rule.holds(section)
    ]


def secrets(*parts: Section | None) -> Named:
    """Return the Secrets that are named, each with its keys."""
    found = (each for _, each in sections(list(parts)) if isinstance(each, SecretFile))
    return _named((each.secret_name, each.secret_key) for each in found)


def config_maps(*parts: Section | None) -> Named:
    """Return the ConfigMaps that are named, each with its keys."""
    found = (each for _, each in sections(list(parts)) if isinstance(each, TaskFile))
    return _named((each.config_map_name, each.config_map_key) for each in found)


def _named(objects: Iterable[tuple[str | None, str | None]]) -> Named:
    found: dict[str, set[str | None]] = {}
    for name, key in objects:
        if name:
            found.setdefault(name, set()).add(key)
    return {
        name: frozenset() if None in keys else frozenset(key for key in keys if key)
        for name, keys in sorted(found.items())
    }
