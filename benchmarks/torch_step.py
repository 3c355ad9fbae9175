"""One training step of a HASS draft head in PyTorch, for benchmarks/trainer.mjs: python torch_step.py FOLDER THREADS.

Reads the tensors that FOLDER/meta.json lists, float32 and row-major. For each line on stdin it makes one step (losses of
all alignment steps, their gradients, AdamW) and prints {"ms": …, "losses": […]}. Plain eager PyTorch as one would write it:
every position is a query, alignment replaces the near diagonals of the scores, losses see the masked positions alone.
"""
import json
import sys
import time

import numpy
import torch
import torch.nn.functional as F

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
with open(f"{folder}/meta.json") as file:
    meta = json.load(file)


def read(name):
    data = numpy.fromfile(f"{folder}/{name}.bin", dtype=numpy.float32)
    return torch.from_numpy(data).reshape(meta["tensors"][name])


heads, kv_heads, size, steps, top_k = (meta[key] for key in ("heads", "kvHeads", "headSize", "alignmentSteps", "topK"))
parameters = {name: read(name).requires_grad_() for name in meta["parameters"]}
embedded, features, lm_head, cos_sin = read("embedded"), read("features"), read("lmHead"), read("ropeTable")
mask = read("mask").bool()
B, T, E = features.shape
optimizer = torch.optim.AdamW(parameters.values(), lr=meta["learningRate"], betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)


def rope(x):
    half = size // 2
    cos, sin = cos_sin[:T, None, :half], cos_sin[:T, None, half:]
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def project(x, name):
    return F.linear(x, parameters[f"layers.0.{name}.weight"])


def keys_values(h):
    k = rope(project(h, "self_attn.k_proj").view(B, T, kv_heads, size))
    v = project(h, "self_attn.v_proj").view(B, T, kv_heads, size)
    # [B, H, T, D], each kv head for its group of heads.
    return [x.transpose(1, 2).repeat_interleave(heads // kv_heads, 1) for x in (k, v)]


causal = torch.ones(T, T, dtype=torch.bool).tril()


def attend(q, sources):
    k, v = sources[0]
    scores = q @ k.transpose(-1, -2)
    near = range(len(sources) - 1)  # distance o is seen in source len - 1 - o
    for o in near:
        own = (q[:, :, o:] * sources[len(sources) - 1 - o][0][:, :, : T - o]).sum(-1)
        scores = scores - torch.diag_embed(torch.diagonal(scores, -o, -2, -1) - own, -o)
    weights = (scores * size**-0.5).masked_fill(~causal, -torch.inf).softmax(-1)
    y = weights @ v
    for o in near:
        weight = torch.diagonal(weights, -o, -2, -1)[..., None]
        change = weight * (sources[len(sources) - 1 - o][1] - v)[:, :, : T - o]
        y = y + F.pad(change, (0, 0, o, 0))
    return y.transpose(1, 2).reshape(B, T, heads * size)


def predict(h, sources):
    q = rope(project(h, "self_attn.q_proj").view(B, T, heads, size)).transpose(1, 2)
    a = h + project(attend(q, sources), "self_attn.o_proj")
    x = F.rms_norm(a, (E,), parameters["layers.0.post_attention_layernorm.weight"], 1e-5)
    return a + project(F.silu(project(x, "mlp.gate_proj")) * project(x, "mlp.up_proj"), "mlp.down_proj")


def step():
    losses = []
    target = features[:, 1:][mask[:, :-1]]
    probs = F.linear(target, lm_head).softmax(-1)
    top = probs.topk(top_k, -1).indices
    source, sources = features, []
    for _ in range(steps):
        h = F.linear(torch.cat((embedded, source), -1), parameters["fc.weight"], parameters["fc.bias"])
        sources.append(keys_values(h))
        prediction = predict(h, sources)
        chosen = prediction[mask]
        logs = F.linear(chosen, lm_head).log_softmax(-1)
        feature = F.smooth_l1_loss(chosen, target)
        token = -(probs * logs).sum(-1).mean()
        best = -(probs.gather(-1, top) * logs.gather(-1, top)).sum(-1).mean()
        losses.append(feature + 0.1 * token + best)
        source = torch.cat((source[:, :1], prediction[:, :-1]), 1).detach()
    sum(losses).backward()
    torch.nn.utils.clip_grad_value_(parameters.values(), 0.5)
    optimizer.step()
    optimizer.zero_grad()
    return [loss.item() for loss in losses]


print(json.dumps({"version": torch.__version__}), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    losses = step()
    print(json.dumps({"ms": (time.perf_counter() - start) * 1e3, "losses": losses}), flush=True)
