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

exit(Program.main(arguments: Array(ProgramArguments.all.dropFirst()), environment: environment))
