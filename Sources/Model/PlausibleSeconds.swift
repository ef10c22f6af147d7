/// What a wait or a run time can be, measured by two clocks. One number from a broken clock would spoil a sum permanently.
package enum PlausibleSeconds {
    /// Less than this, two clocks disagree; from here to 0 it is 0.
    package static let toleratedSkew = -1.0
    /// Ten years: longer than any task waits or runs.
    package static let longest = 10 * 365 * 86_400.0
}
