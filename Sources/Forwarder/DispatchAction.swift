import Model
import Spool

/// What the forwarder's thread has to do next.
enum DispatchAction {
    /// Reads what the delivery carries, and sends it.
    case send(Delivery)
    /// Reads what was never sent, and hands it to `begin`: as much as a batch may hold, or a single request.
    case read(isLone: Bool)
    /// Nothing before this; nil while only an answer changes that.
    case wait(until: MonotonicTime?)
}

/// What the forwarder's thread has to do after an answer.
enum DispatchEffect {
    /// This need not be kept: delivered, all but `dropped` of its spans.
    case settle(SpoolAddress, dropped: Int, reason: ForwardDrop)
    /// This request (or part of one) is dropped by the `settle` that follows.
    case refused(SpoolAddress, reason: String)
    /// The backend took a request but for some spans, perhaps none, and has something to say.
    case rejected(spans: Int, message: String)
    /// A request failed while others passed; it is sent again by itself.
    case suspected(spans: Int, reason: String)
    /// The backend found this much too large; it is sent again in smaller portions.
    case tooLarge(spans: Int, bytes: Int, reason: String)
    /// Nothing is sent for a while.
    case failing(reason: String, advice: String?, pause: Duration)
    /// The backend answers: whatever it said, the way to it is open.
    case answered
}
