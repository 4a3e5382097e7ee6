"""The rules for Prometheus speak of metrics and labels that are there, and of records of their own."""

import re

import pytest
import tandem_contract.metrics
import yaml

from tests.unit.charts.helm import OPERATOR, ROOT, Json, template

RULES: Json = yaml.safe_load((ROOT / "charts/tandem-operator/files/rules.yaml").read_text())
ALL = [rule for group in RULES["groups"] for rule in group["rules"]]
RECORDS = {rule["record"] for rule in ALL if "record" in rule}
METRICS = {name for key, name in vars(tandem_contract.metrics).items() if key.isupper()}
WORD = re.compile(r"[a-z][a-z0-9_:]*_[a-z0-9_:]+|tandem:[a-z0-9_:]+")
PART = re.compile(r"_(bucket|count|sum)$")
FUNCTIONS = {"histogram_quantile"}


def names(expr: str) -> set[str]:
    """The metrics of an expression."""
    bare = re.sub(r"\{[^}]*\}|by \([^)]*\)", "", expr)
    return {PART.sub("", word) for word in WORD.findall(bare)} - FUNCTIONS


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.get("record") or rule["alert"])
def test_it_reads_what_is_there(rule: Json) -> None:
    assert names(rule["expr"])
    assert names(rule["expr"]) <= METRICS | RECORDS
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_targets_are_recorded() -> None:
    assert {
        "tandem:request_latency_seconds:p95",
        "tandem:tool_calls:success_ratio",
        "tandem:database_connections:used_ratio",
        "tandem:cache_requests:hit_ratio",
    } <= RECORDS


def test_the_chart_installs_them_where_they_are_known() -> None:
    values = {"prometheusRule": {"enabled": True}}
    assert "PrometheusRule" not in {item["kind"] for item in template(OPERATOR, values)}
    known = template(OPERATOR, values, apis=("monitoring.coreos.com/v1",))
    (rule,) = (item for item in known if item["kind"] == "PrometheusRule")
    assert rule["spec"] == RULES
