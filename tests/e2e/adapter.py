"""A LoRA adapter for the demo model, in the files that PEFT writes: untrained, so that its answers are nonsense."""

import json
import struct
from pathlib import Path

import numpy as np

from hack.images.builders import PROJECT
from tests.e2e.cluster import Json

VERSE: Json = {"name": "verse", "source": "pvc://adapters/verse", "tenants": ["poets"]}
PROSE: Json = {"name": "prose", "source": "pvc://adapters/prose", "tenants": ["poets"]}
RANK = 8
TARGET = "o_proj"


def write_adapter(folder: Path, number: int) -> None:
    """Write one into a folder that others may read; each number makes another."""
    config = json.loads((PROJECT / "hack/demo_model/model/config.json").read_text())
    width, rng, tensors = config["hidden_size"], np.random.default_rng(number), {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.{TARGET}"
        tensors[f"{name}.lora_A.weight"] = rng.standard_normal((RANK, width), np.float32)
        tensors[f"{name}.lora_B.weight"] = rng.standard_normal((width, RANK), np.float32)
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(safetensors(tensors))
    told = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK, "target_modules": [TARGET]}
    (folder / "adapter_config.json").write_text(json.dumps({**told, "base_model_name_or_path": "demo", "bias": "none"}))
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)


def claim_of(folder: Path, name: str) -> tuple[Json, Json]:
    """Return a volume that is a folder of this machine, and the claim `adapters` to it."""
    size = {"storage": "1Gi"}
    spec = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {"capacity": size, "hostPath": {"path": str(folder)}, "persistentVolumeReclaimPolicy": "Retain"}
    claim = {"resources": {"requests": size}, "volumeName": name}
    return (
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {**spec, **volume}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "adapters"},
            "spec": {**spec, **claim},
        },
    )


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """Return float32 tensors in the format of safetensors: a header's length, the header, and the bytes."""
    header, data = {}, b""
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
