/// An object of JSON while it is written. Members stand in the order in which they are added; nil is `null`.
package struct JSONObject {
    private var members = ""

    package init() {}

    package var text: String { "{\(members)}" }

    package mutating func add(_ name: String, _ value: String?) {
        add(name, json: value.map { JSONString.quoted($0) })
    }

    package mutating func add(_ name: String, _ value: Int64?) { add(name, json: value.map { String($0) }) }

    package mutating func add(_ name: String, _ value: Bool?) { add(name, json: value.map { $0 ? "true" : "false" }) }

    /// Adds a number. JSON knows no infinity: what is not finite is `null`.
    package mutating func add(_ name: String, _ value: Double?) {
        add(name, json: value.flatMap { $0.isFinite ? $0.description : nil })
    }

    package mutating func add(_ name: String, _ value: JSONObject) { add(name, json: value.text) }

    package mutating func add(_ name: String, _ values: [JSONObject]) {
        add(name, json: "[" + values.map(\.text).joined(separator: ",") + "]")
    }

    private mutating func add(_ name: String, json: String?) {
        if !members.isEmpty { members += "," }
        members += JSONString.quoted(name) + ":" + (json ?? "null")
    }
}
