"""The other side of `espalier bench torch`: the same model and the same batches in eager PyTorch, on the CPU.

Reads one JSON command a line and answers each with one JSON line; `src/bench/torch-process.ts` writes them.

Done as well as eager PyTorch does it, so that the ratio is not flattered: fused projections (q, k, v and gate, up in one
matrix each), scaled_dot_product_attention, sequences of one length without padding, logits only where there are targets,
fused AdamW, and the micro-batch size that is fastest on this machine.
Not done: torch.compile (shapes of agent batches vary), lower precision (the engine computes in float32).
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn


class Layer(nn.Module):
    def __init__(self, shape, weights, prefix):
        super().__init__()
        self.heads, self.kv_heads, self.dim = shape["headCount"], shape["kvHeadCount"], shape["headDim"]
        self.epsilon = shape["normEpsilon"]

        def join(*names):
            return nn.Parameter(torch.cat([weights[f"{prefix}{name}.weight"] for name in names]))

        self.input_norm = join("input_layernorm")
        self.qkv = join("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
        self.output = join("self_attn.o_proj")
        self.q_norm = join("self_attn.q_norm") if shape["qkNorm"] else None
        self.k_norm = join("self_attn.k_norm") if shape["qkNorm"] else None
        self.post_norm = join("post_attention_layernorm")
        self.gate_up = join("mlp.gate_proj", "mlp.up_proj")
        self.down = join("mlp.down_proj")

    def norm(self, x, gain):
        return F.rms_norm(x, gain.shape, gain, self.epsilon)

    def forward(self, x, cosines, sines):
        batch, length, _ = x.shape
        qkv = F.linear(self.norm(x, self.input_norm), self.qkv).view(batch, length, -1, self.dim)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=2)
        if self.q_norm is not None:
            q, k = self.norm(q, self.q_norm), self.norm(k, self.k_norm)
        q, k = rotate(q, cosines, sines), rotate(k, cosines, sines)
        group = self.heads // self.kv_heads
        k, v = k.repeat_interleave(group, dim=2), v.repeat_interleave(group, dim=2)
        attended = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True
        )
        x = x + F.linear(attended.transpose(1, 2).reshape(batch, length, -1), self.output)
        gate, up = F.linear(self.norm(x, self.post_norm), self.gate_up).chunk(2, dim=-1)
        return x + F.linear(F.silu(gate) * up, self.down)


def rotate(x, cosines, sines):
    low, high = x.chunk(2, dim=-1)
    return torch.cat([low * cosines - high * sines, high * cosines + low * sines], dim=-1)


class Model(nn.Module):
    def __init__(self, shape, weights):
        super().__init__()
        if not shape["tiedEmbeddings"]:
            raise ValueError("only tied embeddings")
        self.embedding = nn.Parameter(weights["model.embed_tokens.weight"])
        self.layers = nn.ModuleList(
            Layer(shape, weights, f"model.layers.{layer}.") for layer in range(shape["layerCount"])
        )
        self.last_norm = nn.Parameter(weights["model.norm.weight"])
        self.epsilon = shape["normEpsilon"]
        half = torch.arange(0, shape["headDim"], 2, dtype=torch.float32) / shape["headDim"]
        angles = torch.outer(torch.arange(shape["contextLength"]).float(), 1.0 / shape["ropeTheta"] ** half)
        self.cosines, self.sines = angles.cos()[:, None], angles.sin()[:, None]

    def forward(self, ids, rows, columns):
        """Logits [targets, vocabulary] after the tokens at (rows, columns) of ids [sequences, length]."""
        length = ids.shape[1]
        cosines, sines = self.cosines[:length], self.sines[:length]
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x, cosines, sines)
        x = F.rms_norm(x[rows, columns], self.last_norm.shape, self.last_norm, self.epsilon)
        return F.linear(x, self.embedding)


class Batch:
    def __init__(self, ids, rows, columns, targets, counts):
        self.ids = torch.tensor(ids)
        self.rows, self.columns, self.targets = torch.tensor(rows), torch.tensor(columns), torch.tensor(targets)
        self.counts = torch.tensor(counts, dtype=torch.float32)
        self.normalizer = self.counts.sum()

    def parts(self, sequences):
        """Micro-batches of so many sequences, with the targets of each."""
        for first in range(0, len(self.ids), sequences):
            own = (self.rows >= first) & (self.rows < first + sequences)
            yield (
                self.ids[first : first + sequences],
                self.rows[own] - first,
                self.columns[own],
                self.targets[own],
                self.counts[own],
            )


class Trainer:
    def __init__(self, model):
        self.model = model
        # The learning rate is 0: all of the work, and every step starts from the same weights.
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=0.0, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0, fused=True
        )

    def step(self, batch, sequences):
        loss = 0.0
        for ids, rows, columns, targets, counts in batch.parts(sequences):
            losses = F.cross_entropy(self.model(ids, rows, columns), targets, reduction="none")
            part = (losses * counts).sum() / batch.normalizer
            part.backward()
            loss += part.item()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss


def timed(trainer, batch, sequences):
    begun = time.perf_counter()
    loss = trainer.step(batch, sequences)
    return {"seconds": time.perf_counter() - begun, "loss": loss}


def best_size(trainer, batch):
    """The fastest micro-batch of 1, 2, 4, ... sequences; stops where larger ones have become clearly slower."""
    best, best_seconds, size = 1, float("inf"), 1
    trainer.step(batch, 1)
    while size <= len(batch.ids):
        seconds = timed(trainer, batch, size)["seconds"]
        if seconds < best_seconds:
            best, best_seconds = size, seconds
        elif seconds > 1.5 * best_seconds:
            break
        size *= 2
    return best


def main():
    trainer, batches, sizes = None, {}, {}
    for line in sys.stdin:
        command = json.loads(line)
        kind = command["command"]
        if kind == "open":
            torch.set_num_threads(command["threads"])
            trainer = Trainer(Model(command["shape"], load_file(command["weights"])))
            batches, sizes = {}, {}
            answer = {"torch": torch.__version__}
        elif kind == "batch":
            name = command["name"]
            batches[name] = Batch(*(command[field] for field in ("ids", "rows", "columns", "targets", "counts")))
            sizes[name] = best_size(trainer, batches[name])
            answer = {"sequences": sizes[name]}
        elif kind == "step":
            name = command["name"]
            answer = timed(trainer, batches[name], sizes[name])
        else:
            raise ValueError(f"unknown command {kind}")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
