import Glibc
import Metrics
import Model
import Platform
import Testing
import WaitTime

@testable import Collector

/// A lock that the thread sanitizer sees. It does not see Swift's `Mutex`, and calls every use of one a race; so where it
/// runs, the calls are put in order by this lock as well, and what it looks at is the rest: pages that are read, outside of
/// any lock, while what they share with the aggregator is observed into. Elsewhere this is no lock.
private final class SanitizerLock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>?

    init() {
        guard dlsym(nil, "__tsan_init") != nil else {
            mutex = nil
            return
        }
        let made = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        pthread_mutex_init(made, nil)
        mutex = made
    }

    deinit {
        guard let mutex else { return }
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func withLock<Result>(_ body: () -> Result) -> Result {
        if let mutex { pthread_mutex_lock(mutex) }
        defer { if let mutex { pthread_mutex_unlock(mutex) } }
        return body()
    }
}

/// Also run by hand with the thread sanitizer, which is too slow to build for every run of the tests:
///
///     swift test --sanitize=thread --scratch-path .build/tsan --filter ConcurrentPages
@Suite("Pages made while spans come")
struct ConcurrentPagesTests {
    private static let spansPerRequest = 50
    private static let requests = 200
    private static let body = Array("queue-1queue-2queue-3".utf8)

    private let aggregator: LockedAggregator

    init() throws {
        let bounds = try #require(HistogramBounds([0.01, 0.1, 1, 10]))
        let options = TaskAggregatorOptions(
            bounds: bounds, maxTaskTypes: 0, maxQueues: 3, quantileWindow: .seconds(300))
        aggregator = LockedAggregator(options, clock: .system)
    }

    /// Process spans of three queues, each with another id and another wait.
    private static func request(_ number: Int) -> [TaskSpan] {
        (0..<spansPerRequest).map { index in
            let id = UInt64(number * spansPerRequest + index + 1)
            var span = TaskSpan()
            span.reference = SpanReference(trace: TraceID(high: 1, low: id), span: SpanID(id))
            span.queue = ByteRange(offset: Int(id % 3) * 7, count: 7)
            span.startNanoseconds = 1_795_197_881_000_000_000
            span.endNanoseconds = span.startNanoseconds + id * 1_000_000
            span.wait = .double(0.0001 * Double(id))
            return span
        }
    }

    /// The observations of a page's wait histograms, each of which agrees with itself.
    private static func observations(_ families: [MetricFamily]) -> UInt64 {
        var total: UInt64 = 0
        for sample in families.first(where: { $0.name == "asynq_task_wait_duration_seconds" })?.samples ?? [] {
            guard case .histogram(let histogram) = sample.value else { continue }
            #expect(histogram.native.count == histogram.count)
            total += histogram.count
        }
        return total
    }

    @Test("every page agrees with itself, the numbers never fall, and at the end none is missing")
    func pages() async {
        let aggregator = self.aggregator
        let metrics = TaskMetrics(aggregator: aggregator, errors: RecentErrors(clock: .system), clock: .system)
        let lock = SanitizerLock()
        let counts = await withTaskGroup(of: [UInt64].self) { group in
            for sender in 0..<2 {
                group.addTask {
                    for number in 0..<Self.requests {
                        let spans = Self.request(sender * Self.requests + number)
                        _ = lock.withLock {
                            Self.body.withUnsafeBytes { aggregator.observe(spans, in: $0, areForwarded: true) }
                        }
                    }
                    return []
                }
            }
            for format in PageFormat.allCases {
                group.addTask {
                    (0..<30).map { _ in
                        let families = lock.withLock { metrics.metricFamilies() }
                        #expect(!format.encode(families).isEmpty)
                        return Self.observations(families)
                    }
                }
            }
            return await group.reduce(into: [[UInt64]]()) { $0.append($1) }
        }
        for found in counts { #expect(found == found.sorted()) }
        #expect(Self.observations(metrics.metricFamilies()) == UInt64(2 * Self.requests * Self.spansPerRequest))
    }
}
