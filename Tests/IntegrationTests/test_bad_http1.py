"""Malformed and hostile HTTP/1.1, byte for byte, each with the answers that RFC 9112 (and 9110) want for it.

After every one of them the collector is up, another client is answered as if nothing had happened, and the counters have
seen exactly the requests that were answered. That last check is what proves that nothing can be smuggled: every hostile
message carries a whole request with spans of its own, where another reader would take it for part of a body.

What the parser does otherwise than the RFC recommends stands beside the entry, with the reason why that is good enough.
"""

from dataclasses import dataclass, field

import pytest

from support.deadline import eventually, holds_for
from support.hostile import HALF_CLOSE, PAUSE, PAUSE_SECONDS, Flood, Ledger, Step, conversation, statuses
from support.http_client import post_traces
from support.otlp import numbered_request

SPANS = 5
BODY = numbered_request(range(SPANS))
MAX_BODY = 1024 * 1024
CHUNKED = b"Transfer-Encoding: chunked"
EMPTY = b"Content-Length: 0"


def length(count: int) -> bytes:
    return b"Content-Length: %d" % count


def message(*lines: bytes, body: bytes = b"", start: bytes = b"POST /v1/traces HTTP/1.1",
            host: bytes | None = b"Host: a") -> bytes:
    head = [start, *([host] if host else []), b"Content-Type: application/x-protobuf", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def chunked(body: bytes) -> bytes:
    """A request whose body is sent as it stands here."""
    return message(CHUNKED, body=body)


GOOD = message(length(len(BODY)), body=BODY)
# Taken for a request only by someone who ends the message before it too early.
HIDDEN = GOOD
LAST_CHUNK = b"0\r\n\r\n"
# An empty body in chunks, and the hidden request behind it; or a body of this many bytes.
ENDS_OR_GOES_ON = LAST_CHUNK + HIDDEN

# What no other request here is answered with, so that it tells whether the connection still takes requests.
PROBE = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
PROBED = 415


@dataclass(frozen=True)
class Case:
    """`answers` are the statuses, in order, all there are. Then the connection is closed by the collector (the answer says
    so), or still good for another request (`stays`), or waits for the rest of what was sent (`waits`)."""
    steps: bytes | list[Step]
    answers: list[int] = field(default_factory=list)
    spans: int = 0
    end: str = "closed"
    # How many of the answers are given to what is no request, and so not in the counters of refused ones.
    unseen: int = 0


def closed(steps: bytes | list[Step], *answers: int, spans: int = 0) -> Case:
    return Case(steps, list(answers), spans, "closed", unseen=sum(status in (400, 501) for status in answers[-1:]))


def stays(steps: bytes | list[Step], *answers: int, spans: int = 0) -> Case:
    return Case(steps, list(answers), spans, "stays")


def waits(steps: bytes | list[Step], *answers: int, spans: int = 0) -> Case:
    """8: who gives up then is told that the message was incomplete."""
    return Case(steps, [*answers, 400], spans, "waits", unseen=1)


def cut(steps: list[Step], *answers: int) -> Case:
    """Closed while the client is sending, so that a reset may overtake the answer."""
    return Case(steps, list(answers), end="cut", unseen=1)


def dripping(data: bytes) -> list[Step]:
    return [bytes([byte]) for byte in data]


# --- Where a message ends: RFC 9112, 6 and 7 ---
# Nobody may see two messages in one, or one in two. 400 and the end of the connection are always right (6.3).

TWO_LENGTHS = {
    "length and chunked": closed(message(length(len(ENDS_OR_GOES_ON)), CHUNKED, body=ENDS_OR_GOES_ON), 400),
    "chunked and length": closed(message(CHUNKED, length(len(ENDS_OR_GOES_ON)), body=ENDS_OR_GOES_ON), 400),
    "chunked and a shorter length": closed(message(CHUNKED, length(4), body=chunk(HIDDEN) + LAST_CHUNK), 400),
    "chunked and length 0": closed(message(CHUNKED, EMPTY, body=ENDS_OR_GOES_ON), 400),
    "lengths 0 and n": closed(message(EMPTY, length(len(HIDDEN)), body=HIDDEN), 400),
    "lengths n and 0": closed(message(length(len(HIDDEN)), EMPTY, body=HIDDEN), 400),
    "lengths in a list": closed(message(b"Content-Length: 0, %d" % len(HIDDEN), body=HIDDEN), 400),
    # 6.3: equal ones may be taken for one. The parser does not, and no client sends them.
    "the same length twice": closed(message(EMPTY, EMPTY, body=HIDDEN), 400),
    "the same length in a list": closed(message(b"Content-Length: 0, 0", body=HIDDEN), 400),
    "length of a GET": stays(message(length(len(HIDDEN)), body=HIDDEN, start=b"GET /v1/traces HTTP/1.1"), 405),
    "length of a HEAD": stays(message(length(len(HIDDEN)), body=HIDDEN, start=b"HEAD /v1/traces HTTP/1.1"), 405),
    "length of a refused path": stays(message(length(len(HIDDEN)), body=HIDDEN, start=b"POST /x HTTP/1.1"), 404),
    # 6.3: a request with neither has no body, so what follows is the next request.
    "no length": stays(message() + GOOD, 200, 200, spans=SPANS),
}

# 6.1: "SHOULD respond with 501" to codings that are not understood; 400 where chunked is not the last one (6.3).
TRANSFER_CODINGS = {
    b"chunked, chunked": 400, b"chunked, identity": 400, b"chunked, gzip": 400, b"chunked,": 400, b"identity": 501,
    b"gzip": 501, b"gzip, chunked": 501, b"identity, chunked": 501, b",chunked": 501, b"": 501, b"xchunked": 501,
    b"chunkedx": 501, b"chunk": 501, b'"chunked"': 501, b"chunked;q=1": 501, b"\xa0chunked": 501,
    b"\x0bchunked": 400, b"chunked\x0b": 400, b"chunked\x00": 400,
}
WRONG_CODINGS = {
    f"coding {coding!r}": closed(message(b"Transfer-Encoding: " + coding, body=ENDS_OR_GOES_ON), status)
    for coding, status in TRANSFER_CODINGS.items()
} | {
    # The parser refuses the two together, but for an empty coding, which it takes for none.
    f"coding {coding!r} and a length": closed(
        message(b"Transfer-Encoding: " + coding, length(len(ENDS_OR_GOES_ON)), body=ENDS_OR_GOES_ON), 400 if coding else 501)
    for coding in TRANSFER_CODINGS
} | {
    "two lines of chunked": closed(message(CHUNKED, CHUNKED, body=ENDS_OR_GOES_ON), 400),
    "identity, then chunked": closed(message(b"Transfer-Encoding: identity", CHUNKED, body=ENDS_OR_GOES_ON), 501),
    "chunked, then identity": closed(message(CHUNKED, b"Transfer-Encoding: identity", body=ENDS_OR_GOES_ON), 400),
    # 7: names of codings are case-insensitive. 5: spaces around a value don't belong to it.
    "Chunked": stays(message(b"Transfer-Encoding: Chunked", body=ENDS_OR_GOES_ON), 200, 200, spans=SPANS),
    "chunked and spaces": stays(message(b"Transfer-Encoding:   chunked  ", body=ENDS_OR_GOES_ON), 200, 200, spans=SPANS),
    # 6.1: in HTTP/1.0 "the message framing is faulty", so the connection ends.
    "chunked in HTTP/1.0": closed(message(CHUNKED, body=ENDS_OR_GOES_ON, start=b"POST /v1/traces HTTP/1.0"), 400),
    "chunked in a kept HTTP/1.0": closed(
        message(CHUNKED, b"Connection: keep-alive", body=ENDS_OR_GOES_ON, start=b"POST /v1/traces HTTP/1.0"), 400),
}

# 6.2: digits and nothing else. What comes behind would be a request to a server that reads a smaller number.
BAD_LENGTHS = {
    f"length {value!r}": closed(message(b"Content-Length: " + value, body=HIDDEN), 400)
    for value in [b"-%d" % len(HIDDEN), b"+%d" % len(HIDDEN), b"0x5", b"5 5", b"5,", b",5", b"", b" ", b"1e1", b"5;", b'"5"',
                  b"5.0", b"\xb2", b"5\x00", b"5\x0b", b"1_0", b"%d" % 2**64, b"%d" % (2**64 + len(HIDDEN)), b"9" * 40]
} | {
    "length with leading zeros": stays(message(b"Content-Length: 000%d" % len(BODY), body=BODY), 200, spans=SPANS),
    "length and spaces": stays(message(b"Content-Length:  %d  " % len(BODY), body=BODY), 200, spans=SPANS),
    # Refused by the head; who goes on sending can read the answer for two seconds.
    "length 2^63 - 1": closed([message(length(2**63 - 1), body=HIDDEN), HALF_CLOSE], 413),
    "length 2^64 - 1": closed([message(length(2**64 - 1), body=HIDDEN), HALF_CLOSE], 413),
    "length too short": closed(message(length(len(BODY) - 1), body=BODY), 400, 400),
    "length too long": waits(message(length(len(BODY) + 1), body=BODY)),
}

# 7.1: a size is hexadecimal digits. `5` bytes of an unknown field of the request follow: good protobuf.
FIVE_BYTES = b"\x12\x03abc"
BAD_CHUNKS = {
    f"chunk size {size!r}": closed(chunked(size + b"\r\n" + FIVE_BYTES + b"\r\n" + ENDS_OR_GOES_ON), 400)
    for size in [b"-5", b"+5", b"0x5", b"5 ", b" 5", b"5\t", b"5 ;x", b"5,5", b"5\x00", b"g", b"", b"1" + b"0" * 16, b"f" * 17]
} | {
    # No more is set aside than comes: the limit counts the bytes, not what is announced.
    f"chunk size {size!r}": waits(chunked(size + b"\r\n" + FIVE_BYTES))
    for size in [b"7" + b"f" * 15, b"8" + b"0" * 15, b"f" * 16]
} | {
    "chunk with leading zeros": stays(chunked(b"0" * 40 + b"5\r\n" + FIVE_BYTES + b"\r\n" + LAST_CHUNK), 200),
    # 7.1.1: unknown extensions are ignored.
    "chunk with an extension": stays(chunked(b'5;a=b;c="d"\r\n' + FIVE_BYTES + b"\r\n" + LAST_CHUNK), 200),
    # "Ought to be limited": they are dropped as they come and cost no memory, and the time for a request is limited.
    "chunk with a very long extension": stays(chunked(b"0;" + b"x" * 300_000 + b"\r\n\r\n"), 200),
    "last chunk and LF": closed(chunked(b"0\n\n" + HIDDEN), 400),
    "last chunk, LF and CRLF": closed(chunked(b"0\n\r\n" + HIDDEN), 400),
    "last chunk, CRLF and LF": closed(chunked(b"0\r\n\n" + HIDDEN), 400),
    "LF in an extension": closed(chunked(b"0;\nx\r\n\r\n" + HIDDEN), 400),
    "CR in an extension": closed(chunked(b"0;\rx\r\n\r\n" + HIDDEN), 400),
    "chunk without an end": closed(chunked(b"5\r\n" + FIVE_BYTES + ENDS_OR_GOES_ON), 400),
    "chunk longer than its size": closed(chunked(b"4\r\n" + FIVE_BYTES + b"\r\n" + ENDS_OR_GOES_ON), 400),
    "chunk that ends in LF": closed(chunked(b"5\r\n" + FIVE_BYTES + b"\n" + ENDS_OR_GOES_ON), 400),
    "chunk size alone": waits(chunked(b"5\r\n")),
    "trailers": stays(chunked(b"0\r\nX: y\r\nDigest: z\r\n\r\n") + GOOD, 200, 200, spans=SPANS),
    # 6.5.1: framing has no place in trailers. They may be ignored as well; the parser refuses them.
    "length in trailers": closed(chunked(b"0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN), 400),
    "coding in trailers": closed(chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n" + ENDS_OR_GOES_ON), 400),
    "trailers that are none": closed(chunked(b"0\r\nX y\r\n\r\n" + HIDDEN), 400),
    "body too large in chunks": stays(chunked(chunk(bytes(MAX_BODY // 2)) * 3 + LAST_CHUNK), 413),
}

# --- Lines: RFC 9112, 2.2 and 5 ---

def hiding(*lines: bytes) -> bytes:
    """A length that covers the hidden request, beside something that may or may not be a transfer coding."""
    return message(*lines, length(len(ENDS_OR_GOES_ON)), body=ENDS_OR_GOES_ON)


BAD_LINES = {
    # 5.1: "MUST reject with 400".
    "space before the colon": closed(hiding(b"Transfer-Encoding : chunked"), 400),
    "tab before the colon": closed(hiding(b"Transfer-Encoding\t: chunked"), 400),
    "space before the colon of a length": closed(message(b"Content-Length : %d" % len(HIDDEN), body=HIDDEN), 400),
    # 5.2: folded lines are rejected or joined.
    "folded coding": closed(hiding(b"Transfer-Encoding:\r\n chunked"), 400),
    "folded line": closed(message(b"X: a\r\n b", EMPTY), 400),
    "folded first line": closed(message(EMPTY, start=b"POST /v1/traces HTTP/1.1\r\n X: a"), 400),
    "line that begins with a space": closed(hiding(b" Transfer-Encoding: chunked"), 400),
    # 2.2: a single LF may end a line; the parser does not think so. CR alone never does.
    "LF alone": closed(hiding(b"X: y\nTransfer-Encoding: chunked"), 400),
    "LF alone everywhere": closed(message(EMPTY).replace(b"\r\n", b"\n"), 400),
    "LF in the request line": closed(message(EMPTY, start=b"POST /v1/traces HTTP/1.1\nX: y"), 400),
    "CR alone": closed(hiding(b"X: y\rTransfer-Encoding: chunked"), 400),
    "CR CR LF": closed(message(b"X: y\r", EMPTY), 400),
    "LF CR": closed(hiding(b"X: y\n\rTransfer-Encoding: chunked"), 400),
    "NUL in a value": closed(hiding(b"X: a\0\r\nTransfer-Encoding: chunked"), 400),
    "control character in a value": closed(message(b"X: a\x01b", EMPTY), 400),
    "DEL in a value": closed(message(b"X: a\x7fb", EMPTY), 400),
    "bytes above 127 in a value": stays(message(b"X: \xe9\xff\x80", EMPTY), 200),
    "NUL in a name": closed(message(b"X\0: a", EMPTY), 400),
    "space in a name": closed(hiding(b"Transfer Encoding: chunked"), 400),
    "byte above 127 in a name": closed(message(b"X\xe9: a", EMPTY), 400),
    "brackets in a name": closed(message(b"X[]: a", EMPTY), 400),
    "empty name": closed(message(b": a", EMPTY), 400),
    "no colon": closed(message(b"nonsense", EMPTY), 400),
    "name of another field": stays(
        message(b"Transfer_Encoding: chunked", b"X-Content-Length: 7", EMPTY) + GOOD, 200, 200, spans=SPANS),
    "8 KiB in a line": stays(message(b"X: " + b"y" * 8192, EMPTY), 200),
    "100 lines": stays(message(*[b"X%d: y" % number for number in range(100)], EMPTY), 200),
    # Small enough that all is read, and the answer not lost in a reset. 431 would be the better status.
    "100 KB in a line": closed(message(b"X: " + b"y" * 100_000), 400),
    "100 KB in a name": closed(message(b"X" * 100_000 + b": y"), 400),
    "300 lines": closed(message(*[b"X: y"] * 300), 400),
    "300 trailers": closed(chunked(b"0\r\n" + b"X: y\r\n" * 300 + b"\r\n"), 400),
    "lines without end": cut([b"POST /v1/traces HTTP/1.1\r\n", Flood(b"X: y\r\n" * 1000)], 400),
    "a line without end": cut([b"POST /v1/traces HTTP/1.1\r\nX: ", Flood(b"y" * 10_000)], 400),
    "a target without end": cut([b"POST /", Flood(b"y" * 10_000)], 400),
}

# --- The request line, Host: RFC 9112, 3 ---

STARTS = {
    b"POST /v1/traces HTTP/1.1": stays, b"POST /v1/traces?a=b&c HTTP/1.1": stays,
    # 2.2: empty lines before are ignored. 3: so may several spaces be.
    b"\r\nPOST /v1/traces HTTP/1.1": stays, b"\r\n\r\n\r\nPOST /v1/traces HTTP/1.1": stays,
    b"POST  /v1/traces  HTTP/1.1": stays,
    # 3.2.2: "a server MUST accept the absolute-form".
    b"POST http://localhost/v1/traces HTTP/1.1": stays, b"POST HTTP://a:80/v1/traces?b HTTP/1.1": stays,
}
BAD_STARTS = {
    # 9110, 9.1: methods are case-sensitive, and unknown ones deserve a 501. The parser knows a list, and says 400.
    b"post /v1/traces HTTP/1.1": 400, b"FOO /v1/traces HTTP/1.1": 400, b"POSTS /v1/traces HTTP/1.1": 400,
    b"/v1/traces HTTP/1.1": 400,
    # 505 would be the better status for these.
    b"POST /v1/traces": 400, b"POST /v1/traces HTTP/0.9": 400, b"POST /v1/traces HTTP/1.2": 400, b"POST /v1/traces HTTP/2.0": 400,
    b"POST /v1/traces HTTP/3.0": 400, b"POST /v1/traces HTTP/1.10": 400, b"POST /v1/traces http/1.1": 400,
    b"POST /v1/traces HTTP/ 1.1": 400, b"POST /v1/traces HTTP/1.": 400, b"POST /v1/traces HTTP/1.1 ": 400,
    b"POST\t/v1/traces\tHTTP/1.1": 400, b" POST /v1/traces HTTP/1.1": 400, b"POST  HTTP/1.1": 400,
    b"POST v1/traces HTTP/1.1": 400,
    b"POST /v1/tra ces HTTP/1.1": 400, b"POST /v1/tra\0ces HTTP/1.1": 400, b"POST /v1/traces\xe9 HTTP/1.1": 400,
    b"POST localhost:80 HTTP/1.1": 400, b"POST https:/v1/traces HTTP/1.1": 400, b"POST /" + b"a" * 100_000 + b" HTTP/1.1": 400,
    b"PRI * HTTP/1.1": 400, b"PRI * HTTP/2.0": 400,
}
OTHER_PATHS = [b"//v1/traces", b"/./v1/traces", b"/v1/../v1/traces", b"/v1%2Ftraces", b"/v1/traces/", b"/v1/traces#f", b"*",
               b"http://a", b"http://a?/v1/traces"]

REQUEST_LINES = {repr(start[:60]): make(message(EMPTY, start=start), 200) for start, make in STARTS.items()} | {
    repr(start[:60]): closed(message(EMPTY, start=start), status) for start, status in BAD_STARTS.items()
} | {
    repr(path): stays(message(EMPTY, start=b"POST " + path + b" HTTP/1.1"), 404) for path in OTHER_PATHS
} | {
    "HTTP/0.9": waits(b"GET /v1/traces\r\n"),
    "HTTP/0.9 and an empty line": closed(b"GET /v1/traces\r\n\r\n", 400),
    "HTTP/1.0": closed(
        message(length(len(BODY)), body=BODY, start=b"POST /v1/traces HTTP/1.0", host=None) + GOOD, 200, spans=SPANS),
    "kept HTTP/1.0": stays(message(EMPTY, b"Connection: keep-alive", start=b"POST /v1/traces HTTP/1.0", host=None), 200),
    "OPTIONS *": stays(message(EMPTY, start=b"OPTIONS * HTTP/1.1"), 404),
    # No tunnel: what follows is not read.
    "CONNECT": closed(message(start=b"CONNECT a:80 HTTP/1.1") + HIDDEN, 404),
    # The parser speaks these, too; the methods are not ours.
    "RTSP": closed(message(EMPTY, start=b"DESCRIBE /v1/traces RTSP/1.0"), 405),
    # 3.2: "MUST respond with a 400" to none and to several. What it says does not matter here: there is one host.
    "no Host": closed(message(length(len(HIDDEN)), body=HIDDEN, host=None), 400),
    "two Hosts": closed(message(EMPTY, host=b"Host: a\r\nHost: b") + HIDDEN, 400),
    "the same Host twice": closed(message(EMPTY, host=b"Host: a\r\nHost: a"), 400),
    "an empty Host": stays(message(EMPTY, host=b"Host:"), 200),
    # Clients on unix sockets send what they like.
    "the Host of a unix socket": stays(message(EMPTY, host=b"Host: %2Frun%2Fotlp.sock"), 200),
}

# --- Connections: RFC 9112, 9; RFC 9110, 7.8 and 10.1.1 ---

CONNECTIONS = {
    "three in a row": stays(GOOD * 3, 200, 200, 200, spans=3 * SPANS),
    "good, bad bytes, good": stays(GOOD + message(length(1), body=b"\xff") + GOOD, 200, 400, 200, spans=2 * SPANS),
    "good, no HTTP, good": closed(GOOD + b"BAD\r\n\r\n" + GOOD, 200, 400, spans=SPANS),
    "good, refused, good": stays(
        GOOD + message(length(9), body=b"\0" * 9, start=b"PUT /x HTTP/1.1") + GOOD, 200, 404, 200, spans=2 * SPANS),
    # 9.6: "MUST NOT process any further requests".
    "close, then another": closed(message(EMPTY, b"Connection: close") + HIDDEN, 200),
    "Close in a list, then another": closed(message(EMPTY, b"Connection: TE, Close") + HIDDEN, 200),
    # 7.8: the offer may be ignored. The parser can't go on behind it, so the connection ends with the answer.
    "upgrade to h2c": closed(message(EMPTY, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                                     b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA") + HIDDEN, 200),
    "upgrade with a body": closed(
        message(length(len(BODY)), b"Connection: Upgrade", b"Upgrade: h2c", body=BODY) + HIDDEN, 200, spans=SPANS),
    "upgrade with chunks": closed(
        message(CHUNKED, b"Connection: Upgrade", b"Upgrade: x", body=chunk(BODY) + LAST_CHUNK) + HIDDEN, 200, spans=SPANS),
    "upgrade that is not in Connection": closed(message(EMPTY, b"Upgrade: h2c") + HIDDEN, 200),
    "Connection: Upgrade alone": stays(message(EMPTY, b"Connection: Upgrade") + GOOD, 200, 200, spans=SPANS),
    "HTTP/2 behind an answer": closed(
        GOOD + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 200, 400, spans=SPANS),
    # 10.1.1: who sends without waiting may be spared the 100. Other expectations may be ignored.
    "expect, and send": stays(message(length(len(BODY)), b"Expect: 100-continue", body=BODY), 100, 200, spans=SPANS),
    "Expect, and chunks": stays(message(CHUNKED, b"Expect: 100-Continue", body=chunk(BODY) + LAST_CHUNK), 100, 200, spans=SPANS),
    "expect without a body": stays(message(EMPTY, b"Expect: 100-continue"), 100, 200),
    "expect in HTTP/1.0": closed(
        message(length(len(BODY)), b"Expect: 100-continue", body=BODY, start=b"POST /v1/traces HTTP/1.0"), 200, spans=SPANS),
    "expect something else": stays(message(length(len(BODY)), b"Expect: the-impossible", body=BODY), 200, spans=SPANS),
    "expect, and be refused": closed(
        message(length(len(HIDDEN)), b"Expect: 100-continue", body=HIDDEN, start=b"POST /x HTTP/1.1"), 404),
    # One answer, although the parser has something to say about the rest.
    "expect, be refused, and send no chunks": closed(
        message(CHUNKED, b"Expect: 100-continue", body=b"zz\r\n" + HIDDEN, start=b"POST /x HTTP/1.1"), 404),
    # 9110, 8.4: two lines are a list of two codings.
    "two lines of content codings": stays(
        message(length(len(BODY)), b"Content-Encoding: identity", b"Content-Encoding: gzip", body=BODY), 415),
}

# --- Half a request, and slowly ---

HALVES = {
    "one byte": waits(b"G"),
    # May still become HTTP/2, whose beginning needs no answer.
    "one byte of either protocol": closed([b"P", HALF_CLOSE]),
    "half a request line": waits(b"POST /v1/tra"),
    "a head without an end": waits(message(EMPTY)[:-2]),
    "a head without its body": waits(message(length(len(BODY)))),
    "half a body": waits(message(length(len(BODY)), body=BODY[:50])),
    "half a chunk": waits(chunked(b"5\r\n" + FIVE_BYTES[:3])),
    "chunks without a last one": waits(chunked(chunk(BODY))),
    "half of a second request": waits(GOOD + GOOD[:-1], 200, spans=SPANS),
    "a request byte by byte": stays(dripping(GOOD), 200, spans=SPANS),
    "chunks byte by byte": stays(
        dripping(chunked(b"".join(chunk(BODY[at:at + 1]) for at in range(40)) + chunk(BODY[40:]) + LAST_CHUNK)), 200, spans=SPANS),
    "pauses at the worst places": stays(
        [b"POST /v1/traces HTTP/1.1\r", PAUSE, b"\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Le", PAUSE,
         b"ngth: %d\r\n\r" % len(BODY), PAUSE, b"\n" + BODY[:1], PAUSE, BODY[1:]], 200, spans=SPANS),
    "half-closed at once": closed([HALF_CLOSE]),
    # 8: an incomplete request may be answered before the end.
    "half-closed in the head": closed([GOOD[:40], HALF_CLOSE], 400),
    "half-closed in the body": closed([GOOD[:-1], HALF_CLOSE], 400),
    "half-closed in a chunk": closed([chunked(chunk(BODY)[:-9]), HALF_CLOSE], 400),
    "half-closed behind a request": closed([GOOD * 2, HALF_CLOSE], 200, 200, spans=2 * SPANS),
    "half-closed behind a request that is refused": closed([message(EMPTY, start=b"POST /x HTTP/1.1"), HALF_CLOSE], 404),
}

# --- No HTTP at all ---

NO_HTTP = {
    "ClientHello of TLS": closed(bytes.fromhex("16030100c6010000c20303") + bytes(range(187)), 400),
    "SSH": closed(b"SSH-2.0-OpenSSH_9.2p1\r\n", 400),
    "SMTP": closed(b"EHLO mail.example\r\n", 400),
    "Redis": closed(b"*1\r\n$4\r\nPING\r\n", 400),
    "PROXY protocol": closed(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + HIDDEN, 400),
    "zeros": closed(bytes(1000), 400),
    "ones": closed(b"\xff" * 1000, 400),
    "a request in UTF-16": closed(GOOD[:60].decode().encode("utf-16"), 400),
    "protobuf alone": closed(BODY, 400),
    "zeros without end": cut([Flood(bytes(10_000))], 400),
}

GROUPS = {
    "lengths": TWO_LENGTHS, "codings": WRONG_CODINGS, "numbers": BAD_LENGTHS, "chunks": BAD_CHUNKS, "lines": BAD_LINES,
    "starts": REQUEST_LINES, "connections": CONNECTIONS, "halves": HALVES, "no http": NO_HTTP,
}
CASES = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}
assert len(CASES) == sum(len(cases) for cases in GROUPS.values())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_bad_message_is_answered_as_one_and_bothers_nobody(shared_collector, neighbour, transport, name):
    case = CASES[name]
    ledger = Ledger(shared_collector)
    steps = [case.steps] if isinstance(case.steps, bytes) else list(case.steps)
    expected = list(case.answers)
    if case.end == "stays":
        steps.append(PROBE)
        expected.append(PROBED)
    with conversation(getattr(shared_collector, transport), steps) as hostile:
        neighbour.must_be_well(f"while {name} is going on")
        if case.end == "waits":
            assert_waits(hostile, case)
        assert hostile.wait(), f"expected the connection to be closed, got {hostile.received[:300]!r} and nothing more"
        found = statuses(hostile.received)
    if case.end != "cut" or found:
        assert found == expected, f"expected {expected}, got {found}: {hostile.received[:300]!r}"
    if case.end == "closed" and found and HALF_CLOSE not in steps:
        last = hostile.received.rpartition(b"HTTP/1.1 ")[2].lower()
        assert b"connection: close" in last or b"http/1.0" in last, f"expected the last answer to say that it is, got {last!r}"
    neighbour.must_be_well(f"after {name}")
    assert ledger.spans == case.spans, f"expected {case.spans} spans to be seen, there were {ledger.spans}"
    # What was seen is what was answered: no answer stands for two requests, no request went without.
    refused = max(sum(status >= 400 for status in found) - case.unseen, 0)
    assert ledger.refusals == refused, f"expected {refused} refused requests to be counted, there were {ledger.refusals}"


def assert_waits(hostile, case: Case) -> None:
    """No answer to what is not complete, and an end when the client gives up."""
    is_waiting = lambda: not hostile.is_closed and statuses(hostile.received) == case.answers[:-1]
    eventually(f"{case.answers[:-1]} and no end", is_waiting)
    holds_for(f"{case.answers[:-1]} and no end", is_waiting, seconds=PAUSE_SECONDS, every=0.01)
    hostile.half_close()


def test_the_collector_answers_as_ever(shared_collector, neighbour):
    for endpoint in (shared_collector.tcp, shared_collector.unix):
        assert post_traces(endpoint, BODY).status == 200
    neighbour.must_be_counted()
