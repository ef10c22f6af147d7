import Metrics
import Testing

@testable import Forwarder

@Suite("The counters of the forwarder")
struct ForwarderStatisticsTests {
    @Test("Before anything was sent nothing is counted, held or known")
    func empty() {
        let statistics = ForwarderStatistics()
        #expect(statistics.requests.isEmpty && statistics.copies.isEmpty && statistics.heldBytes == 0)
        #expect(statistics.durations.count == 0 && statistics.endpoint == nil)
        #expect(statistics.isBackendUp == nil && statistics.lastFailure == nil)
    }
}
