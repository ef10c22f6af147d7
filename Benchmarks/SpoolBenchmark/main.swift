import Glibc
import Model
import Platform
import Spool
import Synchronization

// What the spool costs: appends by `spool.sync`, reading and settling, and how long a start takes over a full gibibyte.
//
//     SpoolBenchmark [directory]     on the disk that matters; several gibibytes are written to it

let spanBytes = 360
let root = CommandLine.arguments.dropFirst().first ?? "spool-benchmark"

func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = Clock.system.monotonic()
    try body()
    return Double(Clock.system.monotonic().nanoseconds(since: start)) / 1e9
}

func open(_ sync: SpoolSync, maxBytes: Int = 2 << 30) throws -> Spool {
    try Spool(
        fileSystem: DiskFileSystem(directory: root), options: SpoolOptions(maxBytes: maxBytes, sync: sync),
        clock: .system)
}

func payload(spans: Int) -> [UInt8] {
    (0..<spans * spanBytes).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
}

func rounded(_ value: Double, _ digits: Int = 1) -> String {
    let scale = pow(10, Double(digits))
    return "\((value * scale).rounded() / scale)"
}

func column(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
}

/// The files' pages leave the page cache, as after a boot.
func forgetPages() throws {
    for name in try DiskFileSystem(directory: root).names() where name.hasPrefix("segment") {
        let descriptor = Glibc.open(root + "/" + name, O_RDONLY)
        fdatasync(descriptor)
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        close(descriptor)
    }
}

func append(_ payload: [UInt8], spans: Int, count: Int, to spool: Spool) throws {
    try payload.withUnsafeBytes { bytes in
        for _ in 0..<count { try spool.append(bytes, spanCount: spans) }
    }
}

/// On a thread, as the forwarder does it: the C library gives the main thread's memory back more eagerly.
func drain(_ spool: Spool) throws -> Int {
    let spans = Mutex(0)
    let thread = try OSThread(name: "drain") {
        while true {
            do {
                let batch = try spool.readBatch(maxBytes: 1 << 20, maxSpans: 1000)
                if batch.isEmpty { return }
                spans.withLock { $0 += batch.spanCount }
                spool.settle(batch.frames)
            } catch {
                print("reading failed: \(error)")
                return
            }
        }
    }
    thread.join()
    return spans.withLock { $0 }
}

func measureFlow() throws {
    print("256 MiB appended, then read in batches of 1,000 spans and settled")
    print("  spans a request  spool.sync  appends/s    MB/s  drain MB/s")
    let modes: [(String, SpoolSync)] = [("never", .never), ("200ms", .interval(.milliseconds(200)))]
    for spans in [1, 10, 100, 1000] {
        for (name, sync) in modes {
            Files.removeTree(root)
            let bytes = payload(spans: spans)
            let count = min(300_000, (256 << 20) / bytes.count)
            let spool = try open(sync)
            try spool.start()
            let time = try seconds { try append(bytes, spans: spans, count: count, to: spool) }
            var read = 0
            let drained = try seconds { read = try drain(spool) }
            let megabytes = Double(count * bytes.count) / 1e6
            precondition(read == spans * count, "all of it is read")
            spool.close()
            print(
                column("\(spans)", 17), column(name, 11), column(rounded(Double(count) / time, 0), 10),
                column(rounded(megabytes / time, 0), 7), column(rounded(megabytes / drained, 0), 11))
        }
    }
}

func measureStart() throws {
    print("start over 1 GiB")
    print("  spans a request   frames  page cache  seconds")
    for spans in [1, 10, 100, 1000] {
        Files.removeTree(root)
        let bytes = payload(spans: spans)
        let count = (1 << 30) / (bytes.count + 32)
        try append(bytes, spans: spans, count: count, to: try open(.never))
        for isWarm in [true, false] {
            var best = Double.infinity
            for _ in 0..<3 {
                if !isWarm { try forgetPages() }
                var found = 0
                best = min(best, try seconds { found = try open(.never).statistics.spans })
                precondition(found == spans * count, "all of it is found")
            }
            print(
                column("\(spans)", 17), column("\(count)", 8), column(isWarm ? "warm" : "cold", 11),
                column(rounded(best, 3), 8))
        }
    }
}

try measureStart()
try measureFlow()
Files.removeTree(root)
