"""GGUF files that are whole by their head and hold a few bytes of nothing."""

import struct


def make_gguf(*, architecture: str = "llama", body: int = 64) -> bytes:
    """A head with the architecture and one tensor, then `body` bytes."""

    def text(words: str) -> bytes:
        return struct.pack("<Q", len(words)) + words.encode()

    facts = [("general.architecture", 8, text(architecture))]
    facts += [
        (f"{architecture}.{name}", 4, struct.pack("<I", value))
        for name, value in (
            ("context_length", 1024),
            ("block_count", 2),
            ("embedding_length", 64),
            ("attention.head_count", 4),
            ("attention.head_count_kv", 2),
        )
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(facts))
    for name, kind, value in facts:
        head += text(name) + struct.pack("<I", kind) + value
    head += text("t") + struct.pack("<I", 1) + struct.pack("<Q", 8) + struct.pack("<IQ", 0, 0)
    return head + b"\1" * body
