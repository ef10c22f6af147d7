/// A page on its way, made piece by piece as it is read. The memory that it holds between two pieces does not depend on
/// its length.
package struct PageReader: ~Copyable {
    private var sources: AnyIterator<FamilyPortions>
    private var portions: FamilyPortions?
    /// The families of the last portion that are not written yet.
    private var families: ArraySlice<MetricFamily> = []
    /// The next sample of the first one.
    private var nextSample = 0
    private var encoder: PageEncoder
    private var isOver = false

    init(_ sources: some Sequence<FamilyPortions>, _ format: PageFormat) {
        self.sources = AnyIterator(sources.makeIterator())
        encoder = PageEncoder(format)
    }

    /// Hands the next piece to `sink`. Returns false after the last one, which may be empty.
    package mutating func next(_ sink: (UnsafeRawBufferPointer) -> Void) -> Bool {
        var isHandedOver = false
        while !isOver && !isHandedOver {
            if let family = nextFamily() {
                nextSample = encoder.appendPiece(of: family, from: nextSample) { piece in
                    isHandedOver = true
                    sink(piece)
                }
            } else {
                isOver = true
                encoder.append(MetricsRegistry.size(seriesCount: encoder.seriesCount), to: sink)
                encoder.finish(to: sink)
            }
        }
        return !isOver
    }

    /// Returns the family whose samples are next; nil at the end of the page.
    private mutating func nextFamily() -> MetricFamily? {
        if let family = families.first, nextSample >= family.samples.count {
            families.removeFirst()
            nextSample = 0
        }
        while families.isEmpty {
            if let next = portions?.next() {
                families = next.filter { !$0.samples.isEmpty }[...]
            } else if let next = sources.next() {
                portions = next
            } else {
                return nil
            }
        }
        return families.first
    }
}
