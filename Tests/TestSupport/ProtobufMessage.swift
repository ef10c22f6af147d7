import ProtobufWire

/// A protobuf message, read by the field numbers alone.
package struct Message {
    package private(set) var numbers: [Int: [UInt64]] = [:]
    package private(set) var bytes: [Int: [[UInt8]]] = [:]

    package init(_ encoded: [UInt8]) throws {
        try encoded.withUnsafeBytes { buffer in
            var reader = WireReader(buffer)
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                switch type {
                case .varint: numbers[field, default: []].append(try reader.varint())
                case .fixed64: numbers[field, default: []].append(try reader.fixed64())
                default: bytes[field, default: []].append([UInt8](try reader.bytes()))
                }
            }
        }
    }

    /// Messages one after the other, each after its length.
    package static func delimited(_ encoded: [UInt8]) throws -> [Message] {
        try encoded.withUnsafeBytes { buffer in
            var reader = WireReader(buffer)
            var found: [Message] = []
            while !reader.isAtEnd { found.append(try Message([UInt8](try reader.bytes()))) }
            return found
        }
    }

    package func text(_ field: Int) -> String? { bytes[field]?.first.map { String(decoding: $0, as: UTF8.self) } }
    package func double(_ field: Int) -> Double? { numbers[field]?.first.map { Double(bitPattern: $0) } }
    package func signed(_ field: Int) -> Int? { numbers[field]?.first.map(Self.unzigzag) }
    package func messages(_ field: Int) throws -> [Message] { try (bytes[field] ?? []).map { try Message($0) } }

    private static func unzigzag(_ value: UInt64) -> Int { Int(value >> 1) ^ -Int(value & 1) }

    package func packedSigned(_ field: Int) throws -> [Int] {
        try (bytes[field] ?? []).flatMap { packed in
            try packed.withUnsafeBytes { buffer in
                var reader = WireReader(buffer)
                var found: [Int] = []
                while !reader.isAtEnd { found.append(Self.unzigzag(try reader.varint())) }
                return found
            }
        }
    }
}
