import pytest
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.config.reloading import changed_sections, taken_over


def config(**settings):
    return OrchestratorConfig.model_validate({"upstreams": [{"name": "a", "url": "http://a"}], **settings})


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"limits": {"maxDepth": 9}, "keys": {"values": ["k"]}, "server": {"trustedHosts": ["h"]}}, []),
        ({"server": {"workers": 2, "trustedHosts": ["h"]}, "limits": {"maxDepth": 9}}, ["server.workers"]),
        ({"database": {"url": "postgresql://d"}, "redis": {"url": "redis://r"}}, ["database", "redis"]),
        ({"tracing": {"endpoint": "http://t"}}, ["tracing"]),
        ({"server": {"metricsPort": 9000, "trustedHosts": ["h"]}}, ["server.metricsPort"]),
        ({"standalone": {"port": 9000, "metrics": False}}, ["standalone.port"]),
        ({"standalone": {"host": "::1"}}, ["standalone.host"]),
        ({"server": {"tls": {"certificate": {"file": "c"}, "key": {"file": "k"}}}}, ["server.tls"]),
    ],
)
def test_what_a_running_process_takes_and_what_it_keeps(settings, kept):
    now, new = config(), config(**settings)
    taken, paths = taken_over(now, new)
    assert paths == kept
    assert (taken.limits, taken.keys, taken.server.trusted_hosts) == (new.limits, new.keys, new.server.trusted_hosts)
    assert (
        taken.server.workers,
        taken.server.metrics_port,
        taken.server.tls,
        taken.database,
        taken.redis,
        taken.tracing,
    ) == (
        now.server.workers,
        now.server.metrics_port,
        now.server.tls,
        now.database,
        now.redis,
        now.tracing,
    )
    assert (taken.standalone.host, taken.standalone.port) == (now.standalone.host, now.standalone.port)
    assert taken.standalone.metrics == new.standalone.metrics
    assert new == config(**settings), "the argument is not touched"


def test_changed_sections_are_named_as_in_the_file():
    assert changed_sections(config(), config(rateLimits={"requestsPerMinute": 1}, drainSeconds=7)) == [
        "rateLimits",
        "drainSeconds",
    ]
