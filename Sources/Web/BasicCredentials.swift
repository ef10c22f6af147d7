import HTTPService
import NIOHTTP1
import Text

/// A user and password that a request has to carry: `authorization: Basic <base64 of user:password>` (RFC 7617).
package struct BasicCredentials: Sendable {
    /// The text of the header, without padding.
    private let encoded: RequestSecret

    /// - Parameter reread: Returns the password as its file has it now.
    package init(username: String, password: String, reread: (@Sendable () -> String?)? = nil) {
        encoded = RequestSecret(
            Self.encode(username, password),
            reread: reread.map { current in { @Sendable in current().map { Self.encode(username, $0) } } })
    }

    private static func encode(_ username: String, _ password: String) -> String {
        Base64.encode(Array("\(username):\(password)".utf8))
    }

    func isIn(_ headers: HTTPHeaders) -> Bool {
        guard let value = headers.first(name: "authorization"), value.prefix(6).lowercased() == "basic " else {
            return false
        }
        return encoded.isEqual(to: Array(value.utf8.dropFirst(6).prefix { $0 != UInt8(ascii: "=") }))
    }
}
