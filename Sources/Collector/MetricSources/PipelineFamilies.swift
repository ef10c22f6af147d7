import Metrics

/// The families of the collector's own: receiver, spool and forwarder.
struct PipelineFamilies: Sendable {
    let buildInfo = FamilyDeclaration(
        "asynq_collector_build_info", .info, labels: ["version"],
        "Always 1; the version is in the label. Compare it over all sidecars.")
    let spoolStalled = FamilyDeclaration(
        "asynq_collector_spool_stalled", .gauge, with: "tempo.endpoint",
        "1 while the spool's disk does not answer. Metrics of receiving and of the spool are then not on the page.")
    let receivedSpansTotal = FamilyDeclaration(
        "asynq_collector_received_spans_total", .counter, labels: ["transport", "encoding"],
        """
        Spans in requests that could be read, accepted or not. If it stands still while workers work, they send \
        elsewhere.
        """)
    let acceptedSpansTotal = FamilyDeclaration(
        "asynq_collector_accepted_spans_total", .counter,
        "Spans that were acknowledged to their sender. Includes spans later dropped as unsynced, whose sender got 503.")
    let refusedSpansTotal = FamilyDeclaration(
        "asynq_collector_refused_spans_total", .counter, labels: ["reason"],
        """
        Spans that were not accepted, by reason. spool_full: the backend is too slow or down, and senders must wait. \
        bad_id, bad_value: a sender makes ids or numbers that no backend accepts.
        """)
    let refusedRequestsTotal = FamilyDeclaration(
        "asynq_collector_refused_requests_total", .counter, labels: ["reason"],
        """
        Requests refused before their spans were counted, by reason. A client has no token, speaks another protocol, \
        sends too much at a time, or does not read its answers.
        """)
    let emptyRequestsTotal = FamilyDeclaration(
        "asynq_collector_empty_requests_total", .counter,
        """
        Requests in which no span could be read: logs, metrics, or an old or foreign form of spans. The log and the \
        answer name the form.
        """)
    let duplicateSpansTotal = FamilyDeclaration(
        "asynq_collector_duplicate_spans_total", .counter,
        """
        Process spans received a second time; they are observed once. If it rises, senders do not get the answer in \
        time and send again.
        """)
    let refusedConnectionsTotal = FamilyDeclaration(
        "asynq_collector_refused_connections_total", .counter,
        """
        Connections closed at a limit (1,024 a listener, descriptors, memory.limit), the oldest idle one first, and \
        accepts that failed. Look for a client that never closes its connections.
        """)
    let spoolRecoveredSpans = FamilyDeclaration(
        "asynq_collector_spool_recovered_spans", .gauge, with: "tempo.endpoint",
        "Spans that the spool held when the process started: those that the earlier process could not send.")
    let forwardedSpansTotal = FamilyDeclaration(
        "asynq_collector_forwarded_spans_total", .counter, with: "tempo.endpoint",
        "Spans that the trace backend accepted. If it rises slower than accepted spans, the spool fills.")
    let droppedSpansTotal = FamilyDeclaration(
        "asynq_collector_dropped_spans_total", .counter, labels: ["reason"], with: "tempo.endpoint",
        "Accepted spans that were dropped, by reason. Above 0, traces have gaps.")
    let spoolBytes = FamilyDeclaration(
        "asynq_collector_spool_bytes", .gauge, with: "tempo.endpoint",
        """
        Size of the spool on disk. Near its capacity, spans are refused, or the oldest are dropped (spool.when-full).
        """)
    let spoolCapacityBytes = FamilyDeclaration(
        "asynq_collector_spool_capacity_bytes", .gauge, with: "tempo.endpoint",
        "Largest size that the spool may have (spool.max-bytes).")
    let spoolSpans = FamilyDeclaration(
        "asynq_collector_spool_spans", .gauge, with: "tempo.endpoint",
        """
        Spans that wait to be forwarded, those in flight included. If it rises, the backend is unavailable or too \
        slow.
        """)
    let spoolQuarantinedSegments = FamilyDeclaration(
        "asynq_collector_spool_quarantined_segments", .gauge, with: "tempo.endpoint",
        "Files of the spool that cannot be read. The files are kept; their spans are dropped as unreadable.")
    let spoolOldestAgeSeconds = FamilyDeclaration(
        "asynq_collector_spool_oldest_age_seconds", .gauge, with: "tempo.endpoint",
        "Age of the oldest waiting span; 0 if none waits. Traces lag behind by this much.")
    let spoolCorruptFramesTotal = FamilyDeclaration(
        "asynq_collector_spool_corrupt_frames_total", .counter, with: "tempo.endpoint",
        "Frames with a wrong checksum. The disk is failing.")
    let spoolErrorsTotal = FamilyDeclaration(
        "asynq_collector_spool_errors_total", .counter, with: "tempo.endpoint",
        "Reads, writes and syncs of the spool that failed; the log says which. Look at the disk.")
    let forwardRequestsTotal = FamilyDeclaration(
        "asynq_collector_forward_requests_total", .counter, labels: ["code"], with: "tempo.endpoint",
        """
        Requests to the trace backend, by HTTP status, or by what broke the connection; page: a 2xx that accepts \
        nothing. 429: send less. Other 4xx, page: check tempo.endpoint and tempo.headers.
        """)
    let forwardDurationSeconds = FamilyDeclaration(
        "asynq_collector_forward_duration_seconds", .histogram, with: "tempo.endpoint",
        "Time from sending a request to its answer. Near tempo.timeout, requests are sent again.")
    let tempoUp = FamilyDeclaration(
        "asynq_collector_tempo_up", .gauge, with: "tempo.endpoint",
        """
        0 while the trace backend is unavailable or accepts nothing (503, 429, 401); absent before the first answer. \
        At 0, spans wait in the spool.
        """)
    let setAsideRequestsTotal = FamilyDeclaration(
        "asynq_collector_set_aside_requests_total", .counter, labels: ["outcome"], with: "tempo.endpoint",
        "Requests that the backend rejected, by what became of their copy in the spool's directory refused/.")
}
