import Glibc

/// The number of columns that a text for people may take.
package enum TerminalWidth {
    package static let `default` = 80

    /// Returns `COLUMNS`, where the environment has it; else the width of the terminal that the descriptor is; else 80.
    package static func columns(
        of descriptor: Int32 = STDOUT_FILENO, environment: [(name: String, value: String)]
    ) -> Int {
        let variable = environment.first { $0.name == "COLUMNS" }.flatMap { Int($0.value) }
        if let variable, variable > 0 { return variable }
        var size = winsize()
        let isTerminal = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0
        return isTerminal && size.ws_col > 0 ? Int(size.ws_col) : `default`
    }
}
