"""Makes test/fixtures/parity: tiny random models of each family, and what PyTorch `transformers` computes with them.

Covered: Llama, Qwen2 and Qwen3; head_dim other than hidden / heads, 3 key-value heads, a vocabulary that is no multiple
of 16, tied and untied heads, biases, llama3 rope scaling, configurations as transformers 5 writes them and as older
folders have them, F32, F16 and BF16, one file and shards. Not covered: speed, and sizes that exceed a kernel's chain,
which the fp64 twin checks.

Each folder is a model folder and `expected.safetensors`: ids, logits, log-probabilities of every id after the first,
their mean negative as the loss, and the loss's gradient for every tensor, in float32 with plain attention. Run it with the
versions of requirements.txt; they are written into the file.
"""

import argparse
import json
import math
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

LENGTH = 70  # more than a block of 64 positions
VOCABULARY = 53
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 256}
SIZES = {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 512}

# What config.json says, the number type of the file, and the largest shard or None. `written` folders keep their
# config.json as it stands here; the others have what transformers makes of it.
MODELS = {
    "llama": {
        "config": SIZES
        | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 24, "intermediate_size": 28}
        | {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 12, "tie_word_embeddings": False}
        | {"rope_parameters": {"rope_type": "llama3", "rope_theta": 10000.0} | LLAMA3},
        "dtype": torch.bfloat16,
        "shard": None,
        "written": False,
    },
    "llama-older": {
        "config": SIZES
        | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 24, "intermediate_size": 29}
        | {"num_attention_heads": 3, "tie_word_embeddings": True, "attention_bias": True, "hidden_act": "silu"}
        | {"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3"} | LLAMA3, "torch_dtype": "float16"},
        "dtype": torch.float16,
        "shard": None,
        "written": True,
    },
    "qwen2": {
        "config": SIZES
        | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 36, "intermediate_size": 23}
        | {"num_attention_heads": 6, "num_key_value_heads": 3, "tie_word_embeddings": False}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        "dtype": torch.float16,
        "shard": None,
        "written": False,
    },
    "qwen2-older": {
        "config": SIZES
        | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 28, "intermediate_size": 33}
        | {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True, "hidden_act": "silu"}
        | {"rope_theta": 1000000.0, "sliding_window": 128, "use_sliding_window": False, "max_window_layers": 1}
        | {"attention_dropout": 0.0, "torch_dtype": "bfloat16"},
        "dtype": torch.bfloat16,
        "shard": 6000,
        "written": True,
    },
    "qwen3": {
        "config": SIZES
        | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 18, "intermediate_size": 26}
        | {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 10, "tie_word_embeddings": False}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}},
        "dtype": torch.float32,
        "shard": 12000,
        "written": False,
    },
}


def draw(name, tensor, generator):
    """Values that make every part of the model matter: logits about 2, gains about 1, biases about 0.5."""
    noise = torch.randn(tensor.shape, generator=generator)
    if name.endswith(".bias"):
        return 0.5 * noise
    if tensor.dim() == 1:
        return 1 + 0.2 * noise
    return noise * (1.0 if "embed" in name else 1.5) / (1.0 if "embed" in name else math.sqrt(tensor.shape[1]))


def expected(model, ids):
    logits = model(ids.unsqueeze(0), use_cache=False).logits[0]
    logprobs = torch.log_softmax(logits[:-1], dim=-1).gather(1, ids[1:].unsqueeze(1)).squeeze(1)
    loss = -logprobs.mean()
    loss.backward()
    gradients = {f"gradient.{name}": parameter.grad for name, parameter in model.named_parameters()}
    values = {"ids": ids.float(), "logits": logits, "logprobs": logprobs, "loss": loss.reshape(1)} | gradients
    return {name: value.detach().float().contiguous() for name, value in values.items()}


def tokenizer():
    """A tokenizer that is none: one word an id, as folders must have one."""
    vocabulary = {f"w{i}": i for i in range(VOCABULARY)}
    return {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"}}


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf8")


def make(folder, name, wish):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", wish["config"])
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            parameter.copy_(draw(parameter_name, parameter, generator).to(wish["dtype"]))
    ids = torch.randint(VOCABULARY, (LENGTH,), generator=generator)
    values = expected(model, ids)
    model.to(wish["dtype"]).save_pretrained(folder, max_shard_size=wish["shard"] or "1GB")
    if wish["written"]:
        write_json(folder / "config.json", wish["config"])
    write_json(folder / "tokenizer.json", tokenizer())
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf8")
    check(folder, values, ids)
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__}
    save_file(values, folder / "expected.safetensors", metadata=metadata)


def check(folder, values, ids):
    """What was written, read again, gives the same numbers."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    again = expected(model, ids)
    assert again.keys() == values.keys(), folder
    for name, value in values.items():
        assert torch.allclose(again[name], value, rtol=1e-5, atol=1e-6), (folder, name)
    doubled = model.double()
    doubled.zero_grad()
    truth = expected(doubled, ids)
    logits = (truth["logits"] - values["logits"]).abs().max().item()
    gradients = max(
        ((truth[name] - value).norm() / value.norm()).item() for name, value in values.items() if "gradient" in name
    )
    print(f"{folder.name}: float32 against float64 here: logits {logits:.1e}, gradients {gradients:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = pathlib.Path(__file__).parent.parent / "fixtures" / "parity"
    parser.add_argument("--to", type=pathlib.Path, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, wish in MODELS.items():
        make(options.to / name, name, wish)


if __name__ == "__main__":
    main()
