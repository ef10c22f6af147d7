package import Model

/// The source of what Redis knows of the tasks that spans name.
package protocol TaskKnowledgeSource: Sendable {
    /// Gives each process span of one request the known facts of its task. A message that a span knows already stays.
    func look(for spans: inout [TaskSpan], in body: UnsafeRawBufferPointer)

    /// Has Redis asked for tasks, after which `look` knows them. Returns false where it is not asked. Otherwise
    /// `whenDone` is called once, soon, by any thread: an acknowledgement waits for it.
    func lookUp(_ questions: [TaskQuestion], whenDone: @escaping @Sendable () -> Void) -> Bool
}
