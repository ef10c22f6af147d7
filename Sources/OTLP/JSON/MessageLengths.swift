import ProtobufWire
import Text

/// The lengths of nested messages that are written before they are known.
///
/// ```
/// while writing    tag │ 0 │ content …        one byte is set aside for each length
/// when it closes   tag │ n │ content          fewer than 128 bytes: the length goes there
///                  tag │ 0 │ content          else it is remembered as a gap: position, length
/// at the end       tag │ n n n │ content      one pass from the back opens the gaps
/// ```
/// Each byte therefore moves once at most, however deep it lies. Moving the content of a message whenever one closes
/// would move the 16 MiB of a hostile request 200 times.
struct MessageLengths {
    private struct Gap {
        let position: Int
        let length: Int
    }

    /// An open message.
    struct Mark {
        fileprivate let position: Int
        /// The number of gaps when it opened: later ones lie within it.
        fileprivate let gaps: Int
        fileprivate let widening: Int
    }

    /// The gaps in the order in which the messages were closed.
    private var gaps: [Gap] = []
    /// The number of bytes that the gaps will add.
    private var widening = 0

    /// The number of gaps that are kept for the next request; each takes 16 bytes.
    private static let maxKeptGaps = 65_536

    mutating func reset() {
        if gaps.capacity > Self.maxKeptGaps { gaps = [] } else { gaps.removeAll(keepingCapacity: true) }
        widening = 0
    }

    /// Begins a message, behind its tag.
    @inline(__always)
    func open(in output: inout GrowingBytes) -> Mark {
        let mark = Mark(position: output.count, gaps: gaps.count, widening: widening)
        output.append(0)
        return mark
    }

    @inline(__always)
    mutating func close(_ mark: Mark, in output: inout GrowingBytes) {
        let length = output.count - mark.position - 1 + widening - mark.widening
        if length < 0x80 {
            output.set(UInt8(truncatingIfNeeded: length), at: mark.position)
        } else {
            gaps.append(Gap(position: mark.position, length: length))
            widening += Varint.size(UInt64(length)) - 1
        }
    }

    /// Returns the place where the next message would begin with its tag, for `clear` to remove all of it.
    @inline(__always)
    func mark(in output: borrowing GrowingBytes) -> Mark {
        Mark(position: output.count - 1, gaps: gaps.count, widening: widening)
    }

    /// Removes the content that an open message has got so far.
    @inline(__always)
    mutating func clear(_ mark: Mark, in output: inout GrowingBytes) {
        output.truncate(to: mark.position + 1)
        if gaps.count > mark.gaps { gaps.removeLast(gaps.count - mark.gaps) }
        widening = mark.widening
    }

    /// Opens the gaps. All messages must be closed.
    mutating func finish(_ output: inout GrowingBytes) {
        var end = output.count
        output.append(zeros: widening)
        gaps.sort { $0.position > $1.position }
        for gap in gaps {
            output.copy(gap.position + 1..<end, to: gap.position + 1 + widening)
            widening -= Varint.size(UInt64(gap.length)) - 1
            output.set(varint: UInt64(gap.length), at: gap.position + widening)
            end = gap.position
        }
        reset()
    }
}
