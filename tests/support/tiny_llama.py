"""A whole language model of 115 kB: a random one-layer llama, written by hand as GGUF.

What it says is noise; that it is loaded, asked and held to a JSON schema by llama.cpp is real.
"""

import random
import struct
from pathlib import Path

_WIDTH, _HEADS, _INNER, _CONTEXT = 32, 2, 64, 2048
_TEXT, _UINT32, _FLOAT32, _INT32, _ARRAY = 8, 4, 6, 5, 9
_ALIGNMENT = 32
_CHAT = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"


def write_tiny_llama(path: Path) -> Path:
    """Write the model to `path`."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [2, 3, 3] + [6] * 256
    pairs = [
        _pair("general.architecture", _TEXT, _text("llama")),
        _number("llama.context_length", _CONTEXT),
        _number("llama.embedding_length", _WIDTH),
        _number("llama.block_count", 1),
        _number("llama.feed_forward_length", _INNER),
        _number("llama.attention.head_count", _HEADS),
        _number("llama.attention.head_count_kv", _HEADS),
        _pair("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5)),
        _pair("tokenizer.ggml.model", _TEXT, _text("llama")),
        _array("tokenizer.ggml.tokens", _TEXT, [_text(token) for token in tokens]),
        _array("tokenizer.ggml.scores", _FLOAT32, [struct.pack("<f", 0.0)] * len(tokens)),
        _array("tokenizer.ggml.token_type", _INT32, [struct.pack("<i", kind) for kind in kinds]),
        _number("tokenizer.ggml.bos_token_id", 1),
        _number("tokenizer.ggml.eos_token_id", 2),
        _number("tokenizer.ggml.unknown_token_id", 0),
        _pair("tokenizer.chat_template", _TEXT, _text(_CHAT)),
    ]
    square = (_WIDTH, _WIDTH)
    shapes = {
        "token_embd.weight": (_WIDTH, len(tokens)),
        "output_norm.weight": (_WIDTH,),
        "output.weight": (_WIDTH, len(tokens)),
        "blk.0.attn_norm.weight": (_WIDTH,),
        **{f"blk.0.attn_{name}.weight": square for name in ("q", "k", "v", "output")},
        "blk.0.ffn_norm.weight": (_WIDTH,),
        "blk.0.ffn_gate.weight": (_WIDTH, _INNER),
        "blk.0.ffn_up.weight": (_WIDTH, _INNER),
        "blk.0.ffn_down.weight": (_INNER, _WIDTH),
    }
    described, data = _write_tensors(shapes)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(pairs)) + b"".join(pairs) + described
    path.write_bytes(head + b"\0" * (-len(head) % _ALIGNMENT) + data)
    return path


def _write_tensors(shapes: dict[str, tuple[int, ...]]) -> tuple[bytes, bytes]:
    chance = random.Random(1)
    described, data = b"", b""
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        described += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        described += struct.pack("<IQ", 0, len(data))
        data += struct.pack(f"<{count}f", *(chance.gauss(0, 0.5) for _ in range(count)))
        data += b"\0" * (-len(data) % _ALIGNMENT)
    return described, data


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _pair(name: str, kind: int, value: bytes) -> bytes:
    return _text(name) + struct.pack("<I", kind) + value


def _number(name: str, value: int) -> bytes:
    return _pair(name, _UINT32, struct.pack("<I", value))


def _array(name: str, kind: int, items: list[bytes]) -> bytes:
    return _pair(name, _ARRAY, struct.pack("<IQ", kind, len(items)) + b"".join(items))
