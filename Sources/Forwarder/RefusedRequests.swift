import Glibc
import Model
import Platform
import Spool

package struct RefusedRequestsOptions: Sendable, Equatable {
    package var directory: String
    package var maxRequests = 100
    package var maxBytes: Int

    /// Takes 64 MiB at most, or an eighth of what the spool may have where that is less. It comes on top of that.
    package init(spoolDirectory: String, spoolBytes: Int) {
        directory = spoolDirectory + "/refused"
        maxBytes = min(64 << 20, spoolBytes / 8)
    }
}

/// The fate of the copy of a refused request.
package enum RefusedCopy: String, CaseIterable, Sendable {
    case kept
    /// The disk did not take it.
    case failed
    /// The copy is larger than all copies together may be.
    case tooLarge = "too_large"
}

/// Copies of the requests that the backend rejected, for people to look at, and perhaps to send again by hand.
///
/// Each copy is two files:
///
///     20261121T125351.042Z-815-9ab3f0c1.pb    the ExportTraceServiceRequest, protobuf
///     20261121T125351.042Z-815-9ab3f0c1.txt   lines of `name: value`
///
/// They are named by the time of the refusal, the request's sequence in the spool, and the CRC-32C of its bytes. The
/// text:
///
///     time: 2026-11-21T12:53:51.042Z       when it was refused
///     received: 2026-11-21T12:53:50.817Z   when the collector acknowledged it
///     spans: 12
///     bytes: 4711
///     answer: 400: a bad span              status and words of the backend
///
/// The oldest copies make space for new ones. Files of other names are left alone.
struct RefusedRequests {
    struct NotKept: Error {
        let outcome: RefusedCopy
        let problem: String
    }

    private static let endings = [".pb", ".txt"]

    private let options: RefusedRequestsOptions

    init(_ options: RefusedRequestsOptions) {
        self.options = options
    }

    /// Keeps a copy of a refused request.
    /// - Throws: `NotKept` where the copy is too large, or the disk does not take it.
    func keep(_ batch: SpoolBatch, reason: String, at now: WallTime) throws(NotKept) {
        let frame = batch.frames.first
        let checksum = String(batch.bytes.withUnsafeBytes { crc32c($0) }, radix: 16)
        let time = now.rfc3339.filter { $0 != ":" && $0 != "-" }
        let name = "\(time)-\(frame?.sequence ?? 0)-\(checksum)"
        let lines = [
            "time: \(now.rfc3339)", "received: \(frame?.time.rfc3339 ?? "")", "spans: \(batch.spanCount)",
            "bytes: \(batch.bytes.count)", "answer: \(reason)",
        ]
        let text = Array((lines.joined(separator: "\n") + "\n").utf8)
        let bytes = batch.bytes.count + text.count
        if bytes > options.maxBytes {
            throw NotKept(outcome: .tooLarge, problem: "\(bytes) bytes; the limit is \(options.maxBytes) in all")
        }
        do throws(SystemError) {
            try Files.makeDirectories(options.directory)
            try Files.requireDirectory(options.directory)
            try makeSpace(for: bytes)
            try Files.replace("\(options.directory)/\(name).pb", with: batch.bytes)
            try Files.replace("\(options.directory)/\(name).txt", with: text)
        } catch {
            throw NotKept(outcome: .failed, problem: error.description)
        }
    }

    /// Removes the oldest copies until there is space, and what an earlier process did not finish.
    private func makeSpace(for bytes: Int) throws(SystemError) {
        var copies: [Substring: Int] = [:]
        for file in try Files.list(options.directory) {
            if file.name.hasSuffix(Files.temporarySuffix) {
                unlink("\(options.directory)/\(file.name)")
            } else if let ending = Self.endings.first(where: { file.name.hasSuffix($0) }) {
                // A file with holes may be larger than all that fits into a sum.
                copies[file.name.dropLast(ending.count), default: 0] += min(file.bytes, options.maxBytes)
            }
        }
        var total = copies.values.reduce(bytes, +)
        // Names begin with the time.
        for (index, name) in copies.keys.sorted().enumerated() {
            let isFull = total > options.maxBytes || copies.count - index >= options.maxRequests
            if !isFull { return }
            total -= copies[name] ?? 0
            for ending in Self.endings {
                let path = "\(options.directory)/\(name)\(ending)"
                if unlink(path) != 0 && errno != ENOENT { throw SystemError("deleting", path: path) }
            }
        }
    }
}
