import CLinux
import Glibc
import Platform

/// The terminal of standard output, taken for drawing until it is closed. Whatever ends the process restores it, `kill
/// -9` excepted.
struct Terminal: ~Copyable {
    /// The sequence that opens the alternate screen, without a cursor and without line wrapping.
    private static let enter: StaticString = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l"
    private static let leave: StaticString = "\u{1B}[m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

    let hasKeys: Bool

    /// - Throws: `SystemError` where the settings of the terminal can't be changed.
    init() throws(SystemError) {
        hasKeys = isatty(STDIN_FILENO) != 0
        try Self.take()
    }

    deinit {
        collector_terminal_close()
    }

    private static func take() throws(SystemError) {
        let code = enter.withUTF8Buffer { _ in
            leave.withUTF8Buffer { _ in
                collector_terminal_open(
                    STDIN_FILENO, STDOUT_FILENO, UnsafeRawPointer(enter.utf8Start).assumingMemoryBound(to: CChar.self),
                    UnsafeRawPointer(leave.utf8Start).assumingMemoryBound(to: CChar.self))
            }
        }
        if code != 0 { throw SystemError("taking the terminal") }
    }

    /// Stops the program (Ctrl-Z): the shell has the terminal until the program continues.
    ///
    /// - Throws: `SystemError` where the terminal can't be taken again.
    func pause() throws(SystemError) {
        collector_terminal_close()
        kill(getpid(), SIGSTOP)
        try Self.take()
    }

    /// Writes the whole text. Returns false where the terminal is gone.
    func write(_ text: String) -> Bool {
        TerminalOutput.write(text)
    }
}

/// Writes text to standard output.
package enum TerminalOutput {
    /// The columns and rows; nil where standard output leads elsewhere than to a terminal.
    package static var size: (columns: Int, rows: Int)? {
        var columns: Int32 = 0
        var rows: Int32 = 0
        guard collector_terminal_size(STDOUT_FILENO, &columns, &rows) else { return nil }
        return (Int(columns), Int(rows))
    }

    /// Writes the whole text. Returns false where that fails.
    @discardableResult
    package static func write(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(STDOUT_FILENO, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            if count < 0 && errno == EINTR { continue }
            // A terminal that was made non-blocking by another program takes a moment.
            if count < 0 && errno == EAGAIN {
                usleep(10_000)
                continue
            }
            if count < 0 { return false }
            done += count
        }
        return true
    }
}
