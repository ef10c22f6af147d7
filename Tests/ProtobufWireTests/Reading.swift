import ProtobufWire

/// Runs `body` on a reader of `bytes`.
func withReader<Result>(_ bytes: [UInt8], _ body: (inout WireReader) throws -> Result) throws -> Result {
    try bytes.withUnsafeBytes { buffer in
        var reader = WireReader(buffer)
        return try body(&reader)
    }
}

/// The error that `body` ends with on `bytes`; nil where it ends well.
func wireError<Result>(_ bytes: [UInt8], _ body: (inout WireReader) throws -> Result) -> WireError? {
    do {
        _ = try withReader(bytes, body)
        return nil
    } catch {
        return error as? WireError
    }
}

/// How protobuf writes a varint, by a way other than the one under test: the number as groups of seven bits.
func varint(_ value: UInt64, paddedTo count: Int = 1) -> [UInt8] {
    var groups = (0..<10).map { UInt8(value >> (7 * UInt64($0)) & 0x7F) }
    while groups.count > count, groups.last == 0 { groups.removeLast() }
    return groups.dropLast().map { $0 | 0x80 } + [groups[groups.count - 1]]
}

func tag(_ field: UInt64, _ type: UInt64) -> [UInt8] {
    varint(field * 8 + type)
}

/// Steps over all fields, one after the other; the positions after each.
func walk(_ reader: inout WireReader) throws -> [Int] {
    var positions: [Int] = []
    while !reader.isAtEnd {
        let (field, type) = try reader.tag()
        try reader.skip(type, field: field)
        positions.append(reader.position)
    }
    return positions
}
