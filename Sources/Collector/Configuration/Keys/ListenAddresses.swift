import HTTPService

extension ValueForm where Value == [ListenAddress] {
    /// Reads a comma list of addresses; with `orNone` also the word `none`, which is an empty list.
    static func listenAddresses(orNone: Bool) -> Self {
        let allowed = "host:port, [::1]:port, :port (every address), unix:///path, or several with commas"
        return Self(.addresses(allowed: orNone ? allowed + ", or none" : allowed)) { text throws(UnacceptableText) in
            if orNone && text == "none" { return [] }
            var addresses: [ListenAddress] = []
            var problems: [String] = []
            for part in ValueParsing.list(text) {
                do throws(ListenAddress.Invalid) {
                    addresses.append(try ListenAddress(part))
                } catch {
                    problems.append("\(EffectiveConfiguration.shownAddresses(part)): \(error.problem)")
                }
            }
            if problems.isEmpty && addresses.isEmpty { problems.append("allowed are \(allowed)") }
            if !problems.isEmpty { throw UnacceptableText(problems) }
            return addresses
        }
    }
}
