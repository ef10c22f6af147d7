/// The point from which a counter counts.
package enum CountOrigin: Sendable {
    /// It counts from zero, with the start of the process.
    case start
    /// It has counted before: Redis counts on whether the collector runs or not.
    case unknown
}

/// The facts of a family that are known before it has samples. They stand here only: the page and its documentation are
/// made from them. A source declares its families as members of a struct, next to the code that adds the samples.
package struct FamilyDeclaration: Sendable {
    package let name: String
    package let kind: MetricKind
    package let labels: [String]
    /// One line for the operator who reads it: what it says, and what to do with it.
    package let help: String
    /// The setting that the family is absent without.
    package let setting: String?
    package let countsFrom: CountOrigin

    package init(
        _ name: String, _ kind: MetricKind, labels: [String] = [], with setting: String? = nil,
        countsFrom: CountOrigin = .start, _ help: String
    ) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.setting = setting
        self.countsFrom = countsFrom
        self.help = help
    }

    /// Returns the declarations among the members of a value, in the order in which they are declared.
    package static func all(in families: Any) -> [FamilyDeclaration] {
        Mirror(reflecting: families).children.compactMap { $0.value as? FamilyDeclaration }
    }
}
