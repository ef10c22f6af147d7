import Metrics
import Testing

private let protobuf =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
private let twoText =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

@Suite("What format a scraper asks for")
struct PageRequestTests {
    @Test("Prometheus gets the format it likes best")
    func prometheus() {
        let asked: [(String, PageFormat, String?)] = [
            // 2.42, and with native histograms.
            (twoText, .openMetrics, nil),
            (
                protobuf
                    + ",application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
                    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .protobuf, nil
            ),
            // 2.53, and with native histograms.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics, nil
            ),
            (
                protobuf + ";q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,"
                    + "application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                .protobuf, nil
            ),
            // 3.5, and with native histograms.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                    + "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics, "allow-utf-8"
            ),
            (
                protobuf
                    + ";escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .protobuf, "allow-utf-8"
            ),
            (protobuf + ";escaping=underscores;q=0.7,text/plain;version=0.0.4;q=0.3", .protobuf, "underscores"),
        ]
        for (accept, format, escaping) in asked {
            let request = PageRequest(accept: accept)
            #expect(request.format == format, "\(accept)")
            #expect(request.escaping == escaping, "\(accept)")
        }
    }

    @Test(
        "whoever asks for none of our formats gets the text format 0.0.4",
        arguments: [
            "", "*/*", "text/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json",
            ";;,=,",
            "application/openmetrics-text;version=2.0.0", "text/plain;version=1.0.0;escaping=allow-utf-8",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "application/openmetrics-text;q=0", "application/openmetrics-text;q=nan",
            "application/openmetrics-text;q=2",
            "application/openmetrics-text;q=-1", "application/openmetrics-text;q=", "text/plain; charset=utf-8",
        ])
    func fallback(accept: String) {
        let request = PageRequest(accept: accept)
        #expect(request.format == .text)
        #expect(request.escaping == nil)
        #expect(request.contentType == "text/plain; version=0.0.4; charset=utf-8")
    }

    @Test("the higher q wins, the first of equals, and blanks, quotes and capitals don't matter")
    func order() {
        #expect(PageRequest(accept: "text/plain;q=0.2, application/openmetrics-text;q=0.3").format == .openMetrics)
        #expect(PageRequest(accept: "text/plain, application/openmetrics-text").format == .text)
        #expect(PageRequest(accept: "application/openmetrics-text, text/plain").format == .openMetrics)
        #expect(PageRequest(accept: "Application/OpenMetrics-Text ;\tVersion=\"1.0.0\" ; Q=1").format == .openMetrics)
        #expect(PageRequest(accept: "application/*").format == .openMetrics)
    }

    @Test("the way of escaping is echoed where we follow it, and no text of the scraper's gets into the answer")
    func escaping() {
        func answer(_ escaping: String) -> String {
            PageRequest(accept: "application/openmetrics-text;version=1.0.0;escaping=\(escaping)").contentType
        }
        let type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        #expect(answer("allow-utf-8") == type + "; escaping=allow-utf-8")
        #expect(answer("underscores") == type + "; escaping=underscores")
        #expect(answer("values") == type + "; escaping=values")
        #expect(answer("dots") == type + "; escaping=underscores")
        #expect(answer("\r\nX: y") == type)
        #expect(
            PageRequest(accept: protobuf + ";escaping=values").contentType
                == "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=values"
        )
    }
}
