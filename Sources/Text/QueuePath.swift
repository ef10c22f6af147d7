/// Paths of documents about queues.
package enum QueuePath {
    /// Returns the path of `/api/v1/queues/{queue}`, relative to `/`. The names `.` and `..` stand in the query: in a path
    /// browsers and HTTP libraries take them for folders, even where they are percent-encoded. An empty name leaves no path.
    package static func document(of queue: String) -> String {
        let separator = ["", ".", ".."].contains(queue) ? "?name=" : "/"
        return "api/v1/queues" + separator + PercentCoding.encode(queue, plain: .unreserved)
    }
}
