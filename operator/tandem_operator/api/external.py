"""`external` of an engine: a server with OpenAI's API that somebody else runs."""

from typing import ClassVar, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError
from tandem_contract.config import SecretFile, StructuredOutputs, UpstreamTls
from tandem_contract.config.base import HttpUrl

from tandem_operator.api.settings import NO_TLS_OVER_HTTP, broken_rules
from tandem_operator.rules import Rule, Ruled


class ExternalSpec(Ruled):
    """Where a server is that somebody else runs, inside the cluster or outside."""

    rules: ClassVar[tuple[Rule, ...]] = (NO_TLS_OVER_HTTP,)

    url: HttpUrl
    """Base URL, with or without a trailing /v1."""
    api_key: SecretFile | None = None
    """Key that is sent to it as a bearer token. Default: none."""
    tls: UpstreamTls | None = None
    """How its certificate is checked. Default: by the authorities that the orchestrator's image trusts."""
    structured_outputs: StructuredOutputs = StructuredOutputs.NATIVE
    """native: it is sent `response_format` as clients write it. corrected, for a server that has no such thing: it is
    told the schema in words, its answer is checked, and where that does not fit it is asked once more."""

    @model_validator(mode="after")
    def _fits_a_pod(self) -> Self:
        if broken := broken_rules(self):
            raise PydanticCustomError("rule", "{text}", {"text": "; ".join(broken)})
        return self
