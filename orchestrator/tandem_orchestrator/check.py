"""tandem-orchestrator check: what a configuration means, in a few lines a person can compare with what was meant."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from tandem_contract.config import KeyLimits, ModelSettings, OrchestratorConfig, SecretFile, Task, Upstream, checks

from tandem_orchestrator.config import Found, unknown_variables

_LOGIN: Final = re.compile(r"//.*@")  # a password may hold a slash


def report(config: OrchestratorConfig, older: Found) -> list[str]:
    """Return what a service with this configuration would do, then what looks like a mistake. Shows no secret."""
    return [
        "The configuration is valid.",
        *(f"{topic:<10}{line}" for topic, line in _meaning(config)),
        *(f"{'note':<10}{note}" for note in older.notes),
        *(f"{'warning':<10}{problem}" for problem in (*checks.warnings(config), *older.warnings)),
        *(f"{'warning':<10}{problem}" for problem in _embedding_problems(config)),
        *(f"{'warning':<10}{problem}" for problem in _task_problems(config)),
        *_what_is_not_installed(config),
        *(f"{'warning':<10}{name} looks like a setting, but sets nothing" for name in unknown_variables()),
    ]


def _meaning(config: OrchestratorConfig) -> Iterator[tuple[str, str]]:
    server = config.server
    yield "server", f"{'https' if server.tls else 'http'}, {_count(server.workers, 'worker')}"
    yield "metrics", _metrics(config)
    for upstream in config.upstreams:
        yield "engine", _engine(upstream)
    for model in config.models:
        aliases = f" as {', '.join(model.aliases)}" if model.aliases else ""
        yield "model", f"{model.name}{aliases}{_fallback(model)}"
    for task in config.tasks:
        yield "task", _task(task)
    yield "tools", _tools(config)
    for task in config.tasks:
        yield "task", f"{task.name}, version {task.version}{f', at {task.path}' if task.path else ''}"
    yield "keys", _keys(config)
    yield "limits", _limits(config)
    yield "database", _address(config.database.url, config.database.url_from)
    yield "embedding", _embedding(config)
    yield "files", _files(config)
    yield "redis", _address(config.redis.url, config.redis.url_from)
    yield "traces", _shown(config.tracing.endpoint) if config.tracing.endpoint else "none"


def _embedding_problems(config: OrchestratorConfig) -> list[str]:
    path = config.retrieval.embedding.path
    if path is None:
        return []
    from tandem_orchestrator.retrieval.embedding.static_embedder import lacks  # noqa: PLC0415 # metrics come with it

    problem = lacks(Path(path))
    return [problem] if problem is not None else []


def _task_problems(config: OrchestratorConfig) -> Iterator[str]:
    for n, task in enumerate(config.tasks):
        if task.output_class is not None:
            from tandem_orchestrator.tasks.output import OutputClassError, output_class  # noqa: PLC0415 # for tasks alone

            try:
                output_class(task.output_class)
            except OutputClassError as error:
                yield f"tasks.{n}.outputClass: {error}"


def _what_is_not_installed(config: OrchestratorConfig) -> Iterator[str]:
    url = config.database.url.get_secret_value()
    sqlite = config.database.url_from is None and url.startswith("sqlite")
    if not config.files.enabled or not (sqlite or config.files.folder or config.files.s3 or config.database.url_from):
        return
    from tandem_orchestrator.retrieval.extras import limitations, unusable  # noqa: PLC0415 # metrics come with it

    for problem in unusable(config, sqlite=sqlite):
        yield f"{'warning':<10}retrieval: {problem}"
    for limitation in limitations():
        yield f"{'note':<10}{limitation}"


def _fallback(model: ModelSettings) -> str:
    if model.fallback is None:
        return ""
    after = "" if model.fallback_seconds is None else f" after {model.fallback_seconds:g} s"
    return f", falls back on {model.fallback}{after}"


def _embedding(config: OrchestratorConfig) -> str:
    embedding = config.retrieval.embedding
    if embedding.path is not None:
        return f"by the model in {embedding.path}, in the orchestrator itself"
    return f"by the model {embedding.model}" if embedding.model else "none: texts are searched by their words"


def _metrics(config: OrchestratorConfig) -> str:
    if not config.standalone.metrics:
        return "none"
    port = config.server.metrics_port
    return f"at port {port}" if port else "beside the API, behind its keys"


def _engine(upstream: Upstream) -> str:
    model = upstream.model or "the models that it lists itself"
    replicas = ", each address of its name a replica" if upstream.discovery == "dns" else ""
    return f"{upstream.name} ({upstream.type.value}) at {_shown(upstream.url)}{replicas}: {model}"


def _task(task: Task) -> str:
    path = f", also at {task.path}" if task.path else ""
    return f"{task.name} {task.version}, weight {task.weight}{path}, by {task.model or 'the first model'}"


def _tools(config: OrchestratorConfig) -> str:
    tools = config.tools
    names = [
        *(name.value for name in tools.enabled),
        *(["query_database"] if tools.query_database else []),
        *(["web_search"] if tools.web_search else []),
        *(tool.name for tool in tools.http),
        *(f"those of {source.name}" for source in tools.openapi),
        *(f"those of {server.name}" for server in tools.mcp),
        *(f"those of {plugin.name}" for plugin in tools.python),
    ]
    return f"{', '.join(names)} ({tools.attach.value})" if names else "none"


def _keys(config: OrchestratorConfig) -> str:
    keys = config.keys
    sources = [
        *([f"{_count(len(keys.values), 'key')} in the configuration"] if keys.values else []),
        *(f"those in {secret.file}" for secret in keys.files),
        *(["those of the admin API"] if keys.admin else []),
        *(f"tokens of {issuer.issuer}" for issuer in config.oidc.issuers),
    ]
    required = keys.required if keys.required is not None else bool(sources)
    return f"{', '.join(sources) or 'none'}; {'required' if required else 'not required'}"


def _limits(config: OrchestratorConfig) -> str:
    limits = config.rate_limits
    named = {
        "requests a minute": limits.requests_per_minute,
        "requests a minute for each tenant": limits.tenant_requests_per_minute,
        **{
            f"{name.replace('_', ' ').replace(' per ', ' a ')} for each key": getattr(limits.defaults, name)
            for name in KeyLimits.model_fields
        },
    }
    return ", ".join(f"{value} {name}" for name, value in named.items() if value is not None) or "none beside the keys'"


def _files(config: OrchestratorConfig) -> str:
    files = config.files
    if not files.enabled:
        return "none"
    if files.s3 is not None:
        server = f" at {_shown(str(files.s3.endpoint))}" if files.s3.endpoint else ""
        where = f"in the bucket {files.s3.bucket}{server}{f', below {files.s3.prefix}' if files.s3.prefix else ''}"
    elif files.folder is not None:
        where = f"in {files.folder}"
    elif config.database.url_from is not None:
        where = "in tandem-files if the database is SQLite, else nowhere: set files.folder or files.s3"
    elif not config.database.url.get_secret_value().startswith("sqlite"):
        return "none are kept: set files.folder or files.s3"
    else:
        where = "in tandem-files"
    return f"{where}, up to {files.max_bytes} bytes each"


def _address(url: SecretStr | None, source: SecretFile | None) -> str:
    if source is not None:
        return f"as {source.file} says"
    return _shown(url.get_secret_value()) if url else "none"


def _shown(url: str) -> str:
    return _LOGIN.sub("//***@", url.partition("?")[0])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
