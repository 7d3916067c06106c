"""Tiny text models with random weights, saved as their authors would save them."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    OPTConfig,
    OPTModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5Model,
)

WORDS = [f"w{i}" for i in range(40)]
LIMIT = 44  # positions; no multiple of 8

_SPECIAL = ["</s>", "[UNK]", "[CLS]", "[SEP]"]
_BERT = ("[CLS] $A [SEP]", [("[CLS]", 2), ("[SEP]", 3)])
_OPT = ("</s> $A", [("</s>", 0)])


def text_of(n_words, start=0):
    """A text of so many tokens, not counting those that a tokeniser adds."""
    return " ".join(WORDS[(start + 7 * i) % len(WORDS)] for i in range(n_words))


TEXTS = [text_of(n, start=3 * n + 1) for n in (1, 2, 5, 7, 8, 9, 15, 16, 17, 23, 30, 5, 7)]


def tokenizer(template=None, **settings):
    vocabulary = {word: row for row, word in enumerate([*_SPECIAL, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template:
        inner.post_processor = processors.TemplateProcessing(
            single=template[0], special_tokens=template[1]
        )
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", **settings)


def make(kind, directory, *, seed=0, prepare=None, safe=True, **settings):
    """Save a tiny ``bert``, ``opt``, ``gpt2`` or ``t5`` to ``directory``; return the model.

    ``prepare``: what to do with the model before; ``safe``: as safetensors, else pickled.
    """
    torch.manual_seed(seed)
    size = {"vocab_size": len(WORDS) + len(_SPECIAL)}
    if kind == "bert":
        model = BertModel(
            BertConfig(
                **size,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=LIMIT,
            )
        )
    elif kind == "opt":
        model = OPTModel(
            OPTConfig(
                **size,
                hidden_size=32,
                word_embed_proj_dim=16,
                num_hidden_layers=2,
                num_attention_heads=4,
                ffn_dim=64,
                max_position_embeddings=LIMIT,
            )
        )
    elif kind == "gpt2":
        model = GPT2Model(GPT2Config(**size, n_embd=32, n_layer=2, n_head=4, n_positions=LIMIT))
    else:
        model = T5Model(T5Config(**size, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4))
    with torch.no_grad():  # random weights are small; a real model's positions matter more
        for parameter in model.parameters():
            parameter.mul_(3 if parameter.ndim > 1 else 1)
    if prepare:
        prepare(model)
    model.eval()
    if safe:
        model.save_pretrained(directory)
    else:
        model.config.save_pretrained(directory)
        torch.save(model.state_dict(), directory / "pytorch_model.bin")
    template = {"bert": _BERT, "opt": _OPT}.get(kind)
    tokenizer(template, **settings).save_pretrained(directory)
    return model
