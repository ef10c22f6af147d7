import Model

/// The reason why the run time of a process span is unknown: the `reason` of `asynq_task_processing_unknown_total`.
package enum UnknownRunTimeReason: String, CaseIterable, Sendable {
    /// The start or the end is missing, or they are more than ten years apart.
    case badStamp = "bad_stamp"
    /// The span ended more than a second before it began.
    case clockSkew = "clock_skew"
}

/// The run time that a process span tells.
enum RunTime: Equatable {
    case known(seconds: Double)
    case unknown(UnknownRunTimeReason)

    init(_ span: borrowing TaskSpan) {
        guard span.startNanoseconds > 0, span.endNanoseconds > 0 else {
            self = .unknown(.badStamp)
            return
        }
        let isNegative = span.endNanoseconds < span.startNanoseconds
        let distance =
            isNegative
            ? span.startNanoseconds - span.endNanoseconds : span.endNanoseconds - span.startNanoseconds
        let seconds = isNegative ? -Double(distance) / 1e9 : Double(distance) / 1e9
        if seconds > PlausibleSeconds.longest {
            self = .unknown(.badStamp)
        } else if seconds < PlausibleSeconds.toleratedSkew {
            self = .unknown(.clockSkew)
        } else {
            self = .known(seconds: max(0, seconds))
        }
    }
}
