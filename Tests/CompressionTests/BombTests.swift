import Compression
import Glibc
import Testing

@Suite("Decompression bombs", .serialized)
struct BombTests {
    @Test("a bomb is stopped at the limit, and the memory it takes is bounded by it")
    func bomb() {
        let megabyte = 1 << 20
        let member = gzip([UInt8](repeating: 0, count: 16 * megabyte))
        let bomb = (0..<32).flatMap { _ in member }  // 512 MiB from about 2 MiB
        #expect(bomb.count < 4 * megabyte)
        let before = peakResidentBytes()
        #expect(inflationError(bomb, limit: 2 * megabyte) == .tooLarge(limit: 2 * megabyte))
        #expect(peakResidentBytes() - before < 256 * megabyte)  // Other tests run beside this one.
    }

    private func peakResidentBytes() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Int(usage.ru_maxrss) * 1024
    }
}
