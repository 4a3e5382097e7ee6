"""The models that clients may ask for."""

from dataclasses import dataclass, replace
from typing import Any, Final

from tandem_contract.config import ModelSettings, StructuredOutputs

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.engines.types import EngineType
from tandem_orchestrator.engines.upstream import Upstream
from tandem_orchestrator.engines.upstreams import Upstreams
from tandem_orchestrator.errors import UnknownModel

ALL: Final = 100  # percent


@dataclass(frozen=True, slots=True)
class Model:
    """A model as its engines serve it, and how it is offered."""

    name: str
    settings: ModelSettings
    replicas: tuple[Replica, ...]
    """All that serve it, ready or not."""
    takes_cache_salt: bool
    """True if requests may carry `cache_salt`, whichever of the replicas they come to."""
    reasoning_field: str = EngineType.reasoning_field
    """What messages to its engines call what was thought."""
    own_responses: bool = False
    """True if its engines are better asked by their own `/v1/responses`."""
    takes_priority: bool = False
    """True if requests may carry `priority`, whichever of the replicas they come to."""
    adapter_fields: tuple[tuple[str, str | None], ...] = ()
    """What requests say beside `model` for its engines to answer with the right adapter; None is for nothing."""
    corrected: bool = False
    """True if one of its engines has no structured output, so that answers are checked here."""
    known: bool = True
    """False while the name is only a client's word, which no configuration and no engine has confirmed."""
    line: str = ""
    """Names the queue for its replicas, in which the requests for all models that they serve take turns."""
    served_as: str = ""
    """What its engines call it; "" for its name."""
    candidate: "Model | None" = None
    """The same as another upstream serves it, which takes a share of its requests."""
    weight: int = 0
    """Of a candidate: percent of the requests that it takes."""

    @property
    def ready(self) -> bool:
        """True while a replica answers its checks."""
        return any(replica.ready for replica in self.replicas)

    @property
    def now(self) -> "Model":
        """Itself, or its candidate where that alone is ready."""
        candidate = self.candidate
        return candidate if candidate is not None and candidate.ready and not self.ready else self

    @property
    def takers(self) -> tuple[Replica, ...]:
        """The replicas that any of its requests may come to: a candidate's, too, where that takes all of them."""
        now, candidate = self.now, self.candidate
        both = candidate is not None and now is self and candidate.weight == ALL
        return self.replicas + candidate.replicas if candidate is not None and both else now.replicas

    def name_adapter(self, payload: dict[str, Any]) -> None:
        """Have a request ask for no other adapter of its engines than this one, or for none."""
        for field, adapter in self.adapter_fields:
            if adapter is None:
                payload.pop(field, None)
            else:
                payload[field] = adapter


