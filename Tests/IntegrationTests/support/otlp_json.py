"""OTLP's JSON by protobuf's own JSON library, which is the judge: ids in hex, enums as integers, and any other spelling
that means the same."""

import base64
import json
import random
from collections.abc import Callable

from google.protobuf import json_format
from google.protobuf.message import Message

from support.otlp import ExportTraceServiceRequest

JSON = {"Content-Type": "application/json"}
_IDS = {"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"}
_UNKNOWN = [None, True, -1.5e300, "text \" \\ \n é 😀", [], {}, [1, [{"spans": [None]}]], {"name": 7, "values": {"a": ["b"]}}]


def tree(request: Message, proto_names: bool = False) -> dict:
    """What a JSON parser would make of the request as an SDK sends it."""
    plain = json_format.MessageToDict(request, use_integers_for_enums=True, preserving_proto_field_name=proto_names)
    return _mapped(plain, lambda identifier: base64.b64decode(identifier).hex())


def from_protobuf(request: bytes) -> bytes:
    return json.dumps(tree(ExportTraceServiceRequest.FromString(request)), separators=(",", ":")).encode()


def parsed(text: str) -> ExportTraceServiceRequest:
    """What protobuf's own library reads, given ids in base64 as it wants them."""
    plain = _mapped(json.loads(text), lambda identifier: base64.b64encode(bytes.fromhex(identifier)).decode())
    return json_format.ParseDict(plain, ExportTraceServiceRequest(), ignore_unknown_fields=True)


def _mapped(node, identifier: Callable[[str], str]):
    if isinstance(node, dict):
        return {key: identifier(value) if key in _IDS and isinstance(value, str) else _mapped(value, identifier)
                for key, value in node.items()}
    return [_mapped(item, identifier) for item in node] if isinstance(node, list) else node


def spelled(request: Message, chance: random.Random) -> bytes:
    """The request in one of the many spellings that must mean the same."""
    node = _respelled(tree(request, proto_names=chance.random() < 0.2), chance)
    return json.dumps(node, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, None, 1, "\t"]),
                      separators=chance.choice([(",", ":"), (" , ", " : ")])).encode("utf-8")


def _respelled(node, chance: random.Random, key: str = ""):
    if isinstance(node, dict):
        members = [(name, _respelled(value, chance, name)) for name, value in node.items()]
        members += [(f"future{number}", chance.choice(_UNKNOWN)) for number in range(chance.choice([0, 0, 0, 1, 2]))]
        chance.shuffle(members)
        return dict(members)
    if isinstance(node, list):
        return [_respelled(item, chance, key) for item in node]
    if key in _IDS:
        return chance.choice([str.lower, str.upper])(node)
    if key in ("bytesValue", "bytes_value"):
        alphabet = node if chance.random() < 0.5 else node.replace("+", "-").replace("/", "_")
        return alphabet if chance.random() < 0.5 else alphabet.rstrip("=")
    if key.lower().replace("_", "").endswith(("unixnano", "intvalue")) and chance.random() < 0.5:
        return int(node)
    if key.lower().endswith("count") and chance.random() < 0.5:
        return str(node)
    return node


# --- Random messages -------------------------------------------------------------------------------------------------

_ALPHABET = ["a", "Z", "0", " ", "é", "€", "送", "😀", "\"", "\\", "/", "\n", "\0", "\x1f", "\x7f", "\uffff", "plain text, rather long"]
_IDENTIFIER_BYTES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_VALUE_DEPTH_MAX = 5


def random_request(chance: random.Random) -> ExportTraceServiceRequest:
    """Any field of any message may be there, with any value; ids are good ones, and there is a span at least."""
    request = ExportTraceServiceRequest()
    while not any(scope.spans for resource in request.resource_spans for scope in resource.scope_spans):
        request.Clear()
        _fill(request, chance, 0)
    return request


def _fill(message: Message, chance: random.Random, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        is_needed = field.name in ("trace_id", "span_id") and message.DESCRIPTOR.name == "Span"
        if not is_needed and (field.containing_oneof or chance.random() < 0.2):
            continue
        _set(message, field, chance, depth)
    for oneof in message.DESCRIPTOR.oneofs:
        if chance.random() < 0.9:
            _set(message, chance.choice(oneof.fields), chance, depth)


def _set(message: Message, field, chance: random.Random, depth: int) -> None:
    target = getattr(message, field.name)
    if field.type == field.TYPE_MESSAGE:
        is_value = field.message_type.name in ("ArrayValue", "KeyValueList")
        if is_value and depth >= _VALUE_DEPTH_MAX:
            return
        if not field.is_repeated:
            target.SetInParent()
            _fill(target, chance, depth + is_value)
        else:
            for _ in range(chance.choice([0, 1, 1, 2, 3])):
                _fill(target.add(), chance, depth + is_value)
    elif field.is_repeated:
        target.extend(_scalar(field, chance) for _ in range(chance.randrange(4)))
    else:
        setattr(message, field.name, _scalar(field, chance))


def _scalar(field, chance: random.Random):
    if field.name in _IDENTIFIER_BYTES:
        return b"\1" + chance.randbytes(_IDENTIFIER_BYTES[field.name] - 1)
    if field.type == field.TYPE_STRING:
        return "".join(chance.choices(_ALPHABET, k=chance.choice([0, 1, 5, 20, 200])))
    if field.type == field.TYPE_BYTES:
        return chance.randbytes(chance.randrange(20))
    if field.type == field.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type == field.TYPE_ENUM:
        return chance.choice([*field.enum_type.values_by_number, 77, -1])
    if field.type == field.TYPE_DOUBLE:
        return chance.choice([0.0, -1.5, 0.1, 1e22, 1e300, 5e-324, 1.7976931348623157e308, chance.random(), float(2**63),
                              float("nan"), float("inf"), float("-inf")])
    bits = 64 if field.type in (field.TYPE_FIXED64, field.TYPE_INT64) else 32
    is_signed = field.type in (field.TYPE_INT32, field.TYPE_INT64)
    value = chance.choice([0, 1, 2**bits - 1, chance.getrandbits(bits), chance.getrandbits(bits) >> chance.randrange(bits)])
    return value - 2**bits if is_signed and value >= 2**(bits - 1) else value
