"""Write the demo model as one GGUF file, the form that llama.cpp reads: `to_gguf.py MODEL_FOLDER FILE`.

Its words are given as those of RWKV, a tokenizer of llama.cpp's that takes the longest word that fits: known words come
out as in training, and an unknown one may be read as a known word and the rest.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
from safetensors.numpy import load_file

# https://github.com/ggml-org/ggml/blob/master/docs/gguf.md lists the names; theirs by Hugging Face's
TENSORS: Final = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def name_of(tensor: str) -> str:
    """Return llama.cpp's name for a tensor of Hugging Face's Llama."""
    own = tensor.removesuffix(".weight")
    if own in TENSORS:
        return f"{TENSORS[own]}.weight"
    _, _, layer, part = own.split(".", 3)
    return f"blk.{layer}.{TENSORS[part]}.weight"


def interleaved(weights: np.ndarray, heads: int) -> np.ndarray:
    """Return rows whose rotary pairs lie side by side; Hugging Face's lie half a head apart."""
    rows = weights.shape[0] // heads
    return weights.reshape(heads, 2, rows // 2, -1).swapaxes(1, 2).reshape(weights.shape)


def words(tokenizer: dict[str, Any]) -> Iterator[tuple[str, gguf.TokenType]]:
    """Yield the vocabulary by number, in the escapes of llama.cpp's RWKV."""
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    known = {number: text for text, number in tokenizer["model"]["vocab"].items()}
    for number in range(len(known | added)):
        if number in added:
            special = added[number]["special"]
            yield added[number]["content"], gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
        else:
            raw = bytes(byte_of[letter] for letter in known[number])
            yield repr(raw)[2:-1].replace("\\'", "'"), gguf.TokenType.NORMAL


def byte_letters() -> list[str]:
    """Return the letter that stands for each byte in a byte-level vocabulary, as GPT-2 has it."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


def write(folder: Path, file: Path) -> None:
    """Convert the model in `folder`."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    texts, types = zip(*words(json.loads((folder / "tokenizer.json").read_text())), strict=True)
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([text.encode() for text in texts])
    writer.add_token_types(types)
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(value=False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())
    for tensor, values in load_file(folder / "model.safetensors").items():
        turned = "q_proj" in tensor or "k_proj" in tensor
        weights = interleaved(values, config["num_attention_heads"]) if turned else values
        # one-dimensional weights are of 32 bits in all that llama.cpp reads
        writer.add_tensor(name_of(tensor), weights.astype(np.float32) if weights.ndim == 1 else weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
