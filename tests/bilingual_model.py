"""A small embedding model that knows some words of Chinese and English, made on the spot.

A real sentence-transformers model: each word has a vector, the words of one meaning the same
one, and a text the mean of its words'. It stands for bge-m3, whose weights tests do not have.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split

MEANINGS = """
员工 employees employee staff | 每年 year | 休假 假 vacation leave | 合同 contract | 到期 expire ends
打印机 printer | 纸 paper | 电池 battery | 充 charge charged | 河 river | 海 sea | 流入 注入 flow empties
火 fire alarm | 集合 gather meets | 发票 invoices | 财务部 accounting | 药 medicine | 次 often twice | 密码 password
重置 设置 reset choose | 交响曲 symphony | 写 创作 wrote composed | 水稻 rice | 收割 harvested bring
桥 bridge | 多长 全长 spans metres | 保修 保修期 warranty | 机器 machine | 食堂 canteen | 关门 closes close
访客 visitors | 登记 sign | 前台 desk | 停车 parking | 月 months | 持续 lasts | 养老金 pension | 费用 fee
"""


def make_bilingual_model(folder: Path) -> Path:
    """Write the model to `folder`, and return that."""
    meanings = [one.split() for line in MEANINGS.strip().split("\n") for one in line.split("|")]
    codes = {word: number for number, word in enumerate(["[UNK]", *(word for one in meanings for word in one)])}
    longest_first = sorted(codes, key=len, reverse=True)
    chinese = "|".join(word for word in longest_first if not word.isascii())
    tokenizer = Tokenizer(WordLevel(codes, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Split(Regex(f"{chinese}|[a-z]+"), behavior="removed", invert=True)
    drawn = np.random.default_rng(5).standard_normal((len(meanings), 96)).astype(np.float32)
    rows = [vector for vector, words in zip(drawn, meanings, strict=True) for _ in words]
    weights = np.stack([np.zeros(96, dtype=np.float32), *rows])
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)]).save_pretrained(str(folder))
    return folder
