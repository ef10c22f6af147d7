// swift-tools-version: 6.2
import PackageDescription

// One set of rules for every target. ExistentialAny: SE-0335, InternalImportsByDefault: SE-0409,
// MemberImportVisibility: SE-0444, warnings as errors: SE-0480.
let rules: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

// ISA-L is used where the compiler finds its header (`canImport`). The manifest does not look itself, because SwiftPM keeps
// what a manifest came to. ASYNQ_COLLECTOR_WITHOUT_ISAL=1 builds as if it were not there.
let gzipByZlib: [SwiftSetting] =
    Context.environment["ASYNQ_COLLECTOR_WITHOUT_ISAL"] == "1" ? [.define("WITHOUT_ISAL")] : []

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: rules)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies, swiftSettings: rules)
}

func cLibrary(_ name: String, apt: String) -> Target {
    .systemLibrary(name: name, providers: [.apt([apt])])
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
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let keptLog: Target.Dependency = .product(name: "InMemoryLogging", package: "swift-log")

// Fuzzers and benchmarks are built only when asked for: ASYNQ_COLLECTOR_TOOLS=fuzzers (by scripts/fuzz, with the flags that
// instrument them) or =benchmarks. They are targets of this package, so that they see what is declared as `package`.
func tool(_ name: String, in folder: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: folder + "/" + name, swiftSettings: rules)
}

let tools: [Target] =
    switch Context.environment["ASYNQ_COLLECTOR_TOOLS"] {
    case "fuzzers":
        [
            tool("FuzzSpanScanner", in: "Fuzzing", ["OTLP"]),
            tool("FuzzJSON", in: "Fuzzing", ["OTLP"]),
            tool("FuzzStoredTask", in: "Fuzzing", ["AsynqRedis"]),
            tool("FuzzGRPC", in: "Fuzzing", ["SpanReceiver", "Text", .product(name: "NIOCore", package: "swift-nio")]),
            tool(
                "FuzzHTTP", in: "Fuzzing",
                ["HTTPService", "Model", "OTLP", "SpanReceiver"] + nio
                    + [.product(name: "NIOEmbedded", package: "swift-nio")]),
        ]
    case "benchmarks":
        [
            tool(
                "InstructionCounts", in: "Benchmarks",
                [
                    "HTTPService", "Metrics", "Model", "OTLP", "Platform", "ProtobufWire", "SpanReceiver", "Spool",
                    "WaitTime",
                ]
                    + nio + [.product(name: "NIOEmbedded", package: "swift-nio")]),
            tool("RedisBenchmark", in: "Benchmarks", ["AsynqRedis", "Redis", "Model", "Platform", "ProtobufWire"]),
            tool("MetricsBenchmark", in: "Benchmarks", ["Compression", "Metrics", "Model", "WaitTime"]),
            tool("JSONBenchmark", in: "Benchmarks", ["OTLP"]),
            tool("SpoolBenchmark", in: "Benchmarks", ["Spool", "Model", "Platform"]),
            tool("CompressionBenchmark", in: "Benchmarks", ["Compression", "Platform", "ProtobufWire"]),
        ]
    default: []
    }

