"""Ports, paths and labels that both tiers and the charts rely on."""

from typing import Final

GROUP: Final = "tandem.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "LLMService"
PLURAL: Final = "llmservices"

ENGINE_PORT: Final = 8000
ORCHESTRATOR_PORT: Final = 8001
SERVICE_PORT: Final = 80
METRICS_PORT: Final = 8002
METRICS_PORT_NAME: Final = "metrics"

CONFIG_KEY: Final = "config.yaml"
CONFIG_PATH: Final = "/etc/tandem/config.yaml"
ENGINE_KEY: Final = "api-key"
ENGINE_KEY_PATH: Final = "/etc/tandem/engine-key/api-key"
PREVIOUS_ENGINE_KEY: Final = "previous-api-key"
PREVIOUS_ENGINE_KEY_PATH: Final = "/etc/tandem/engine-key/previous-api-key"

ADAPTER_PROBLEM: Final = "adapter {name}: {problem}"  # as the next
UPSTREAM_PROBLEM: Final = "upstream {name}: {problem}"  # a line of /ready and /health

LABEL_SERVICE: Final = "tandem.dev/llmservice"
LABEL_TIER: Final = "tandem.dev/tier"
