"""The models of transformers as an exact reference: any dtype, documents isolated, loss as longhaul counts it.

transformers computes some parts in fp32 whatever the model's dtype (RMSNorm, the softmax of the Llama family). exact() replaces those
by the same formulas in the model's own dtype, so that a model in fp64 is fp64 throughout. The rotation's tables stay as Hugging Face
builds them: inverse frequencies and angles in fp32, which is part of the definition of these models.
"""
import contextlib

import torch
from safetensors.torch import load_file
from transformers import (AttentionInterface, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM,
                          Qwen3Config, Qwen3ForCausalLM)
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm


def _exact_attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **_):
    """Softmax attention in the dtype of its inputs; attention_mask [B, 1, T, T], True where a key may be seen."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ key.transpose(-1, -2) * (scaling if scaling is not None else query.shape[-1] ** -0.5)
    weights = scores.masked_fill(~attention_mask, float("-inf")).softmax(-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register("exact", _exact_attention)


@contextlib.contextmanager
def exact():
    """Within it, RMSNorm keeps the dtype of its input."""

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    kinds = (LlamaRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)
    before = [kind.forward for kind in kinds]
    for kind in kinds:
        kind.forward = forward
    try:
        yield
    finally:
        for kind, old in zip(kinds, before):
            kind.forward = old


def build(spec, attention="exact"):
    """A transformers model of a [model] table with all values resolved (longhaul config --json), in fp32, its weights random."""
    common = dict(vocab_size=spec["vocab"], tie_word_embeddings=spec["tied_embeddings"], attn_implementation=attention)
    if spec["position"] == "learned":
        return GPT2LMHeadModel(GPT2Config(
            n_layer=spec["layers"], n_embd=spec["width"], n_head=spec["heads"], n_inner=spec["ffn_width"], n_positions=spec["position_rows"],
            layer_norm_epsilon=spec["norm_epsilon"], activation_function="gelu_new", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            bos_token_id=None, eos_token_id=None, **common))
    common |= dict(
        num_hidden_layers=spec["layers"], hidden_size=spec["width"], num_attention_heads=spec["heads"],
        num_key_value_heads=spec["kv_heads"], head_dim=spec["head_dim"], intermediate_size=spec["ffn_width"],
        max_position_embeddings=spec["position_rows"] or 4096, rms_norm_eps=spec["norm_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": spec["rope_theta"]}, bos_token_id=None, eos_token_id=None)
    if spec["qk_norm"]:
        return Qwen3ForCausalLM(Qwen3Config(attention_bias=False, **common))
    if spec["qkv_bias"]:
        return Qwen2ForCausalLM(Qwen2Config(**common))
    return LlamaForCausalLM(LlamaConfig(**common))


def load_weights(model, tensors):
    """Loads tensors under Hugging Face's names; a tied head may be absent, nothing else may be."""
    missing, unexpected = model.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    if set(missing) - tied or unexpected:
        raise ValueError(f"tensor names differ: missing {sorted(set(missing) - tied)}, unexpected {sorted(unexpected)}")
    if tied:
        model.tie_weights()
    return model


def visible(documents):
    """[B, T] document numbers → [B, 1, T, T]: causal, and within one document."""
    length = documents.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return (causal & (documents[:, :, None] == documents[:, None, :]))[:, None]


def logits(model, batch):
    """[B, T, vocabulary]; batch is a dictionary of tokens, positions and documents, each [B, T]."""
    return model(input_ids=batch["tokens"].long(), position_ids=batch["positions"].long(), attention_mask=visible(batch["documents"]),
                 use_cache=False).logits


def loss(model, batch):
    """Nats per unmasked target (accounting A10)."""
    scores = logits(model, batch)
    mask = batch["loss_mask"].bool()
    scores = scores if scores.dtype == torch.float64 else scores.float()
    return torch.nn.functional.cross_entropy(scores[mask], batch["targets"][mask].long())


def gradients(model, batch):
    """(loss, {name: gradient}) of one step; a tied weight appears once, with the sum of both uses."""
    model.zero_grad()
    value = loss(model, batch)
    value.backward()
    return value.item(), {name: p.grad.detach().clone() for name, p in model.named_parameters()}


def read_batch(path):
    return load_file(path)
