import Model
import Spool

/// The next action of the forwarder's thread.
enum DispatchAction {
    /// Reads the frames that the delivery carries, and sends them.
    case send(Delivery)
    /// Reads what was never sent, and hands it to `begin`: as much as a batch may hold, or a single request.
    case read(isLone: Bool)
    /// Waits until then; nil while only an answer changes that.
    case wait(until: MonotonicTime?)
}

/// The action of the forwarder's thread after an answer.
enum DispatchEffect {
    /// The spans need not be kept: they are delivered, all but `dropped` of them.
    case settle(SpoolAddress, dropped: Int, reason: ForwardDrop)
    /// The request (or part of one) is dropped by the `settle` that follows.
    case refused(SpoolAddress, reason: String)
    /// The backend took a request but for some spans, perhaps none, and has something to say.
    case rejected(spans: Int, message: String)
    /// A request failed while others passed; it is sent again by itself.
    case suspected(spans: Int, reason: String)
    /// The backend found the request much too large; it is sent again in smaller portions.
    case tooLarge(spans: Int, bytes: Int, reason: String)
    /// The backend asks for a pause of all requests, beside what it said of one.
    case paused(reason: String, pause: Duration)
    /// Nothing is sent for a while.
    case failing(reason: String, advice: String?, pause: Duration)
    /// The backend answers: whatever it said, the way to it is open.
    case answered
}
