import JSON

/// Writes nested protobuf messages in one go, their lengths not known beforehand.
///
/// ```
/// while writing    tag │ 0 │ content …        one byte is set aside for each length
/// when it closes   tag │ n │ content          fewer than 128 bytes: the length goes there
///                  tag │ 0 │ content          else it is noted as a gap: position, length
/// at the end       tag │ n n n │ content      one pass from the back opens the gaps
/// ```
/// So the lengths come out as short as they can be, and each byte moves once at most, however deep it lies. (To move
/// the content whenever a message closes would move it once per level; lengths of a fixed five bytes would double the
/// small messages that attributes are made of; to measure first would be a second parse.)
///
/// Gaps are kept in the order of their positions for free: a place is taken when a message opens, and given back when it
/// closes short, since all that opened behind it are then short as well.
struct MessageWriter: ~Copyable {
    private struct Gap {
        let position: Int
        var length: Int
    }

    /// An open message.
    struct Mark {
        fileprivate let lengthPosition: Int
        fileprivate let gapIndex: Int
        fileprivate let widening: Int
    }

    private static let gapSize = MemoryLayout<Gap>.stride
    private static let maxTagAndLength = 2 + 10

    private var output = GrowingBytes()
    private var gaps = GrowingBytes()
    /// Bytes that the gaps will add.
    private var widening = 0

    var bytes: UnsafeRawBufferPointer { output.bytes }

    mutating func reset(keepingAtMost maxKept: Int) {
        output.reset(keepingAtMost: maxKept)
        gaps.reset(keepingAtMost: maxKept)
        widening = 0
    }

    // MARK: Fields. A tag is its varint, read as a little-endian number.

    @inline(__always)
    private mutating func put(tag: UInt16) {
        if tag > 0xFF { output.put(word: tag) } else { output.put(UInt8(truncatingIfNeeded: tag)) }
    }

    @inline(__always)
    mutating func varint(_ tag: UInt16, _ value: UInt64) {
        output.reserve(Self.maxTagAndLength)
        put(tag: tag)
        output.put(varint: value)
    }

    @inline(__always)
    mutating func fixed<Word: FixedWidthInteger & BitwiseCopyable>(_ tag: UInt16, _ value: Word) {
        output.reserve(Self.maxTagAndLength)
        put(tag: tag)
        output.put(word: value)
    }

    @inline(__always)
    mutating func data(_ tag: UInt16, _ value: UnsafeRawBufferPointer) {
        output.reserve(Self.maxTagAndLength + value.count)
        put(tag: tag)
        output.put(varint: UInt64(value.count))
        output.put(value)
    }

    // MARK: Nested messages

    @inline(__always)
    mutating func open(_ tag: UInt16) -> Mark {
        output.reserve(Self.maxTagAndLength)
        put(tag: tag)
        let mark = Mark(lengthPosition: output.count, gapIndex: gaps.count, widening: widening)
        output.put(0)
        gaps.reserve(Self.gapSize)
        (gaps.base + gaps.count).storeBytes(of: Gap(position: mark.lengthPosition, length: 0), as: Gap.self)
        gaps.truncate(to: gaps.count + Self.gapSize)
        return mark
    }

    @inline(__always)
    mutating func close(_ mark: Mark) {
        let length = output.count - mark.lengthPosition - 1 + widening - mark.widening
        if length < 0x80 {
            output.set(UInt8(truncatingIfNeeded: length), at: mark.lengthPosition)
            gaps.truncate(to: mark.gapIndex)
        } else {
            (gaps.base + mark.gapIndex).storeBytes(of: Gap(position: mark.lengthPosition, length: length), as: Gap.self)
            widening += Self.width(length) - 1
        }
    }

    /// Takes back what an open message has got so far.
    mutating func clear(_ mark: Mark) {
        output.truncate(to: mark.lengthPosition + 1)
        gaps.truncate(to: mark.gapIndex + Self.gapSize)
        widening = mark.widening
    }

    /// Opens the gaps. Nothing may be open or be written any more.
    mutating func finish() {
        let end = output.count
        output.reserve(widening)
        output.truncate(to: end + widening)
        var segmentEnd = end
        var distance = widening
        var index = gaps.count
        while index > 0 {
            index -= Self.gapSize
            let gap = gaps.base.load(fromByteOffset: index, as: Gap.self)
            output.move(gap.position + 1..<segmentEnd, by: distance)
            let width = Self.width(gap.length)
            distance -= width - 1
            write(gap.length, width: width, at: gap.position + distance)
            segmentEnd = gap.position
        }
        gaps.truncate(to: 0)
        widening = 0
    }

    private mutating func write(_ length: Int, width: Int, at position: Int) {
        var rest = length
        for offset in 0..<width {
            let more: UInt8 = offset + 1 < width ? 0x80 : 0
            output.set(UInt8(truncatingIfNeeded: rest & 0x7F) | more, at: position + offset)
            rest >>= 7
        }
    }

    /// Bytes of a varint.
    private static func width(_ length: Int) -> Int {
        max(1, (Int.bitWidth - length.leadingZeroBitCount + 6) / 7)
    }
}
