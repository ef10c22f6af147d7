/// Returns the names of the numbers of a value that are not zero, within the structures that it holds as well.
package func numbersBesideZero(in value: Any) -> [String] {
    Mirror(reflecting: value).children.flatMap { child -> [String] in
        let name = child.label ?? ""
        if let number = child.value as? any BinaryInteger { return isZero(number) ? [] : [name] }
        return numbersBesideZero(in: child.value).map { "\(name).\($0)" }
    }
}

private func isZero(_ number: some BinaryInteger) -> Bool { number == 0 }
