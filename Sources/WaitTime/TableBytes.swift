/// The memory that a flat table takes, and the most that it may take.
package struct TableBytes: Sendable, Equatable {
    package var used: Int
    package var limit: Int

    package init(used: Int, limit: Int) {
        self.used = used
        self.limit = limit
    }
}
