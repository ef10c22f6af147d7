"""Any of the many ways to write one message in protobuf's wire format that every reader has to take for the same.

Fields in any order, overlong varints, scalars that a later one replaces, messages in two parts, and unknown fields anywhere.
"""

import random
import struct
from collections import deque

from google.protobuf.message import Message

# pb2 reads tags and lengths of at most five bytes, other varints of ten.
_TAG_BYTES_MAX = 5
_VARINT_BYTES_MAX = 10
_GROUP_DEPTH_MAX = 3
# No field of OTLP has such a number, and none will soon.
_UNKNOWN_NUMBERS = [1000, 2047, 2048, 19_999, 1 << 20, (1 << 29) - 1]

_VARINT, _FIXED64, _DELIMITED, _GROUP, _GROUP_END, _FIXED32 = range(6)


def spelled(message: Message, chance: random.Random) -> bytes:
    return b"".join(_parts(message, chance))


def _parts(message: Message, chance: random.Random) -> list[bytes]:
    """The fields in an order in which they mean the message; those of one number, or of one oneof, keep theirs."""
    queues: dict[str, deque[bytes]] = {}
    for field, value in message.ListFields():
        queue = queues.setdefault(field.containing_oneof.name if field.containing_oneof else field.name, deque())
        if field.is_repeated:
            for item in value:
                queue.extend(_occurrences(field, item, chance, may_split=False))
            continue
        while field.type != field.TYPE_MESSAGE and chance.random() < 0.1:
            queue.append(_field(field, _replaced(field, chance), chance))
        queue.extend(_occurrences(field, value, chance, may_split=True))
    order = [name for name, queue in queues.items() for _ in queue]
    chance.shuffle(order)
    parts = [queues[name].popleft() for name in order]
    while chance.random() < 0.15:
        parts.insert(chance.randrange(len(parts) + 1), unknown(chance))
    return parts


def _occurrences(field, value, chance: random.Random, may_split: bool) -> list[bytes]:
    if field.type != field.TYPE_MESSAGE:
        return [_field(field, value, chance)]
    parts = _parts(value, chance)
    if not may_split or chance.random() > 0.1:
        return [_delimited(field.number, b"".join(parts), chance)]
    at = chance.randrange(len(parts) + 1)
    return [_delimited(field.number, b"".join(half), chance) for half in (parts[:at], parts[at:])]


def _replaced(field, chance: random.Random):
    """A value that a later one replaces."""
    if field.type == field.TYPE_STRING:
        return chance.choice(["", "replaced"])
    if field.type == field.TYPE_BYTES:
        return chance.randbytes(chance.choice([0, 7, 8, 16, 17]))
    return chance.choice([0, 1])


def _field(field, value, chance: random.Random) -> bytes:
    match field.type:
        case field.TYPE_STRING:
            return _delimited(field.number, value.encode(), chance)
        case field.TYPE_BYTES:
            return _delimited(field.number, value, chance)
        case field.TYPE_DOUBLE:
            return _tag(field.number, _FIXED64, chance) + struct.pack("<d", value)
        case field.TYPE_FIXED64:
            return _tag(field.number, _FIXED64, chance) + struct.pack("<Q", value)
        case field.TYPE_FIXED32:
            return _tag(field.number, _FIXED32, chance) + struct.pack("<I", value)
        case field.TYPE_INT32 | field.TYPE_INT64 | field.TYPE_UINT32 | field.TYPE_UINT64 | field.TYPE_BOOL | field.TYPE_ENUM:
            return _tag(field.number, _VARINT, chance) + varint(int(value) & (1 << 64) - 1, chance, _VARINT_BYTES_MAX)
    raise AssertionError(f"expected a type that OTLP has, got {field.type} of {field.full_name}")


def varint(value: int, chance: random.Random, bytes_max: int) -> bytes:
    """As short as it can be, or longer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    if chance.random() < 0.1:
        longer = chance.randrange(bytes_max - len(out) + 1)
        if longer:
            out[-1] |= 0x80
            out += b"\x80" * (longer - 1) + b"\0"
    return bytes(out)


def _tag(number: int, kind: int, chance: random.Random) -> bytes:
    return varint(number << 3 | kind, chance, _TAG_BYTES_MAX)


def _delimited(number: int, content: bytes, chance: random.Random) -> bytes:
    return _tag(number, _DELIMITED, chance) + varint(len(content), chance, _TAG_BYTES_MAX) + content


def unknown(chance: random.Random, depth: int = 0) -> bytes:
    number = chance.choice(_UNKNOWN_NUMBERS)
    match chance.choice([_VARINT, _FIXED64, _DELIMITED, _GROUP, _FIXED32]):
        case 0:
            return _tag(number, _VARINT, chance) + varint(chance.getrandbits(64), chance, _VARINT_BYTES_MAX)
        case 1:
            return _tag(number, _FIXED64, chance) + chance.randbytes(8)
        case 5:
            return _tag(number, _FIXED32, chance) + chance.randbytes(4)
        case 3 if depth < _GROUP_DEPTH_MAX:
            fields = b"".join(unknown(chance, depth + 1) for _ in range(chance.randrange(3)))
            return _tag(number, _GROUP, chance) + fields + _tag(number, _GROUP_END, chance)
        case _:
            return _delimited(number, chance.randbytes(chance.choice([0, 1, 20])), chance)
