"""docs/ knows every reason that the operator gives, and links to what is there."""

import re
from pathlib import Path

import pytest

from tests.unit.charts.helm import ROOT

OPERATOR = ROOT / "operator" / "tandem_operator"
PAGES = [*(ROOT / "docs").glob("*.md"), *(ROOT / "charts").glob("*/README.md")]
REASON = re.compile(r'Finding\("(\w+)"|"([A-Z]+[a-z]+[A-Z]\w+)"')
KUBERNETES = {
    "ConfigMap",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
    "PodInitializing",
    "PodScheduled",
    "ReplicaFailure",
    "SchedulerError",
    "ServiceMonitor",
}
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def test_every_reason_is_explained() -> None:
    sources = [*(OPERATOR / "status").glob("*.py"), OPERATOR / "reconcile.py"]
    text = "".join(source.read_text() for source in sources)
    reasons = {first or second for first, second in REASON.findall(text)} - KUBERNETES
    assert {"OOMKilled", "Loading", "ImagePullBackOff", "NameTaken", "StartError"} <= reasons
    page = (ROOT / "docs" / "status.md").read_text()
    assert sorted(reason for reason in reasons if f"`{reason}`" not in page) == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []
