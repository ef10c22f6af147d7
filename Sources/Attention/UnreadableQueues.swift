import Model
import Text

/// Judges the queues that can't be read in full. One cause is one trouble: a command that the ACL forbids keeps the
/// same key of every queue from being read.
struct UnreadableQueues {
    private static let maxNamed = 3

    let queues: [QueueSnapshot]

    func judge(_ findings: inout Findings) {
        judge(.queueUnreadable, &findings) { $0.workProblem }
        judge(.queuePartlyUnreadable, &findings) { $0.problem }
    }

    private func judge(
        _ condition: Condition, _ findings: inout Findings, problem: (QueueSnapshot) -> ReadProblem?
    ) {
        let affected = queues.compactMap { queue in problem(queue).map { (name: queue.name, problem: $0) } }
        let causes = Dictionary(grouping: affected) { Self.cause(of: $0.problem, in: $0.name) }
        for (cause, affected) in causes {
            let first = affected[0]
            if affected.count == 1 {
                findings.judge(condition, of: first.name, holds: true) { _ in
                    "\(first.name.shownName) can't be read in full: \(ForeignText(first.problem.text).shownProblem)"
                }
                continue
            }
            let names = affected.map(\.name)
            findings.judge(condition, detail: cause, holds: true) { [queues] _ in
                "\(Self.subject(names, of: queues.count)) can't be read in full: \(ForeignText(first.problem.cause).shownProblem); "
                    + "the first key is \(first.problem.key.shown)"
            }
        }
    }

    /// Returns the cause without what differs from queue to queue: its name, which Redis repeats, and numbers.
    private static func cause(of problem: ReadProblem, in queue: QueueName) -> String {
        AlikeText.make(problem.cause.replacing("{\(queue.text)}", with: "{…}"))
    }

    private static func subject(_ names: [QueueName], of count: Int) -> String {
        if names.count <= maxNamed { return names.map(\.shownName).joined(separator: ", ") }
        return names.count == count
            ? "All \(humanCount(count)) queues" : "\(humanCount(names.count)) of \(humanCount(count)) queues"
    }
}

extension Trouble {
    /// Returns true if it is about the queue, alone or with others.
    package func concerns(_ row: QueueReading) -> Bool {
        if queue == row.name { return true }
        return switch condition {
        case .queueUnreadable: queue == nil && row.snapshot?.workProblem != nil
        case .queuePartlyUnreadable: queue == nil && row.snapshot?.problem != nil
        default: false
        }
    }
}
