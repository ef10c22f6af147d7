/// The reason why a text is not the JSON that was expected, and the place: small enough to be thrown through registers.
package struct JSONError: Error {
    package enum Reason: String, Sendable {
        case empty = "the body is empty"
        case truncated = "the text ends in the middle of a value"
        case trailingBytes = "there is more behind the request"
        case tooDeep = "objects, arrays or values are nested too deeply"
        case tooLarge = "the request is too large"
        case badUTF8 = "a string is not UTF-8"
        case controlCharacter = "a string has a control character that is not escaped"
        case badEscape = "a string has an escape that JSON does not know"
        case badLiteral = "this is not a JSON value"
        case badNumber = "this is not a JSON number"
        case expectedMember = "expected a key or the end of the object"
        case expectedColon = "expected a colon behind the key"
        case expectedCommaOrEnd = "expected a comma or the end of the object or array"
        case expectedObject = "expected an object"
        case expectedArray = "expected an array"
        case expectedString = "expected a string"
        case expectedBool = "expected true or false"
        case expectedNumber = "expected a number, or a string that holds one"
        case badInteger = "expected a whole number in the range of the field"
        case badDouble = "expected a number in the range of a double"
        case badBase64 = "expected base64"
    }

    package let reason: Reason
    /// The place, in bytes from the start of the text.
    package let offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}