let package = Package(
    name: "asynq-collector",
    products: [.executable(name: "asynq-collector", targets: ["asynq-collector"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2.git", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
    ],
    targets: [
        // C libraries of the system: module maps, and typed one-line shims where a call is variadic.
        cLibrary("CHiredis", apt: "libhiredis-dev"),
        cLibrary("CCurl", apt: "libcurl4-openssl-dev"),
        cLibrary("CISAL", apt: "libisal-dev"),
        cLibrary("CZlib", apt: "zlib1g-dev"),
        cLibrary("CZstd", apt: "libzstd-dev"),
        cLibrary("CYAML", apt: "libyaml-dev"),
        cLibrary("CTLS", apt: "libssl-dev"),

        // Values and the operating system.
        .target(name: "CLinux"),
        .target(name: "CPage", exclude: ["assets"]),
        library("Text"),
        library("Model", ["Text"]),
        library("Platform", ["Model", "Text", "CLinux"]),
        library("ProtobufWire", ["Text"]),
        library("TLSFiles", ["CTLS"]),
        .target(name: "Compression", dependencies: ["CISAL", "CZlib", "CZstd"], swiftSettings: rules + gzipByZlib),

        // The data flow, from left to right.
        library("Redis", ["Model", "Text", "Platform", "TLSFiles", "CHiredis", "CTLS"]),
        library("AsynqRedis", ["Model", "Platform", "ProtobufWire", "JSON", "Redis", logging]),
        library("JSON", ["Text"]),
        library("OTLP", ["Text", "Model", "ProtobufWire", "JSON"]),
        library("HTTPService", ["Platform"] + nio + http2),
        library(
            "SpanReceiver",
            ["Text", "Model", "Platform", "JSON", "OTLP", "ProtobufWire", "HTTPService", "Compression"] + nio),
        library("WaitTime", ["Text", "Model", "Metrics", "CLinux"]),
        library("Metrics", ["Text", "Model", "ProtobufWire", "CLinux"]),
        library("Spool", ["Model", "Platform"]),
        library(
            "Forwarder",
            [
                "Text", "Model", "Platform", "Metrics", "Spool", "OTLP", "OTLPClient", "ProtobufWire", logging,
            ]),
        library(
            "OTLPClient",
            ["Text", "Model", "Platform", "Compression", "OTLP", "TLSFiles", "CCurl", "CTLS", logging]),
        library("MetricsPush", ["Text", "Model", "Platform", "Metrics", "OTLPClient", logging]),
        library("WebClient", ["CCurl"]),
        library("Top", ["Text", "Model", "Platform", "JSON", "CLinux"]),
        library("Attention", ["Text", "Model"]),
        library(
            "Web",
            ["Text", "Model", "Platform", "Metrics", "WaitTime", "Attention", "HTTPService", "Compression", "CPage"]
                + nio),

        // Wiring, the demo and the program.
        library(
            "Collector",
            [
                "Text", "Model", "Platform", "Metrics", "Redis", "AsynqRedis", "OTLP", "HTTPService", "SpanReceiver",
                "WaitTime", "Attention", "Spool", "OTLPClient", "Forwarder", "MetricsPush", "Web", "WebClient", "Top",
                "AsynqDemo", "CYAML", logging,
            ] + nio),
        library("AsynqDemo", ["Model", "Platform", "Redis", "AsynqRedis", "OTLP", "ProtobufWire", "CCurl"]),
        .executableTarget(
            name: "asynq-collector", dependencies: ["Collector", "Platform"], swiftSettings: rules,
            // A release is one file that is copied around: without symbols 15 MB, with them 34.
            linkerSettings: [.unsafeFlags(["-Xlinker", "-s"], .when(configuration: .release))]),

        .target(
            name: "TestSupport", dependencies: ["Model", "Platform", "ProtobufWire", "Redis", "AsynqRedis"],
            path: "Tests/TestSupport",
            swiftSettings: rules),
        tests("Text", []),
        tests("Model", []),
        tests("ProtobufWire", ["Text"]),
        tests("Platform", ["Model"]),
        tests("Compression", []),
        tests("Metrics", ["Model", "ProtobufWire"]),
        tests("OTLP", ["Model", "ProtobufWire", "JSON"]),
        tests(
            "HTTPService",
            nio + http2 + [.product(name: "NIOEmbedded", package: "swift-nio")]),
        tests(
            "SpanReceiver",
            ["Text", "Model", "Platform", "OTLP", "ProtobufWire", "HTTPService"] + nio
                + [.product(name: "NIOEmbedded", package: "swift-nio")]),
        tests("WaitTime", ["Model", "Metrics", "OTLP"]),
        tests("Spool", ["Model", "Platform"]),
        tests("OTLPClient", ["Model", "Platform", "OTLP", "CCurl", logging, keptLog]),
        tests("MetricsPush", ["Model", "Platform", "Metrics", "OTLPClient", logging, keptLog]),
        tests(
            "Forwarder",
            ["Model", "Platform", "Spool", "OTLP", "OTLPClient", "ProtobufWire", "CCurl", logging, keptLog]),
        tests("JSON", []),
        tests("AsynqDemo", ["Model", "Platform", "Redis", "AsynqRedis", "OTLP"]),
        tests("WebClient", []),
        tests("Top", ["Model", "Platform", "JSON"]),
        tests("Redis", ["Model", "Platform", "CTLS"]),
        tests("AsynqRedis", ["Model", "Platform", "ProtobufWire", "Redis", logging, keptLog]),
        // These start redis-servers; scripts/test runs them apart from the unit tests.
        .testTarget(
            name: "RedisServerTests",
            dependencies: ["Model", "Platform", "ProtobufWire", "Redis", "AsynqRedis", "TestSupport", logging],
            swiftSettings: rules),
        tests("Attention", ["Model", "Text"]),
        tests(
            "Web",
            ["Text", "Model", "WaitTime", "Attention", "Metrics", "HTTPService", "Compression"] + nio
                + [.product(name: "NIOEmbedded", package: "swift-nio")]),
        tests(
            "Collector",
            [
                "Model", "Platform", "Redis", "AsynqRedis", "Forwarder", "OTLPClient", "MetricsPush", "HTTPService",
                "Metrics",
                "SpanReceiver", "Spool", "WaitTime", "Attention", "Web", "OTLP", "Top", "WebClient", logging,
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ]),
    ] + tools,
    swiftLanguageModes: [.v6]
)
