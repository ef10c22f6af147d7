// swift-tools-version: 6.2
import PackageDescription

// Benchmarks are a package of their own, so that nobody who builds the collector builds them. The targets under test are
// links to the collector's own sources: what they declare as `package` is visible here, too.
let rules: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: rules)
}

let package = Package(
    name: "asynq-collector-benchmarks",
    dependencies: [
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0")
    ],
    targets: [
        .systemLibrary(name: "CHiredis"),
        .systemLibrary(name: "CISAL"),
        .systemLibrary(name: "CTLS"),
        .systemLibrary(name: "CZlib"),
        .systemLibrary(name: "CZstd"),
        .target(name: "CLinux"),
        library("Model"),
        library("Platform", ["Model", "CLinux"]),
        library("ProtobufWire"),
        library("JSON"),
        library("Compression", ["CISAL", "CZlib", "CZstd"]),
        library(
            "AsynqRedis",
            [
                "Model", "Platform", "ProtobufWire", "JSON", "CHiredis", "CTLS",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .executableTarget(
            name: "RedisBenchmark", dependencies: ["AsynqRedis", "Model", "Platform", "ProtobufWire"],
            swiftSettings: rules),
        library("Metrics", ["Model", "CLinux"]),
        library("WaitTime", ["Model", "Metrics"]),
        .executableTarget(
            name: "MetricsBenchmark", dependencies: ["Compression", "Metrics", "Model", "WaitTime"],
            swiftSettings: rules),
        library("Spool", ["Model", "Platform"]),
        .executableTarget(name: "SpoolBenchmark", dependencies: ["Spool", "Model", "Platform"], swiftSettings: rules),
        .executableTarget(
            name: "CompressionBenchmark", dependencies: ["Compression", "Platform", "ProtobufWire"],
            swiftSettings: rules),
    ],
    swiftLanguageModes: [.v6]
)