class Catalogue:
    """Finds models by their names and aliases. Follows its engines: what it says is always true of now."""

    def __init__(self, settings: list[ModelSettings], upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._version = -1
        self._models: dict[str, Model] = {}
        self.update(settings)

    @property
    def default(self) -> str | None:
        """The model of a request that names none."""
        return self._upstreams.default_model

    def update(self, settings: list[ModelSettings]) -> None:
        """Take changed settings."""
        self._settings = {model.name: model for model in settings}
        self._version = -1

    def find(self, name: str, principal: Principal | None = None) -> Model:
        """Return the model that clients call `name`. Raises `UnknownModel`, which names what there is for whoever asks,
        or for the service itself.
        """
        if self._version != self._upstreams.version:
            self._build()
        model = self._models.get(name)
        if model is None or (
            principal is not None
            and model.settings.tenants is not None
            and principal.tenant not in model.settings.tenants
        ):
            return self._unlisted(name, principal)
        return model

    def entries(self, principal: Principal) -> list[dict[str, Any]]:
        """Return OpenAI's list of models, each with `ready`, aliases with `alias_of`; of those for whoever asks."""
        if self._version != self._upstreams.version:
            self._build()
        listed = {
            name: entry for upstream in reversed(self._upstreams.offered) for name, entry in upstream.listed.items()
        }
        entries = []
        for name, model in self._models.items():
            if _offered(name, model, principal):
                entry = {"object": "model", "created": 0, "owned_by": "tandem", **listed.get(model.name, {})}
                entry |= {"id": name, "ready": _ready(model)}
                if name != model.name:
                    entry["alias_of"] = model.name
                entries.append(entry)
        return entries

    def _build(self) -> None:
        """Make a request's search through engines and replicas one look-up.

        A name that is only in the settings is there until every engine has told that it does not serve it.
        """
        upstreams = self._upstreams.offered
        self._version = self._upstreams.version
        self._models = {}
        first: dict[tuple[Replica, ...], str] = {}
        for name in dict.fromkeys([*(name for upstream in upstreams for name in upstream.models), *self._settings]):
            serving = [upstream for upstream in upstreams if name in upstream.models or not upstream.models]
            if serving or not all(upstream.told for upstream in upstreams):
                replicas = tuple(replica for upstream in serving for replica in upstream.serving(name))
                settings = self._settings.get(name) or ModelSettings(name=name)
                line = first.setdefault(replicas, name) if replicas else name
                self._models[name] = self._beside(_model(name, settings, serving, replicas, line), serving)
        for settings in self._settings.values():
            if model := self._models.get(settings.name):
                self._models.update(dict.fromkeys(settings.aliases, model))

    def _beside(self, model: Model, serving: list[Upstream]) -> Model:
        """Return the model with the candidate that takes a share of its requests, if there is one."""
        for upstream in serving:
            other = self._upstreams.candidate(upstream)
            served_as = None if other is None else other.counterpart(model.name, upstream)
            if other is not None and served_as is not None:
                made = _model(served_as, model.settings, [other], tuple(other.serving(served_as)), model.line)
                candidate = replace(made, name=model.name, served_as=served_as, weight=other.settings.weight)
                own = model.own_responses and candidate.own_responses
                corrected = model.corrected or candidate.corrected
                return replace(model, candidate=candidate, own_responses=own, corrected=corrected)
        return model

    def _unlisted(self, name: str, principal: Principal | None) -> Model:
        """Return a name that only an engine can know of which no model is known yet."""
        unknown = [upstream for upstream in self._upstreams.offered if not upstream.models]
        if not unknown or name in self._models:
            offered = sorted(other for other, model in self._models.items() if _offered(other, model, principal))
            there = f"; there are: {', '.join(offered)}" if offered else ""
            raise UnknownModel(f"the model {name!r} does not exist here{there}", param="model")
        replicas = tuple(replica for upstream in unknown for replica in upstream.serving(name))
        return Model(
            name,
            ModelSettings(name=name),
            replicas,
            takes_cache_salt=False,
            adapter_fields=_adapter_fields(name, unknown),
            corrected=_any_corrected(unknown),
            known=False,
            line=name,
        )


def _model(
    name: str, settings: ModelSettings, serving: list[Upstream], replicas: tuple[Replica, ...], line: str
) -> Model:
    corrected = _any_corrected(serving)
    return Model(
        name,
        settings,
        replicas,
        takes_cache_salt=bool(replicas) and all(replica.type.takes_cache_salt for replica in replicas),
        reasoning_field=replicas[0].type.reasoning_field if replicas else EngineType.reasoning_field,
        own_responses=settings.fallback is None and not corrected and _all_prefer_responses(name, replicas),
        takes_priority=bool(replicas) and all(replica.takes_priority for replica in replicas),
        adapter_fields=_adapter_fields(name, serving),
        corrected=corrected,
        line=line,
    )


def _adapter_fields(name: str, serving: list[Upstream]) -> tuple[tuple[str, str | None], ...]:
    fields: dict[str, str | None] = {}
    for upstream in serving:
        if field := upstream.type.adapter_field:
            fields[field] = name if upstream.is_adapter(name) else fields.get(field)
    return tuple(fields.items())


def _all_prefer_responses(name: str, replicas: tuple[Replica, ...]) -> bool:
    return bool(replicas) and all(replica.type.prefers_responses(name) for replica in replicas)


def _any_corrected(upstreams: list[Upstream]) -> bool:
    return any(upstream.settings.structured_outputs is StructuredOutputs.CORRECTED for upstream in upstreams)


def _offered(name: str, model: Model, principal: Principal | None) -> bool:
    """Return whether whoever asks may know that there is `model` under this name."""
    if principal is None:
        return True
    allowed, tenants = principal.models, model.settings.tenants
    if tenants is not None and principal.tenant not in tenants:
        return False
    return allowed is None or name in allowed or model.name in allowed


def _ready(model: Model) -> bool:
    """Return true while a replica is ready that lists the model, or keeps no list."""
    name = model.served_as or model.name
    listed = any(replica.ready and (name in replica.names or not replica.names) for replica in model.replicas)
    return listed or (model.candidate is not None and _ready(model.candidate))
