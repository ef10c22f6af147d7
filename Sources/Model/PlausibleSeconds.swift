/// The bounds of a wait or a run time that two clocks measure. One number from a broken clock would spoil a sum
/// permanently.
package enum PlausibleSeconds {
    /// The lowest difference that counts, and counts as 0. Below it the two clocks disagree.
    package static let toleratedSkew = -1.0
    /// The longest wait or run time that counts: ten years, more than any task takes.
    package static let longest = 10 * 365 * 86_400.0
}
