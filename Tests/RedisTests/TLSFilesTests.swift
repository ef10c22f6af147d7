import Platform
import TestSupport
import Testing

@testable import Redis

@Suite("The files of TLS")
struct TLSFilesTests {
    /// Made for this test; the key's password is "secret".
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBhzCCAS2gAwIBAgIUT/xMQuE4/kmdLapUU00X4N//AN0wCgYIKoZIzj0EAwIw
        GDEWMBQGA1UEAwwNcmVkaXMuZXhhbXBsZTAgFw0yNjExMjgxNzM1MTFaGA8yMTI2
        MTEwNDE3MzUxMVowGDEWMBQGA1UEAwwNcmVkaXMuZXhhbXBsZTBZMBMGByqGSM49
        AgEGCCqGSM49AwEHA0IABOLiFx3GLr54wjarD3xaHLkiK/coYVb/FTONFj5ccGtg
        aiHh5s/Qzt+yu8hzY5e9bgCmtSzQSRPuCePD/0vXr1+jUzBRMB0GA1UdDgQWBBTF
        u74uX4sMd86zKbtxu5upI3qSXzAfBgNVHSMEGDAWgBTFu74uX4sMd86zKbtxu5up
        I3qSXzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQD/atOdcZvf
        4cURqEEy3GO4nDpMlvJ6687ZCUG2sAMorgIgAN/8LDZLvSJmTBhcaStEMqL0zQpQ
        Fz5NTct5qQz7K6Q=
        -----END CERTIFICATE-----

        """
    private static let encryptedKey = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgUh4AvrcxY8wICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECEUNKh9Xu6RyChawxOn9QkEgZAA
        T3VfADOiLCiHldCLURY7C1mfDRcHC0wIlcIpPN/aLK66oNKSe/V2HaDOeCZmUUs9
        s4rzEidtrktHEguq2WnIwTH+hUc81uJNYI0EYqRD9kDZNcPBBLFZjPgTSHOXTqbw
        a81RpDOzd+P1yfxhYCk1cJQlkgxnGcbEGb/pxG2FKRGj2nCubYYsVGoTlNrpx8Q=
        -----END ENCRYPTED PRIVATE KEY-----

        """

    @Test("An encrypted key is refused, and no terminal is asked for its password")
    func encryptedKey() throws {
        let folder = try SocketDirectory()
        var options = RedisTLSOptions()
        options.certificateFile = folder.path + "/certificate.pem"
        options.keyFile = folder.path + "/key.pem"
        try Files.replace(folder.path + "/certificate.pem", with: Array(Self.certificate.utf8))
        try Files.replace(folder.path + "/key.pem", with: Array(Self.encryptedKey.utf8))
        let problem = try #require(options.problem)
        #expect(problem.hasPrefix("reading redis.tls.key-file \(folder.path)/key.pem: "), "\(problem)")
        // OpenSSL's own way to a password.
        #expect(!problem.contains("UI routines"), "\(problem)")
        // In the file of the certificate, it is that key's file.
        options.keyFile = nil
        let both = Self.certificate + Self.encryptedKey
        try Files.replace(folder.path + "/certificate.pem", with: Array(both.utf8))
        let other = try #require(options.problem)
        #expect(other.hasPrefix("reading redis.tls.cert-file \(folder.path)/certificate.pem: the key is"), "\(other)")
    }

    @Test("Each file that can't be read is named by its key, the first one first")
    func unreadable() throws {
        let folder = try SocketDirectory()
        try Files.replace(folder.path + "/certificate.pem", with: Array(Self.certificate.utf8))
        var options = RedisTLSOptions()
        #expect(options.problem == nil)
        options.caFile = folder.path + "/certificate.pem"
        #expect(options.problem == nil)
        options.certificateFile = folder.path + "/certificate.pem"
        #expect(options.problem?.hasPrefix("reading redis.tls.key-file \(folder.path)/certificate.pem: ") == true)
        options.certificateFile = "/no/such/certificate"
        #expect(options.problem?.hasPrefix("reading redis.tls.cert-file /no/such/certificate: ") == true)
        options.caFile = "/no/such/authority"
        #expect(options.problem?.hasPrefix("reading redis.tls.ca-file /no/such/authority: ") == true)
    }
}
