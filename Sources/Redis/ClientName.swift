/// The decision whether logins of a client send the connection's name (CLIENT SETNAME), at which a proxy may hang up.
///
///     send         with the name. The far side hangs up: once more without it → leaveOut if that succeeds, else undecided
///     leaveOut     without the name
///     undecided    without the name, so that a server that hangs up at everything is not asked twice each time; once that
///                  succeeds → send, for the next connection
final class ClientName {
    enum Mode {
        case send, leaveOut, undecided
    }

    private(set) var mode = Mode.send

    func recordHangUp(succeedsWithout: Bool) {
        mode = succeedsWithout ? .leaveOut : .undecided
    }

    func recordSuccessWithout() {
        if mode == .undecided { mode = .send }
    }
}
