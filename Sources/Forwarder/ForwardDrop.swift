/// The reason why spans were dropped: the `reason` of `asynq_collector_dropped_spans_total`, beside the spool's own.
package enum ForwardDrop: String, CaseIterable, Sendable {
    /// The backend took the request but said in partial success that it left these spans out.
    case rejected
    /// The backend rejected the request.
    case refused
    /// The backend never answered the request while it took others, and too many such requests waited.
    case unanswered
    /// The spans were older than `max-age` when their turn to be sent again came; counted under the spool's own reason.
    case expired
}
