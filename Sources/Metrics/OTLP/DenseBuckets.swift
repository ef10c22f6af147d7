/// The native buckets of a histogram as OTLP has them: one number for each bucket from the first to the last, empty
/// ones included.
///
/// ```
/// ours        bucket i: growth^(i-1) < value ≤ growth^i, only those that hold something
/// OTLP        bucket i: growth^i < value ≤ growth^(i+1), so that ours has the number i + 1
/// ```
/// More than 1,024 buckets, a range of 64 powers of two, are never sent: neighbours are merged.
struct DenseBuckets {
    static let maxCount = 1024

    let scale: Int
    /// The number of the first bucket, as OTLP counts.
    let offset: Int
    let isEmpty: Bool
    private let steps: Int

    init(_ histogram: Histogram) {
        let words = histogram.words.span.extracting(histogram.nativeRange)
        isEmpty = words.isEmpty
        guard !words.isEmpty else {
            (scale, offset, steps) = (Int(histogram.schema), 0, 0)
            return
        }
        let first = NativeBucket(words[0]).index
        let last = NativeBucket(words[words.count - 1]).index
        func index(_ fine: Int16, _ steps: Int) -> Int { Int(NativeBuckets.coarsened(fine, by: steps)) }
        var steps = 0
        while index(last, steps) - index(first, steps) >= Self.maxCount { steps += 1 }
        self.steps = steps
        scale = Int(histogram.schema) - steps
        offset = index(first, steps) - 1
    }

    /// Calls `body` with each bucket that holds something: the number of empty ones before it, and its count.
    func forEach(in histogram: Histogram, _ body: (_ gap: Int, _ count: UInt64) -> Void) {
        let words = histogram.words.span.extracting(histogram.nativeRange)
        var next = offset + 1
        var position = 0
        while position < words.count {
            let index = Int(NativeBuckets.coarsened(NativeBucket(words[position]).index, by: steps))
            var count: UInt64 = 0
            while position < words.count,
                Int(NativeBuckets.coarsened(NativeBucket(words[position]).index, by: steps)) == index
            {
                count += NativeBucket(words[position]).count
                position += 1
            }
            body(index - next, count)
            next = index + 1
        }
    }
}
