"""What is a secret in foreign text, and what is not."""

import random
import time
from base64 import urlsafe_b64encode

import pytest
from tandem_operator.status.masking import masked

SECRETS = {
    "url": ("postgresql://admin:{}@db:5432/x failed", "hunter2"),
    "url with what should be escaped": ("postgresql://admin:{}@db:5432/x failed", "hun/t@er:2"),
    "url with a token": ("fatal: could not read from https://{}@github.com/org/repo", "x1y2z3x1y2z3"),
    "url without a user": ("redis://:{}@cache:6379", "hunter2"),
    "address": ("dial root:{}@tcp(db:3306)/x: refused", "hunter2"),
    "bearer": ("headers: Bearer {} was refused", "abcdef.123"),
    "header": ("Authorization: Basic {}", "YWRtaW46aHVudGVyMg=="),
    "headers": ("{{'Authorization': 'Bearer {}', 'Accept': '*/*'}}", "hunter2"),
    "other header": ("x-api-key: {}", "hunter2"),
    "query": ("GET /x?api_key={}&page=2", "hunter2"),
    "signed query": ("GET https://s3/x?X-Amz-Signature={}&x=1", "0f0e0d0c"),
    "variable": ("HF_TOKEN={} vllm serve", "hunter2"),
    "variables": ("environ({{'AWS_SECRET_ACCESS_KEY': '{}', 'HOME': '/'}})", "hun ter2"),
    "json": ('{{"password": "{}", "user": "admin"}}', 'hun\\"ter 2'),
    "json in json": ('"{{\\"password\\": \\"{}\\", \\"user\\": 1}}"', "hunter2"),
    "compact json": ('{{"token":"{}"}}', "hunter2"),
    "cut json": ('{{"client_secret": "{}', "hunter 2"),
    "yaml": ("database:\n  password:\n    {}\n", "hunter2"),
    "spaces": ("password   =   {}", "hunter2"),
    "colours": ("\x1b[36mtoken\x1b[0m=\x1b[35m{}\x1b[0m", "hunter2"),
    "arrow": ("'password' => '{}'", "hunter2"),
    "arguments": ("['vllm', 'serve', '--api-key', '{}']", "hunter2"),
    "argument": ("vllm serve --hf-token {} --port 1", "hunter2"),
    "connection string": ("Server=db;Pwd={};x=1", "hun;ter2"),
    "account": ("AccountName=x;AccountKey={}", "hunter2=="),
    "private key": ("key -----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY----- end", "Proc-Type: 4\nMIIE"),
    "private key without beginning": ("{}\n-----END PRIVATE KEY-----", "MIIEowIB"),
    "private key without end": ("-----BEGIN PRIVATE KEY-----\n{}", "MIIEowIB"),
    "Hugging Face": ("token {} is invalid", "hf_AbCdEfGhIjKlMnOpQr"),
    "OpenAI": ("key {} is invalid", "sk-proj-abcdefghijklmnop"),
    "GitHub": ("({})", "ghp_abcdefghijklmnop1234"),
    "AWS": ("id {}", "AKIAIOSFODNN7EXAMPLE"),
    "Slack": ("id {}", "xoxb-1234567890-abcdef"),
    "JWT": ("id {}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"),
    "random": ("unexpected {}", "v8Wq2LkZx0Tn5RyB7mJc3HsPf9DgUaE1oKiX4tN6wYb"),
}
HARMLESS = (
    "Back-off pulling image \"host:5000/org/image:1@sha256:{'0a' * 32}\": not found",
    "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available",
    'secret "hf" not found; couldn\'t find key api-key in Secret ns/demo-engine-key',
    'password authentication failed for user "admin"',
    "ValueError: max_num_batched_tokens=2048 is smaller than max_model_len: 4096",
    "OSError: Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 and hugging-quants/Meta-Llama-3_1-405B-Instruct-AWQ-INT4",
    "Architectures ['Qwen3VLMoeForConditionalGenerationWithMTPHead2'] are not supported",
    "oci://host:5000/org/model:1@sha256:0a0a, see https://docs.vllm.ai/en/latest/usage/v1_guide.html?highlight=engine",
    "Secret demo-engine-key: the server could not find the requested resource",
    'Deployment.apps "demo-engine" is invalid: spec.template.spec.containers[0].name: Invalid value: "X"',
    "demo-engine-7d9f8b6c5d-x2x9z in 3f2504e0-4f89-11d3-9a0c-0305e82c3301 at 2026-11-21T12:00:00Z",
)


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS.keys())
def test_what_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    shown = masked(text.format(secret))
    assert secret not in shown
    assert not any(part in shown for part in ("hun", "ter2", "MIIE"))
    assert "***" in shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_helps_to_understand_stays(text: str) -> None:
    assert masked(text) == text


def test_keys_of_our_own_making_are_masked() -> None:
    generator = random.Random(7)
    keys = [urlsafe_b64encode(generator.randbytes(32)).decode().rstrip("=") for _ in range(200)]
    assert sum("***" in masked(f"got {key}") for key in keys) > 190
    assert all(masked(name) == name for name in (f"{generator.getrandbits(256):064x}" for _ in range(200)))


HOSTILE = (
    "a",
    " ",
    "-",
    "pass",
    "password=",
    "token:",
    '"',
    "\\",
    "a://",
    "a:",
    "a://b:",
    "--",
    "Bearer ",
    "eyJ",
    "eyJaaaaaaaaa.",
)
BLOCKS = (
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "--api-",
    "Ab1",
    "secret'",
    "key =",
    "@",
    "\n",
    "é",
)


@pytest.mark.parametrize("part", [*HOSTILE, *BLOCKS])
def test_no_text_takes_long(part: str) -> None:
    begun = time.process_time()
    masked(part * (1_000_000 // len(part)))
    assert time.process_time() - begun < 1


def test_a_secret_is_not_cut_into_something_that_is_none() -> None:
    for length in range(65_514, 65_524):
        assert "hunter" not in masked("x " * (length // 2) + " " * (length % 2) + "https://u:hunter2@host and more" * 9)
