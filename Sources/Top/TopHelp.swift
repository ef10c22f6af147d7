/// The help of the terminal view.
enum TopHelp {
    private static let keys: [(key: String, meaning: String)] = [
        ("↑ ↓  k j", "select a queue; also Page Up, Page Down, Home, End"),
        ("enter", "open the queue: states, charts, errors, dead letters"),
        ("esc", "back to the queues; without an opened queue: end the filter"),
        ("/ or f", "show only queues whose name has a text in it"),
        ("s", "sort by trouble, name, pending, retry, dead, oldest, wait, in, fail"),
        ("Ctrl-L", "redraw the screen"), ("q", "quit"),
    ]
    private static let words: [(word: String, meaning: String)] = [
        ("RUN", "tasks that workers run now"), ("LATER", "tasks that are scheduled for later"),
        ("DEAD", "archived tasks: no further attempt"),
        ("OLDEST", "how long the next task has been waiting"),
        ("WAIT95", "95 of 100 tasks waited no longer lately; ~: sampled in Redis"),
        ("DRAINS", "how long until the queue is empty at the present rates"),
    ]

    static func lines(columns: Int) -> [Line] {
        entries("Keys", keys.map { ($0.key, $0.meaning) }) + [Line()]
            + entries("Columns", words.map { ($0.word, $0.meaning) }) + [
                Line(), Line("Press any key to go back; q quits.", .dim),
            ]
    }

    private static func entries(_ title: String, _ entries: [(String, String)]) -> [Line] {
        [Line(title, .bold)]
            + entries.map { name, meaning in
                var line = Line("  ")
                line.add(name, .info, width: 10)
                line.add(" \(meaning)")
                return line
            }
    }
}
