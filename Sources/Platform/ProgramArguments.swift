import CLinux

/// The arguments that the program was started with. Swift's own list is empty where there is no /proc and a preloaded
/// library has moved the environment.
package enum ProgramArguments {
    package static var all: [String] {
        var count: Int32 = 0
        guard let arguments = collector_arguments(&count) else { return [] }
        return (0..<Int(count)).compactMap { arguments[$0].map { String(cString: $0) } }
    }
}
