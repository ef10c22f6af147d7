"""The protobuf wire format, just enough to take messages apart without re-encoding them.

    tag = varint(field number << 3 | wire type)
    wire type 0 varint, 1 eight bytes, 2 length + bytes, 3 fields up to the tag of type 4 of the same number, 5 four bytes
"""

from collections.abc import Iterator


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field number and value (an int, or the raw bytes) of each field, in the order they stand."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 3:
            end = _group_end(message, at, number)
            yield number, message[at:end]
            at = end
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} of field {number} at offset {at}")
        if at + size > len(message):
            raise ValueError(f"field {number} at offset {at} needs {size} bytes, there are {len(message) - at}")
        yield number, message[at:at + size]
        at += size


def _group_end(message: bytes, at: int, number: int) -> int:
    """Behind the tag that ends the group whose fields begin here."""
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 4:
            if tag >> 3 != number:
                raise ValueError(f"group {number} is ended by the tag of {tag >> 3} before offset {at}")
            return at
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 3:
            at = _group_end(message, at, tag >> 3)
        elif kind == 2:
            size, at = _varint(message, at)
            at += size
        else:
            at += 8 if kind == 1 else 4
    raise ValueError(f"group {number} does not end")


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, content: bytes) -> bytes:
    """A field of wire type 2."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError(f"varint that does not end, at offset {at}")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
