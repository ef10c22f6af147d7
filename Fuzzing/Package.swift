// swift-tools-version: 6.2
import PackageDescription

// Fuzzers are a package of their own, so that nobody who builds the collector builds them. The targets under test are
// links to the collector's own sources: what they declare as `package` is visible here, too. scripts/fuzz gives the flags
// that instrument them.
let rules: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: rules)
}

func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: rules)
}

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]
let http2: [Target.Dependency] = [
    .product(name: "NIOHTTP2", package: "swift-nio-http2"),
    .product(name: "NIOHPACK", package: "swift-nio-http2"),
]

let package = Package(
    name: "asynq-collector-fuzzing",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2.git", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
    ],
    targets: [
        .systemLibrary(name: "CHiredis"),
        .systemLibrary(name: "CTLS"),
        .systemLibrary(name: "CZlib"),
        .systemLibrary(name: "CISAL"),
        .systemLibrary(name: "CZstd"),
        .target(name: "CLinux"),
        library("Model"),
        library("Platform", ["Model", "CLinux"]),
        library("ProtobufWire"),
        library("Compression", ["CZlib", "CISAL", "CZstd"]),
        library("JSON"),
        library("OTLP", ["Model", "ProtobufWire", "JSON"]),
        library(
            "AsynqRedis",
            [
                "Model", "Platform", "ProtobufWire", "JSON", "CHiredis", "CTLS",
                .product(name: "Logging", package: "swift-log"),
            ]),
        library("HTTPService", ["Platform"] + nio + http2),
        library(
            "SpanReceiver", ["Model", "Platform", "JSON", "OTLP", "ProtobufWire", "HTTPService", "Compression"] + nio),

        fuzzer("FuzzSpanScanner", ["OTLP"]),
        fuzzer("FuzzJSON", ["OTLP"]),
        fuzzer("FuzzStoredTask", ["AsynqRedis"]),
        // Has a link to the one file that it tries: it needs no more of NIO than that.
        fuzzer("FuzzGRPC", [.product(name: "NIOCore", package: "swift-nio")]),
        fuzzer(
            "FuzzHTTP",
            ["HTTPService", "Model", "OTLP", "SpanReceiver", .product(name: "NIOEmbedded", package: "swift-nio")] + nio),
    ],
    swiftLanguageModes: [.v6]
)
