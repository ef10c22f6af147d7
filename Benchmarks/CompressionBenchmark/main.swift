import Compression
import Glibc

// What compressing and inflating batches costs, library by library, in MB of uncompressed bytes per CPU second.
// Every body is another one. The best of five rounds counts: the others had to share their core's caches more.

func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Megabytes per CPU second of `work` on the bodies in turn, whose sizes before compression are `sizes`.
func speed(_ bodies: [[UInt8]], sizes: [Int], _ work: (UnsafeRawBufferPointer) throws -> [UInt8]) rethrows -> Double {
    for body in bodies { _ = try body.withUnsafeBytes(work) }
    var best = 0.0
    for _ in 0..<5 {
        let start = threadSeconds()
        var bytes = 0
        while threadSeconds() - start < 0.4 {
            for (body, size) in zip(bodies, sizes) {
                let made = try body.withUnsafeBytes(work)
                precondition(!made.isEmpty)
                bytes += size
            }
        }
        best = max(best, Double(bytes) / 1e6 / (threadSeconds() - start))
    }
    return best
}

func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

func report(_ title: String, compress: Double?, ratio: Double?, inflate: Double?) {
    var line = "  " + title + String(repeating: " ", count: max(1, 30 - title.count))
    line += padded(compress.map { String(Int($0.rounded())) } ?? "", 12)
    line += padded(ratio.map { String(($0 * 100).rounded() / 100) } ?? "", 10)
    line += padded(inflate.map { String(Int($0.rounded())) } ?? "", 14)
    print(line)
}

func run(_ title: String, _ bodies: [[UInt8]]) throws {
    let sizes = bodies.map(\.count)
    print(title)
    func compressed(_ compress: (UnsafeRawBufferPointer) -> [UInt8]) -> [[UInt8]] {
        bodies.map { Array($0.withUnsafeBytes(compress)) }
    }
    func ratio(_ compressed: [[UInt8]]) -> Double {
        Double(sizes.reduce(0, +)) / Double(compressed.reduce(0) { $0 + $1.count })
    }
    let limit = 16 << 20
    let zlibInflater = ZlibInflater()
    let inflater = Inflater()
    for level in [1, 6] {
        let compressor = ZlibCompressor(level: level)
        let members = compressed { compressor.compress($0) }
        report(
            "zlib \(level)", compress: speed(bodies, sizes: sizes) { compressor.compress($0) }, ratio: ratio(members),
            inflate: try speed(members, sizes: sizes) { try zlibInflater.inflate($0, limit: limit) })
        report(
            "  read by \(gzipLibraryName)", compress: nil, ratio: nil,
            inflate: try speed(members, sizes: sizes) { try inflater.inflate($0, limit: limit) })
    }
    for level in [0, 1, 2, 3] {
        let compressor = GzipCompressor(level: level)
        let members = compressed { compressor.compress($0) }
        report(
            "\(gzipLibraryName) \(level)", compress: speed(bodies, sizes: sizes) { compressor.compress($0) },
            ratio: ratio(members), inflate: try speed(members, sizes: sizes) { try inflater.inflate($0, limit: limit) })
    }
    let decompressor = ZstdDecompressor()
    for level in [1, 3] {
        let compressor = ZstdCompressor(level: level)
        let frames = compressed { compressor.compress($0) }
        report(
            "zstd \(level)", compress: speed(bodies, sizes: sizes) { compressor.compress($0) }, ratio: ratio(frames),
            inflate: try speed(frames, sizes: sizes) { try decompressor.decompress($0, limit: limit) })
    }
}

print("                                     compress     ratio       inflate")
do {
    var requests = try VariedRequests(generator: SystemRandomNumberGenerator())
    try run("36 KiB", (0..<128).map { _ in try requests.batch(maxBytes: 36 << 10) })
    try run("1 MiB", (0..<16).map { _ in try requests.batch(maxBytes: 1 << 20) })
} catch {
    print("failed: \(error)")
    exit(1)
}
