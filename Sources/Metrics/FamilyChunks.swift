/// The families of the page, a few samples at a time. Each chunk is read when the reader gets there, so a slow reader
/// holds one chunk. A family is several chunks that follow each other.
package struct FamilyChunks: Sequence, IteratorProtocol {
    private static let maxSamples = 16

    private var sources: AnyIterator<FamilyPortions>
    private var portions: FamilyPortions?
    /// The families of the last portion that are not handed over yet.
    private var families: ArraySlice<MetricFamily> = []
    /// The next sample of the first family.
    private var nextSample = 0
    /// The number of series so far, as the text formats count.
    private var seriesCount = 0
    private var isOver = false

    init(_ sources: some Sequence<FamilyPortions>) {
        self.sources = AnyIterator(sources.makeIterator())
    }

    /// Returns the next samples of a family; in the end the family that says how many series there are.
    package mutating func next() -> MetricFamily? {
        while !isOver {
            if let family = families.first {
                if nextSample < family.samples.count { return chunk(of: family) }
                families.removeFirst()
                nextSample = 0
            } else if let next = portions?.next() {
                families = next[...]
            } else if let next = sources.next() {
                portions = next
            } else {
                isOver = true
                return MetricsRegistry.size(seriesCount: seriesCount)
            }
        }
        return nil
    }

    private mutating func chunk(of family: MetricFamily) -> MetricFamily {
        var chunk = family
        if family.samples.count > Self.maxSamples {
            let end = Swift.min(nextSample + Self.maxSamples, family.samples.count)
            chunk.samples = Array(family.samples[nextSample..<end])
        }
        nextSample += chunk.samples.count
        if !family.isTextOnly {
            for sample in chunk.samples { seriesCount += sample.seriesCount(bucketStep: family.bucketStep) }
        }
        return chunk
    }
}
