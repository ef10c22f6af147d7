import Model

/// An object of JSON while it is written.
struct JSONObject {
    private var members = ""

    var text: String { "{\(members)}" }

    mutating func add(_ name: String, _ value: ForeignText) { add(name, raw: "\"\(escapedJSON(value.printable))\"") }
    mutating func add(_ name: String, _ value: String?) {
        add(name, raw: value.map { "\"\(escapedJSON($0))\"" } ?? "null")
    }

    mutating func add(_ name: String, _ value: Int64?) { add(name, raw: value.map { String($0) } ?? "null") }
    mutating func add(_ name: String, _ value: Bool?) { add(name, raw: value.map { $0 ? "true" : "false" } ?? "null") }

    /// JSON knows no infinity.
    mutating func add(_ name: String, _ value: Double?) {
        add(name, raw: value.flatMap { $0.isFinite ? $0.description : nil } ?? "null")
    }

    private mutating func add(_ name: String, raw: String) {
        if !members.isEmpty { members += "," }
        members += "\"\(name)\":\(raw)"
    }
}

/// Returns the content of a JSON string.
package func escapedJSON(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": escaped += "\\\""
        case "\\": escaped += "\\\\"
        case "\n": escaped += "\\n"
        case "\r": escaped += "\\r"
        case "\t": escaped += "\\t"
        default:
            if scalar.value < 32 || scalar.value == 127 {
                let hex = String(scalar.value, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            } else {
                escaped.unicodeScalars.append(scalar)
            }
        }
    }
    return escaped
}
