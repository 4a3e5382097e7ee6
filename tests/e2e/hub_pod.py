"""The double of a model hub, in a pod: it has the demo model."""

from pathlib import Path

from hack import images
from tests.e2e.cluster import Json
from tests.e2e.pods import server

PORT, STORAGE_PORT = 8080, 8081
PACKAGE = Path(__file__).parents[1] / "hub_double"


def hub(name: str, repository: str, held: str, after: int) -> tuple[Json, Json, Json]:
    """What serves the demo model as a repository; answers of the file `held` stand still after so many bytes."""
    code = {path.name: path.read_text() for path in PACKAGE.glob("*.py")}
    items = [{"key": file, "path": f"tests/{PACKAGE.name}/{file}"} for file in code]
    arguments = [name, str(PORT), str(STORAGE_PORT), "/model", repository, held, str(after)]
    service, pod = server(
        name,
        images.reference("operator"),
        PORT,
        command=["python3", "-u", "-m", f"tests.{PACKAGE.name}", *arguments],
        workingDir="/code",
        volumeMounts=[{"name": "code", "mountPath": "/code"}, {"name": "model", "mountPath": "/model"}],
        volumes=[
            {"name": "code", "configMap": {"name": name, "items": items}},
            {"name": "model", "image": {"reference": images.reference("demo-model")}},
        ],
    )
    service["spec"]["ports"] = [{"name": "hub", "port": PORT}, {"name": "storage", "port": STORAGE_PORT}]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": code}, service, pod
