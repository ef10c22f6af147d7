import Spool

/// The bounds for dividing a request. Each half repeats its resource. If that is most of it, halves are hardly smaller
/// than the whole, and further division would send it again with each span. The parts of a request together therefore
/// have a few times its bytes at most, and 1 MiB.
struct Division {
    /// The bytes that the parts of a request may repeat, beside those that are less than half of a part.
    static let maxRepeatedBytes = 1 << 20

    let wholeBytes: Int
    /// The share of `maxRepeatedBytes` that this half has.
    let repeatableBytes: Int
}

extension Delivery {
    /// Returns the content in two parts: of about the same number of bytes for several frames, of as many spans for a
    /// single one and `bySpans`; nil where it can't be divided so.
    func halves(bySpans: Bool) -> [Delivery]? {
        let (first, second): (SpoolAddress, SpoolAddress)
        var divided: Division?
        switch address {
        case .frames(let frames) where frames.count > 1:
            let middle = Self.middle(of: frames)
            (first, second) = (.frames(Array(frames[..<middle])), .frames(Array(frames[middle...])))
        case .frames(let frames):
            guard bySpans, frames[0].spanCount > 1 else { return nil }
            let middle = frames[0].spanCount / 2
            (first, second) = (.spans(0..<middle, of: frames[0]), .spans(middle..<frames[0].spanCount, of: frames[0]))
            divided = Division(wholeBytes: bytes, repeatableBytes: Division.maxRepeatedBytes / 2)
        case .spans(let range, let frame):
            guard bySpans, range.count > 1 else { return nil }
            let middle = range.lowerBound + range.count / 2
            (first, second) = (
                .spans(range.lowerBound..<middle, of: frame), .spans(middle..<range.upperBound, of: frame)
            )
            let left = repeatableBytes
            if left < 0 { return nil }
            divided = Division(wholeBytes: bytes, repeatableBytes: left / 2)
        }
        return [first, second].map {
            var half = Delivery($0, isFresh: false, acceptedBefore: acceptedBefore)
            half.division = divided
            return half
        }
    }

    /// The bytes that its own parts may repeat. They are below 0 if it is hardly smaller than what it is half of, and
    /// that has gone on too long.
    private var repeatableBytes: Int {
        guard let division else { return Division.maxRepeatedBytes }
        let repeated = 2 * bytes - division.wholeBytes
        return repeated > division.wholeBytes / 2 ? division.repeatableBytes - repeated / 2 : division.repeatableBytes
    }

    /// Returns the place where the second half of some frames begins.
    private static func middle(of frames: [SpoolFrame]) -> Int {
        let total = payloadBytes(of: frames)
        var (index, sum) = (0, frames[0].payloadBytes)
        while index < frames.count - 1 && sum <= total / 2 {
            index += 1
            sum += frames[index].payloadBytes
        }
        return min(max(1, index), frames.count - 1)
    }
}
