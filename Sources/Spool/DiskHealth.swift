import Model
import Platform

/// Whether the disk takes frames, as far as the last operations tell.
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
    /// What the disk refused to sync, it refused once more in a fresh file. `message`: the last failure.
    case refusing(SystemError, message: String)

    /// Why the last append, sync or probe failed; nil since one works again.
    var message: String? {
        switch self {
        case .well: nil
        case .failing(let message), .unsynced(let message), .refusing(_, let message): message
        }
    }

    /// Why nothing is taken.
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

    /// No segment waits for its copy, and the directory is synced. `hasSynced`: something was, just now.
    mutating func recordClean(hasSynced: Bool) {
        switch self {
        case .well, .failing: break
        case .unsynced, .refusing: self = hasSynced ? .well : .unsynced(message ?? "")
        }
    }
}

/// The disk below the spool: its health, what is told of its failures, and what of its directory is not synced.
struct SpoolDisk {
    private(set) var health = DiskHealth.well
    private(set) var errors: UInt64 = 0
    private var unreported = UnreportedFailures()
    /// Names were created or deleted since the last sync of the directory.
    private(set) var isDirectoryDirty = true
    /// In a row.
    private(set) var failedDirectorySyncs = 0
    /// Bytes of a probe that is on the disk.
    private(set) var probeBytes = 0

    /// The disk failed at something that keeps no frame out.
    mutating func record(_ error: SystemError) {
        errors += 1
        unreported.record(error, keepsFramesOut: false)
    }

    /// A read failed: the forwarder tells of it.
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

    /// A segment could not be copied. `isOfTheDisk`: the fresh file could not be written.
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

    /// Whether the directory is to be synced now, by the caller.
    mutating func takeDirectorySync() -> Bool {
        defer { isDirectoryDirty = false }
        return isDirectoryDirty
    }

    mutating func recordDirectorySync() {
        failedDirectorySyncs = 0
    }

    /// A journal that failed goes on failing, so this may be tried again.
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

    /// The probe's file is gone from the disk.
    mutating func endProbe() {
        probeBytes = 0
    }

    /// What was written to it and synced reached the disk.
    mutating func recordProbe() {
        health = .well
    }
}
