/// The keys of a queue that can't be read, and why, for people.
package struct ReadProblem: Sendable, Equatable {
    /// The first of the keys.
    package let key: ForeignText
    /// What Redis or the reader says of the first key.
    package let cause: String
    /// The number of the other keys.
    package var otherKeys: Int

    package init(key: ForeignText, cause: String, otherKeys: Int = 0) {
        self.key = key
        self.cause = cause
        self.otherKeys = otherKeys
    }

    package var text: String {
        let others = otherKeys == 0 ? "" : ", and \(otherKeys) more \(otherKeys == 1 ? "key" : "keys")"
        return "\(key.printable): \(cause)\(others)"
    }
}
