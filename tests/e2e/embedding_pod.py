"""vLLM with an embedding model, besides the engine of a service."""

from hack import images
from tests.e2e.cluster import Json
from tests.e2e.pods import server


def embedding(name: str, model: str, *arguments: str) -> tuple[Json, Json]:
    """The Service and the pod that serve an image's model under the pod's name."""
    mounts = {"cache": "/cache", "shm": "/dev/shm", "tmp": "/tmp", "model": "/model"}
    volumes = [
        {"name": "cache", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "model", "image": {"reference": images.reference(model)}},
    ]
    settings = {
        **dict.fromkeys(("HOME", "XDG_CACHE_HOME", "VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR"), "/cache"),
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    args = ["/model", "--served-model-name", name, "--runner", "pooling", "--dtype", "float32", "--enforce-eager"]
    return server(
        name,
        images.reference("engine-cpu"),
        8000,
        args=[*args, *arguments],
        resources={"requests": {"cpu": "200m"}},
        env=[{"name": key, "value": value} for key, value in settings.items()],
        volumeMounts=[{"name": volume, "mountPath": path} for volume, path in mounts.items()],
        volumes=volumes,
    )
