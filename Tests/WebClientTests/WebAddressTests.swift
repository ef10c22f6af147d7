import Testing

@testable import WebClient

@Suite struct WebAddressTests {
    @Test(arguments: [
        ("http://127.0.0.1:9876", "http://127.0.0.1:9876", "http://127.0.0.1:9876"),
        ("http://127.0.0.1:9876/", "http://127.0.0.1:9876", "http://127.0.0.1:9876"),
        ("HTTP://127.0.0.1:9876", "HTTP://127.0.0.1:9876", "HTTP://127.0.0.1:9876"),
        ("collector:9876", "http://collector:9876", "http://collector:9876"),
        ("[::1]:9876", "http://[::1]:9876", "http://[::1]:9876"),
        ("https://ops:s3cret@host/asynq/", "https://ops:s3cret@host/asynq", "https://host/asynq"),
        ("http://ops:a/b@host:1", "http://ops:a/b@host:1", "http://host:1"),
    ])
    func whatIsAskedAndWhatIsPrinted(_ given: String, _ base: String, _ text: String) throws {
        let address = try WebAddress(given)
        #expect(address.base == base)
        #expect(address.text == text)
        #expect(address.socket == nil)
        #expect(address.hasCredentials == given.contains("@"))
    }

    @Test(arguments: [
        ("unix:///run/c.sock", "/run/c.sock", "unix:///run/c.sock"),
        ("unix:@name", "@name", "unix:@name"), ("unix://@name", "@name", "unix:@name"), ("unix:@n", "@n", "unix:@n"),
    ])
    func aUnixSocket(_ given: String, _ socket: String, _ text: String) throws {
        let address = try WebAddress(given)
        #expect(address.socket == socket && !address.hasCredentials)
        #expect(address.text == text)
    }

    @Test(arguments: [
        "", "http://", "ftp://host", "redis://host", "unix://relative", "unix://", "unix:@", "http://host name",
        "http://h?x=1",
        "http://h#x", "http://h\n",
    ])
    func whatIsNoAddressIsRefused(_ given: String) {
        #expect(throws: WebAddress.Invalid.self) { try WebAddress(given) }
    }
}
