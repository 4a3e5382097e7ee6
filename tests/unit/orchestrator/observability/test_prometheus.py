import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from tandem_orchestrator.observability.prometheus import Labelled, Times


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.10001, 1.0, 7.0])
def test_a_duration_counts_in_every_bucket_that_it_fits_in(seconds):
    registry = CollectorRegistry()
    times = Times("t", "d", ["of"], buckets=(0.1, 1.0), registry=registry)
    times.labels("x").observe(seconds)
    found = [registry.get_sample_value("t_bucket", {"of": "x", "le": le}) for le in ("0.1", "1.0", "+Inf")]
    assert found == [float(seconds <= bound) for bound in (0.1, 1.0, float("inf"))]
    assert registry.get_sample_value("t_sum", {"of": "x"}) == seconds


def test_children_are_found_by_one_label_or_several():
    registry = CollectorRegistry()
    one, two = Counter("one", "d", ["a"], registry=registry), Counter("two", "d", ["a", "b"], registry=registry)
    ones, twos = Labelled(one), Labelled(two)
    for _ in range(2):
        ones["name"].inc()
        twos["name", 200].inc()
    assert b'one_total{a="name"} 2.0' in generate_latest(registry)
    assert b'two_total{a="name",b="200"} 2.0' in generate_latest(registry)
    assert (len(ones), len(twos)) == (1, 1)


WORKER = """
import sys
from tandem_orchestrator.observability import metrics, prometheus
prometheus.count_as_worker(int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    metrics.REQUEST_LATENCY.labels("/x", "200").observe(0.02)
    metrics.REQUESTS_IN_FLIGHT.inc()
print(prometheus.exposition().decode())
"""


def test_workers_add_up_and_one_that_comes_again_counts_on(tmp_path):
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for number, count in ((0, 2), (1, 3), (0, 4)):
        command = [sys.executable, "-c", WORKER, str(number), str(count)]
        found = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    lines = dict(line.rsplit(" ", 1) for line in found.split("\n") if line and line[0] != "#")
    assert lines['request_latency_seconds_count{route="/x",status="200"}'] == "9.0"
    assert lines['request_latency_seconds_bucket{le="0.01",route="/x",status="200"}'] == "0.0"
    assert lines['request_latency_seconds_bucket{le="0.025",route="/x",status="200"}'] == "9.0"
    assert lines["tandem_requests_in_flight"] == "9.0"
    assert sorted(file.name for file in tmp_path.glob("histogram*")) == ["histogram_0.db", "histogram_1.db"]
