import Collector
import Glibc
import Platform

// The environment is read before any thread exists.
var environment: [(name: String, value: String)] = []
var next = environ
while let entry = next.pointee {
    let text = String(cString: entry)
    if let equals = text.firstIndex(of: "=") {
        environment.append((String(text[..<equals]), String(text[text.index(after: equals)...])))
    }
    next += 1
}

// The Swift runtime looks for the arguments on the stack, beside the environment; where a preloaded library has moved
// that, it finds none. The kernel still knows them.
var arguments = CommandLine.arguments
if arguments.isEmpty, let known = try? Files.read("/proc/self/cmdline") {  // Without /proc there are no arguments.
    arguments = known.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
        String(decoding: $0, as: UTF8.self)
    }
}
exit(Program.main(arguments: Array(arguments.dropFirst()), environment: environment))
