import Glibc
import NIOCore
import NIOPosix
import Platform
import Synchronization

/// An event of the file of a listening unix socket while the server runs.
package enum SocketFileEvent: Sendable, Equatable {
    /// The file was removed or replaced, so that clients could not connect. A new socket listens there.
    case reopened(path: String)
    /// No client can connect, and no new socket can be made; tried again each second.
    case unreachable(path: String, problem: String)
}

/// A unix socket that listens, and is made anew where its file is removed: cleaners of temporary directories do that,
/// and people.
final class UnixListener: Sendable {
    private struct Open {
        var channel: any Channel
        /// The file; nil for an abstract socket, which has none to lose.
        var file: UnixSocketFile?
        /// The error of the last attempt to reopen; nil while all is well.
        var problem: String?
        var isClosed = false
    }

    private let path: String
    private let options: UnixSocketOptions
    private let makeBootstrap: @Sendable () -> ServerBootstrap
    private let backlog: Int32
    private let open: Mutex<Open>

    /// - Throws: `ListenError` where the path can't be bound.
    init(
        path: String, options: UnixSocketOptions, backlog: Int32,
        makeBootstrap: @escaping @Sendable () -> ServerBootstrap
    ) throws(ListenError) {
        self.path = path
        self.options = options
        self.backlog = backlog
        self.makeBootstrap = makeBootstrap
        let (file, descriptor) = try UnixSocketFile.bind(path, mode: options.mode, group: options.group)
        do {
            let channel = try Self.listen(descriptor, backlog: backlog, makeBootstrap()).wait()
            open = Mutex(Open(channel: channel, file: file))
        } catch {
            file?.removeIfOurs()
            throw ListenError(path, "\(error)")
        }
    }

    private static func listen(
        _ descriptor: Int32, backlog: Int32, _ bootstrap: ServerBootstrap
    ) -> EventLoopFuture<any Channel> {
        bootstrap.withBoundSocket(descriptor).flatMapThrowing { channel in
            // NIO listens with a backlog of its own on a socket that is bound already. Clients of a unix socket get EAGAIN when it
            // is full.
            if Glibc.listen(descriptor, backlog) != 0 {
                let error = SystemError("listen")
                channel.close(promise: nil)
                throw error
            }
            return channel
        }
    }

    /// True if clients that open the path reach this listener.
    var isReachable: Bool { open.withLock { $0.file?.isOurs ?? true } }

    /// Makes a new socket where the file is no longer its own. It is called on an event loop, now and then.
    func reopenIfLost(_ report: @escaping @Sendable (SocketFileEvent) -> Void) {
        if isReachable { return }
        let bound: (file: UnixSocketFile?, descriptor: Int32)
        do throws(ListenError) {
            bound = try UnixSocketFile.bind(
                path, mode: options.mode, group: options.group, patienceMilliseconds: 0)
        } catch {
            return recordFailure(error.problem, report)
        }
        Self.listen(bound.descriptor, backlog: backlog, makeBootstrap()).whenComplete { [self] result in
            switch result {
            case .success(let channel):
                let isClosed = open.withLock { open in
                    if open.isClosed { return true }
                    open.channel.close(promise: nil)
                    open = Open(channel: channel, file: bound.file)
                    return false
                }
                guard !isClosed else {
                    channel.close(promise: nil)
                    bound.file?.removeIfOurs()
                    return
                }
                report(.reopened(path: path))
            case .failure(let error):
                bound.file?.removeIfOurs()
                recordFailure("\(error)", report)
            }
        }
    }

    private func recordFailure(_ problem: String, _ report: @Sendable (SocketFileEvent) -> Void) {
        let isNews = open.withLock { open in
            defer { open.problem = problem }
            return open.problem != problem
        }
        if isNews { report(.unreachable(path: path, problem: problem)) }
    }

    /// Stops listening, and removes the file where it is its own.
    func close() {
        let (channel, file) = open.withLock { open in
            open.isClosed = true
            return (open.channel, open.file)
        }
        try? channel.close().wait()  // Fails when it is closed already.
        file?.removeIfOurs()
    }
}
