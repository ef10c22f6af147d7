@testable import Metrics

extension MetricFamily {
    init(_ name: String, _ kind: MetricKind, _ help: String) {
        self.init(FamilyDeclaration(name, kind, help))
    }

    init(_ name: String, _ kind: MetricKind, _ help: String, value: Double) {
        self.init(FamilyDeclaration(name, kind, help), value: value)
    }
}
