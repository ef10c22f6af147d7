import Model
import Platform

/// The disk's ability to take frames, as far as the last operations tell.
///
/// | state      | an append             | left by                                                            |
/// |------------|-----------------------|--------------------------------------------------------------------|
/// | `well`     | is tried              | an append that fails → `failing`; a sync that fails → `unsynced`   |
/// | `failing`  | is tried              | an append that works, a probe                                      |
/// | `unsynced` | is tried              | a sync or a probe that works; an append that works proves nothing  |
/// | `refusing` | throws the same error | everything made good → `unsynced`, and with a sync that works → `well` |
enum DiskHealth {
    case well
    /// The last append failed.
    case failing(String)
    /// A sync failed, and none has worked since.
    case unsynced(String)
    /// The disk refused to sync a file, and refused its content once more in a fresh file. `message` is the last
    /// failure.
    case refusing(SystemError, message: String)

    /// The reason why the last append, sync or probe failed; nil since one works again.
    var message: String? {
        switch self {
        case .well: nil
        case .failing(let message), .unsynced(let message), .refusing(_, let message): message
        }
    }

    /// The reason why frames are refused.
    var refusal: SystemError? {
        if case .refusing(let error, _) = self { return error }
        return nil
    }

    mutating func recordFailedAppend(_ error: SystemError) {
        switch self {
        case .well, .failing: self = .failing(error.description)
        case .unsynced, .refusing: recordFailedSync(error)
        }
    }

    mutating func recordAppend() {
        if case .failing = self { self = .well }
    }

    mutating func recordFailedSync(_ error: SystemError) {
        if case .refusing(let refusal, _) = self {
            self = .refusing(refusal, message: error.description)
        } else {
            self = .unsynced(error.description)
        }
    }

    mutating func refuse(_ error: SystemError) {
        self = .refusing(error, message: error.description)
    }

    /// Records that no segment waits for its copy, and that the directory is synced. `hasSynced` says that something
    /// was synced just now.
    mutating func recordClean(hasSynced: Bool) {
        switch self {
        case .well, .failing: break
        case .unsynced, .refusing: self = hasSynced ? .well : .unsynced(message ?? "")
        }
    }
}

/// The disk below the spool: its health, the failures to report, and the state of its directory.
struct SpoolDisk {
    private(set) var health = DiskHealth.well
    private(set) var errors: UInt64 = 0
    private var unreported = UnreportedFailures()
    /// True if names were created or deleted since the last sync of the directory.
    private(set) var isDirectoryDirty = true
    /// The number of failures in a row.
    private(set) var failedDirectorySyncs = 0
    /// The bytes of a probe that is on the disk.
    private(set) var probeBytes = 0

    /// Records a failure that keeps no frame out.
    mutating func record(_ error: SystemError) {
        errors += 1
        unreported.record(error, keepsFramesOut: false)
    }

    /// Records that a read failed, which the forwarder reports.
    mutating func recordFailedRead() {
        errors += 1
    }

    mutating func recordFailedAppend(_ error: SystemError) {
        recordFrameKeptOut(by: error)
        health.recordFailedAppend(error)
    }

    mutating func recordAppend() {
        health.recordAppend()
    }

    mutating func recordFailedSync(_ error: SystemError) {
        recordFrameKeptOut(by: error)
        health.recordFailedSync(error)
    }

    /// Records that a segment could not be copied. `isOfTheDisk` says that the fresh file could not be written.
    mutating func recordFailedCopy(_ error: SystemError, isOfTheDisk: Bool) {
        recordFailedSync(error)
        if isOfTheDisk { health.refuse(error) }
    }

    mutating func recordClean(hasSynced: Bool) {
        health.recordClean(hasSynced: hasSynced)
    }

    private mutating func recordFrameKeptOut(by error: SystemError) {
        errors += 1
        unreported.record(error, keepsFramesOut: true)
    }

    mutating func takeReport(at now: MonotonicTime) -> SpoolReport? {
        unreported.take(at: now, isFailing: health.message != nil)
    }

    // MARK: Directory

    mutating func recordNames() {
        isDirectoryDirty = true
    }

    /// Returns true if the caller has to sync the directory now.
    mutating func takeDirectorySync() -> Bool {
        defer { isDirectoryDirty = false }
        return isDirectoryDirty
    }

    mutating func recordDirectorySync() {
        failedDirectorySyncs = 0
    }

    /// Records that the sync failed. It may be tried again, because a journal that failed goes on failing.
    mutating func recordFailedDirectorySync(_ error: SystemError) {
        recordFailedSync(error)
        isDirectoryDirty = true
        failedDirectorySyncs += 1
        if failedDirectorySyncs > 1 { health.refuse(error) }
    }

    // MARK: Probe

    mutating func beginProbe(bytes: Int) {
        probeBytes = bytes
    }

    /// Records that the probe's file is deleted.
    mutating func endProbe() {
        probeBytes = 0
    }

    /// Records that what was written to the probe and synced reached the disk.
    mutating func recordProbe() {
        health = .well
    }
}
